//! `show`: what is known of a token?

use super::{
    exit::Exit,
    output::{Output, fields, services},
    usage,
};
use crate::{client::Client, token::TokenId, wire::TokenDetail};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The token's id
    #[arg(value_name = "ID")]
    id: String,
}

pub(super) async fn run(args: &Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let id: TokenId = usage::id(&args.id)?;
    let token: TokenDetail = client.get(&format!("/v1/tokens/{id}")).await?;
    output.tell(&token, text)?;
    Ok(Exit::Done)
}

fn text(token: &TokenDetail) -> String {
    let record = &token.record;
    let or_nothing = |text: Option<String>| text.unwrap_or_default();
    fields(&[
        ("id", record.id.to_string()),
        ("state", token.state.to_string()),
        ("owner", record.owner.to_string()),
        ("purpose", record.purpose.to_string()),
        ("services", services(&record.services)),
        ("issued", record.issued_at.to_string()),
        ("not before", record.not_before.to_string()),
        ("expires", record.expires_at.to_string()),
        (
            "revoked",
            or_nothing(token.revoked_at.map(|time| time.to_string())),
        ),
        (
            "reason",
            or_nothing(token.revoke_reason.as_ref().map(ToString::to_string)),
        ),
        ("family", record.family.to_string()),
        ("key", token.key_id.to_string()),
        ("revision", record.revision.to_string()),
    ])
}
