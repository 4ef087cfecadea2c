//! `status`: is it enforcing?

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    exit::Exit,
    output::{Output, fields, table},
};
use crate::{
    client::{Client, ClientError},
    wire::{OlderConnections, Span, Status},
};

const PATH: &str = "/v1/status";

/// How often to look while waiting.
const POLL: Duration = Duration::from_millis(200);

/// How old a status may be to be told at the end of the wait: a look and its answer take less.
const FRESH: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Wait for all to be well, at most so long
    #[arg(long, value_name = "DUR")]
    wait: Option<Span>,
}

pub(super) async fn run(args: &Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let status = match args.wait {
        Some(Span(wait)) if !wait.is_zero() => waited(client, wait).await?,
        Some(_) | None => client.get(PATH).await?,
    };
    output.tell(&status, text)?;
    Ok(exit(&status))
}

/// The first status that is all well, or the last one in time.
async fn waited(client: &Client, wait: Duration) -> Result<Status, ClientError> {
    let mut last = None;
    let well = timeout(wait, async {
        loop {
            match client.get::<Status>(PATH).await {
                Ok(status) if exit(&status) == Exit::Done => return Ok(status),
                // Waiting does not help against these.
                Err(error @ (ClientError::Forbidden { .. } | ClientError::Problem(_))) => {
                    return Err(error);
                }
                found @ (Ok(_) | Err(_)) => last = Some((Instant::now(), found)),
            }
            tokio::time::sleep(POLL).await;
        }
    });
    let well = well.await;
    // What a daemon said before it hung is no longer so.
    let last = last.filter(|(when, _)| when.elapsed() < FRESH);
    well.unwrap_or_else(|_elapsed| last.map_or_else(|| Err(client.timed_out()), |(_, found)| found))
}

const fn exit(status: &Status) -> Exit {
    if !status.enforcing {
        Exit::NotEnforcing
    } else if status.degraded.is_empty() {
        Exit::Done
    } else {
        Exit::Degraded
    }
}

fn text(status: &Status) -> String {
    let word = if !status.enforcing {
        "NOT ENFORCING"
    } else if status.degraded.is_empty() {
        "enforcing"
    } else {
        "enforcing, degraded"
    };
    let tokens = status.tokens;
    let mut text = fields(&[
        ("status", word.into()),
        ("since", status.since.to_string()),
        ("version", status.version.clone()),
        (
            "tokens",
            format!(
                "{} active, {} pending, {} expired, {} revoked",
                tokens.active, tokens.pending, tokens.expired, tokens.revoked
            ),
        ),
        (
            "revision",
            format!(
                "store {}, kernel {}",
                status.revision.store, status.revision.kernel
            ),
        ),
    ]);
    for what in &status.degraded {
        text.push_str(&format!("degraded: {what}\n"));
    }
    for what in &status.notes {
        text.push_str(&format!("note: {what}\n"));
    }
    for service in &status.services {
        let OlderConnections {
            adopted,
            closed,
            left,
        } = service.older_connections;
        if adopted + closed + left > 0 {
            text.push_str(&format!(
                "note: connections to {} that were older than the guard: {adopted} adopted, {closed} closed, {left} left\n",
                service.name
            ));
        }
    }
    let word =
        |word: &Option<std::borrow::Cow<'static, str>>| word.as_deref().unwrap_or("-").to_owned();
    let interfaces: Vec<_> = status
        .interfaces
        .iter()
        .map(|i| {
            [
                i.name.clone(),
                i.facing.to_string(),
                word(&i.hook),
                word(&i.mode),
                i.state.to_string(),
            ]
        })
        .collect();
    let services: Vec<_> = status
        .services
        .iter()
        .map(|s| {
            [
                s.name.clone(),
                s.mode.as_str().into(),
                s.on_deny.to_string(),
                match s.uncovered.as_slice() {
                    [] => "-".into(),
                    ways => ways.join(","),
                },
            ]
        })
        .collect();
    let maps: Vec<_> = status
        .maps
        .iter()
        .map(|m| {
            [
                m.name.to_string(),
                m.used.to_string(),
                m.capacity.to_string(),
            ]
        })
        .collect();
    text.push('\n');
    text.push_str(&table(
        ["INTERFACE", "FACING", "HOOK", "MODE", "STATE"],
        &interfaces,
    ));
    text.push('\n');
    text.push_str(&table(
        ["SERVICE", "MODE", "ON_DENY", "UNCOVERED"],
        &services,
    ));
    text.push('\n');
    text.push_str(&table(["MAP", "USED", "CAPACITY"], &maps));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::Revision,
        wire::{Revisions, Tokens},
    };

    #[test]
    fn the_exit_code_tells_the_state() {
        let status = |enforcing, degraded: &[&str]| Status {
            enforcing,
            degraded: degraded.iter().map(|&what| what.into()).collect(),
            notes: Vec::new(),
            since: jiff::Timestamp::UNIX_EPOCH,
            version: String::new(),
            interfaces: Vec::new(),
            services: Vec::new(),
            tokens: Tokens::default(),
            maps: Vec::new(),
            revision: Revisions {
                store: Revision(0),
                kernel: Revision(0),
            },
            overrides: Vec::new(),
        };
        assert_eq!(exit(&status(true, &[])), Exit::Done);
        assert_eq!(exit(&status(true, &["metrics"])), Exit::Degraded);
        assert_eq!(exit(&status(false, &["metrics"])), Exit::NotEnforcing);
        assert!(text(&status(false, &["metrics"])).contains("NOT ENFORCING"));
    }
}
