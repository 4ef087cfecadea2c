//! `revoke`: a token is no longer to be let pass.

use super::{ask, exit::Exit, output::Output, stdin, usage};
use crate::{
    client::Client,
    token::{RevokeReason, TokenId},
    wire::{RevokeAnswer, RevokeRequest, SecretText},
};

#[derive(Debug, clap::Args)]
#[command(override_usage = "token-agent revoke [OPTIONS] <ID>...\n       \
    token-agent revoke [OPTIONS] --stdin\n       \
    token-agent revoke [OPTIONS] --all")]
pub(super) struct Args {
    /// Ids of tokens
    #[arg(value_name = "ID", required_unless_present_any = ["stdin", "all"])]
    ids: Vec<String>,
    /// Read secrets from standard input, one on each line; also such as were never issued here
    #[arg(long, conflicts_with = "ids")]
    stdin: bool,
    /// Revoke all tokens
    #[arg(long, conflicts_with_all = ["ids", "stdin"])]
    all: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<RevokeReason>,
    /// Tell what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let mut request = RevokeRequest {
        reason: args.reason,
        dry_run: args.dry_run,
        ..RevokeRequest::default()
    };
    if args.all {
        let question = "Revoke all tokens? No request will be let pass until new ones are issued.";
        if !ask::confirmed(args.yes || args.dry_run, question)? {
            eprintln!("token-agent: nothing was done");
            return Ok(Exit::Failed);
        }
        request.all = true;
    } else if args.stdin {
        let secrets = stdin::secrets(stdin::LONGEST)?;
        request.secrets = Some(secrets.into_iter().map(SecretText).collect());
    } else {
        let ids: Result<Vec<TokenId>, _> = args.ids.iter().map(|id| usage::id(id)).collect();
        request.ids = Some(ids?);
    }
    let answer: RevokeAnswer = client.post("/v1/revoke", &request).await?;
    output.tell(&answer, text)?;
    for warning in &answer.warnings {
        eprintln!("token-agent: warning: {warning}");
    }
    Ok(if answer.enforced || answer.dry_run {
        Exit::Done
    } else {
        Exit::NotEnforcing
    })
}

fn text(answer: &RevokeAnswer) -> String {
    let verb = if answer.dry_run {
        "would revoke"
    } else {
        "revoked"
    };
    let mut text = format!("{verb} {}", answer.count);
    if answer.foreign > 0 {
        text.push_str(&format!(", {} of them not issued here", answer.foreign));
    }
    if !answer.already.is_empty() {
        text.push_str(&format!("; revoked before: {}", answer.already.len()));
    }
    text.push('\n');
    for id in &answer.ids {
        text.push_str(&format!("{id}\n"));
    }
    text
}
