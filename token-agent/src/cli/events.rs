//! `events`: what was denied, and what was changed?

use std::net::IpAddr;

use token_agent_common::reason::Reason;

use super::{
    exit::Exit,
    output::{self, Output},
    query,
    usage::{self, Usage},
};
use crate::{
    client::{Client, ClientError},
    wire::{Event, EventKind, EventQuery},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tell those to come, rather than the latest ones
    #[arg(long)]
    follow: bool,
    /// Only those with this verdict
    #[arg(long, value_parser = ["allow", "deny"])]
    verdict: Option<String>,
    /// Only those with this reason
    #[arg(long)]
    reason: Option<String>,
    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those of this token
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// Only those of this client
    #[arg(long, value_name = "ADDR")]
    client: Option<IpAddr>,
}

pub(super) async fn run(args: Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    if let Some(word) = &args.reason
        && !Reason::ALL.iter().any(|reason| reason.as_str() == word)
    {
        let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let what = format!("there is no such reason; they are {}", words.join(", "));
        return Err(Usage::new(what).into());
    }
    let follow = args.follow;
    let asked = EventQuery {
        follow,
        verdict: args.verdict,
        reason: args.reason,
        service: args.service,
        token: args.token.as_deref().map(usage::id).transpose()?,
        client: args.client,
    };
    let path = query::path("/v1/events", &asked)?;
    let mut events = client.events(&path).await?;
    loop {
        match events.next().await {
            Ok(Some(event)) if output.json => output::json(&event)?,
            Ok(Some(event)) => output::print(&text(&event))?,
            Ok(None) | Err(ClientError::Protocol { .. }) if follow => {
                eprintln!("token-agent: the daemon ended");
                return Ok(Exit::Unreachable);
            }
            Ok(None) => return Ok(Exit::Done),
            Err(error) => return Err(error.into()),
        }
    }
}

fn text(event: &Event) -> String {
    let mut words = vec![event.time.to_string()];
    match event.kind {
        EventKind::Control => words.push(event.action.as_deref().unwrap_or("changed").into()),
        EventKind::Lost => words.push(format!(
            "lost {} events ({})",
            event.count,
            event.place.as_deref().unwrap_or("somewhere")
        )),
        EventKind::Verdict => {
            let verdict = event.verdict.as_deref().unwrap_or("-");
            words.push(match event.enforced {
                Some(false) => format!("{verdict}(monitor)"),
                Some(true) | None => verdict.into(),
            });
            words.push(event.reason.as_deref().unwrap_or("-").into());
        }
    }
    let mut add = |name: &str, value: Option<String>| {
        words.extend(value.map(|value| format!("{name}={value}")));
    };
    add("service", event.service.clone());
    add("method", event.method.clone());
    add("peer", event.peer.clone());
    add("interface", event.interface.clone());
    add("id", event.id.map(|id| id.to_string()));
    add("mode", event.mode.map(|mode| mode.as_str().to_owned()));
    add("by", event.actor.as_ref().map(ToString::to_string));
    if event.kind == EventKind::Control && event.count > 1 {
        add("count", Some(event.count.to_string()));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::wire::Actor;

    #[test]
    fn an_event_is_one_line() {
        let verdict = Event {
            verdict: Some("deny".into()),
            reason: Some("revoked".into()),
            enforced: Some(false),
            peer: Some("10.0.0.9:1".into()),
            ..Event::new(EventKind::Verdict, Timestamp::UNIX_EPOCH)
        };
        assert_eq!(
            text(&verdict),
            "1970-01-01T00:00:00Z deny(monitor) revoked peer=10.0.0.9:1"
        );
        let actor = Actor {
            uid: 0,
            user: Some("root".into()),
        };
        let control = Event::control("revoke", actor, Timestamp::UNIX_EPOCH);
        assert_eq!(text(&control), "1970-01-01T00:00:00Z revoke by=root");
        let lost = Event::lost("kernel", 3, Timestamp::UNIX_EPOCH);
        assert_eq!(text(&lost), "1970-01-01T00:00:00Z lost 3 events (kernel)");
    }
}
