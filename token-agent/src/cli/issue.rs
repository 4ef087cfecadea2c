//! `issue`: a new token.

use std::io;

use anyhow::anyhow;
use jiff::Timestamp;

use super::{
    exit::Exit,
    output::{self, Output, fields, services},
};
use crate::{
    client::Client,
    token::{OwnerName, Purpose},
    wire::{IssueRequest, Issued, Span},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who answers for it
    #[arg(long, value_name = "NAME")]
    owner: OwnerName,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    purpose: Purpose,
    /// Where it is valid; may be repeated; without it at every service
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// How long it lives: 90s, 15m, 24h, 30d
    #[arg(long, value_name = "DUR")]
    ttl: Option<Span>,
    /// When it begins to be valid (RFC 3339)
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
}

pub(super) async fn run(args: Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let request = IssueRequest {
        owner: args.owner,
        purpose: args.purpose,
        services: args.services,
        ttl: args.ttl,
        not_before: args.not_before,
    };
    let issued: Issued = client.post("/v1/tokens", &request).await?;
    print(&issued, output).map_err(|error| unprinted(&issued, &error))?;
    Ok(Exit::Done)
}

fn print(issued: &Issued, output: Output) -> io::Result<()> {
    if output.quiet && !output.json {
        output::print(issued.token.0.expose())
    } else {
        output.tell(issued, text)
    }
}

/// The secret is lost, and the token is valid. The cause is not in the error's chain, where a closed pipe is
/// success.
fn unprinted(issued: &Issued, cause: &io::Error) -> anyhow::Error {
    let id = &issued.record.id;
    anyhow!("the token {id} was issued, but could not be printed: {cause}; revoke it")
}

fn text(issued: &Issued) -> String {
    let record = &issued.record;
    let mut text = fields(&[
        ("token", issued.token.0.expose().into()),
        ("id", record.id.to_string()),
        ("owner", record.owner.to_string()),
        ("purpose", record.purpose.to_string()),
        ("services", services(&record.services)),
        ("not before", record.not_before.to_string()),
        ("expires", record.expires_at.to_string()),
    ]);
    text.push_str("The token is shown this once.\n");
    text
}
