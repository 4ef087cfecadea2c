//! The metrics: read from the kernel and the store when they are asked for, never kept.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text},
    metrics::MetricType,
    registry::Registry,
};
use token_agent_common::reason::Reason;
use tracing::error;

use crate::{agent::Scrape, store::TokenState};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics in OpenMetrics' text format.
#[must_use]
pub fn text(scrape: Scrape) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scraped(scrape)));
    let mut text = String::new();
    if let Err(error) = text::encode(&mut text, &registry) {
        error!(%error, "cannot write the metrics");
    }
    text
}

#[derive(Debug)]
struct Scraped(Scrape);

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(&mut encoder)?;
        self.tokens(&mut encoder)?;
        self.maps(&mut encoder)?;
        let revision = self.0.revision;
        let sides = [("store", revision.store.0), ("kernel", revision.kernel.0)];
        gauges(
            &mut encoder,
            "token_agent_revision",
            "The latest change that is in the store, and in the kernel",
            sides.map(|(side, revision)| ([("side", side)], revision)),
        )?;
        counters(
            &mut encoder,
            "token_agent_events_lost",
            "Events that were not told",
            self.0
                .lost
                .map(|(place, count)| ([("where", place)], count)),
        )?;
        let mut family = encoder.encode_descriptor(
            "token_agent_build",
            "What is running",
            None,
            MetricType::Info,
        )?;
        family.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

impl Scraped {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let rows = self.0.requests.iter().map(|(service, counter)| {
            let reason: Reason = counter.reason;
            let labels = [
                ("service", service.as_deref().unwrap_or_default()),
                ("verdict", reason.verdict().as_str()),
                ("reason", reason.as_str()),
                ("enforced", if counter.enforced { "true" } else { "false" }),
            ];
            (labels, counter.count)
        });
        counters(
            encoder,
            "token_agent_requests",
            "Requests and packets judged in the kernel",
            rows,
        )
    }

    fn tokens(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tokens = self.0.tokens;
        let rows = [
            (TokenState::Active, tokens.active),
            (TokenState::Expired, tokens.expired),
            (TokenState::Pending, tokens.pending),
            (TokenState::Revoked, tokens.revoked),
        ];
        gauges(
            encoder,
            "token_agent_tokens",
            "Tokens in the store",
            rows.map(|(state, count)| ([("state", state.as_str())], count)),
        )
    }

    fn maps(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let maps = &self.0.maps;
        gauges(
            encoder,
            "token_agent_map_entries",
            "Entries in the kernel's maps",
            maps.iter()
                .map(|map| ([("map", map.name)], map.used.into())),
        )?;
        gauges(
            encoder,
            "token_agent_map_capacity",
            "Entries the kernel's maps have room for",
            maps.iter()
                .map(|map| ([("map", map.name)], map.capacity.into())),
        )
    }
}

fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in rows {
        family
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}

fn gauges<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        family.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datapath::{Counter, MapUse, ServiceNumber},
        store::{Counts, Revision},
        wire::Revisions,
    };

    #[test]
    fn the_names_are_those_of_the_contract() {
        let counter = |service, reason, enforced, count| Counter {
            service,
            enforced,
            reason,
            count,
        };
        let text = text(Scrape {
            requests: vec![
                (
                    Some("orders".into()),
                    counter(Some(ServiceNumber(1)), Reason::Revoked, true, 3),
                ),
                (None, counter(None, Reason::BadPacket, false, 1)),
            ],
            tokens: Counts {
                active: 2,
                ..Counts::default()
            },
            maps: vec![MapUse {
                name: "tokens",
                used: 2,
                capacity: 10,
            }],
            revision: Revisions {
                store: Revision(5),
                kernel: Revision(4),
            },
            lost: [("agent", 0), ("follower", 1), ("kernel", 2)],
        });
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            r#"token_agent_requests_total{service="orders",verdict="deny",reason="revoked",enforced="true"} 3"#,
            r#"token_agent_requests_total{service="",verdict="deny",reason="bad_packet",enforced="false"} 1"#,
            r#"token_agent_tokens{state="active"} 2"#,
            r#"token_agent_map_entries{map="tokens"} 2"#,
            r#"token_agent_map_capacity{map="tokens"} 10"#,
            r#"token_agent_revision{side="store"} 5"#,
            r#"token_agent_revision{side="kernel"} 4"#,
            r#"token_agent_events_lost_total{where="kernel"} 2"#,
            &format!(r#"token_agent_build_info{{version="{version}"}} 1"#),
            "# TYPE token_agent_requests counter",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\nin\n{text}"
            );
        }
    }
}
