//! `status`: is it enforcing?

use std::time::{Duration, Instant};

use super::{
    exit::Exit,
    output::{Output, fields, table},
};
use crate::{
    client::{Client, ClientError},
    wire::{Span, Status},
};

/// How often to look while waiting.
const POLL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Wait for all to be well, at most so long
    #[arg(long, value_name = "DUR")]
    wait: Option<Span>,
}

pub(super) async fn run(args: &Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let until = args.wait.map(|wait| Instant::now() + wait.0);
    loop {
        let found = client.get::<Status>("/v1/status").await;
        let is_over = until.is_none_or(|until| Instant::now() >= until);
        match found {
            Ok(status) if is_over || exit(&status) == Exit::Done => {
                output.tell(&status, text)?;
                return Ok(exit(&status));
            }
            // Waiting does not help against these.
            Err(error @ (ClientError::Forbidden { .. } | ClientError::Problem(_))) => {
                return Err(error.into());
            }
            Err(error) if is_over => return Err(error.into()),
            Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
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
    let word =
        |word: &Option<std::borrow::Cow<'static, str>>| word.as_deref().unwrap_or("-").to_owned();
    let interfaces: Vec<_> = status
        .interfaces
        .iter()
        .map(|i| {
            [
                i.name.clone(),
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
    text.push_str(&table(["INTERFACE", "HOOK", "MODE", "STATE"], &interfaces));
    text.push('\n');
    text.push_str(&table(["SERVICE", "MODE", "ON_DENY"], &services));
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
