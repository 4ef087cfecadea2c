//! `explain`: what would become of a request?

use jiff::Timestamp;

use super::{
    exit::Exit,
    output::{Output, fields},
    stdin, usage,
};
use crate::{
    client::Client,
    wire::{ExplainRequest, Explanation, SecretText},
};

/// Twice the longest credential: one that is too long is to be explained, too.
const LONGEST: usize = 2 * stdin::LONGEST;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service the request goes to
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Its method
    #[arg(long, default_value = "GET")]
    method: String,
    /// Its path
    #[arg(long, default_value = "/")]
    path: String,
    /// The id of the token it carries
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Read the secret it carries from standard input
    #[arg(long, conflicts_with = "id")]
    stdin: bool,
    /// When it comes, instead of now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// End with 1 if it would be denied
    #[arg(long)]
    exit_code: bool,
}

pub(super) async fn run(args: Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let secret = if args.stdin {
        Some(SecretText(stdin::secret(LONGEST)?))
    } else {
        None
    };
    let request = ExplainRequest {
        service: args.service,
        method: args.method,
        path: args.path,
        id: args.id.as_deref().map(usage::id).transpose()?,
        secret,
        at: args.at,
    };
    let explanation: Explanation = client.post("/v1/explain", &request).await?;
    output.tell(&explanation, text)?;
    if args.exit_code && explanation.verdict != "allow" {
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn text(explanation: &Explanation) -> String {
    let or_nothing = |text: Option<String>| text.unwrap_or_default();
    fields(&[
        ("verdict", explanation.verdict.to_string()),
        ("reason", explanation.reason.to_string()),
        ("service", explanation.service.clone()),
        ("requires", explanation.requires.to_string()),
        ("id", or_nothing(explanation.id.map(|id| id.to_string()))),
        (
            "status",
            or_nothing(explanation.http_status.map(|status| status.to_string())),
        ),
    ])
}
