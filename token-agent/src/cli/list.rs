//! `list`: which tokens are there?

use super::{
    exit::Exit,
    output::{self, Output, services, table},
    query,
};
use crate::{
    client::Client,
    store::TokenState,
    token::OwnerName,
    wire::{ListQuery, Listing, Span, TokenDetail},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this owner's
    #[arg(long, value_name = "NAME")]
    owner: Option<OwnerName>,
    /// Only those valid at this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those in this state
    #[arg(long)]
    state: Option<State>,
    /// Only those that expire within this time, the soonest first
    #[arg(long, value_name = "DUR")]
    expiring: Option<Span>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Active,
    Pending,
    Expired,
    Revoked,
}

impl From<State> for TokenState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Pending => Self::Pending,
            State::Expired => Self::Expired,
            State::Revoked => Self::Revoked,
        }
    }
}

pub(super) async fn run(args: Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let query = ListQuery {
        owner: args.owner,
        service: args.service,
        state: args.state.map(TokenState::from),
        expiring: args.expiring,
        limit: args.limit,
    };
    let listing: Listing = client.get(&query::path("/v1/tokens", &query)?).await?;
    if output.quiet && !output.json {
        let ids = listing
            .tokens
            .iter()
            .map(|token| format!("{}\n", token.record.id));
        output::print(&ids.collect::<String>())?;
    } else {
        output.tell(&listing, text)?;
    }
    Ok(Exit::Done)
}

fn text(listing: &Listing) -> String {
    let row = |token: &TokenDetail| {
        let record = &token.record;
        [
            record.id.to_string(),
            token.state.to_string(),
            record.owner.to_string(),
            services(&record.services),
            token.effective_expires_at.to_string(),
            record.purpose.to_string(),
        ]
    };
    let rows: Vec<_> = listing.tokens.iter().map(row).collect();
    table(
        ["ID", "STATE", "OWNER", "SERVICES", "ENDS", "PURPOSE"],
        &rows,
    )
}
