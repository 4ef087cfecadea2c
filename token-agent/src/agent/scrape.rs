//! What the metrics tell, read all at once.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Agent, AgentError};
use crate::{
    datapath::{Counter, MapUse},
    store::Counts,
    wire::Revisions,
};

/// The state of the counters at one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The kernel's counters, each with the name of its service.
    pub requests: Vec<(Option<String>, Counter)>,
    pub tokens: Counts,
    pub maps: Vec<MapUse>,
    pub revision: Revisions,
    /// How many events were lost, by where.
    pub lost: [(&'static str, u64); 3],
}

impl Agent {
    /// Reads the counters.
    ///
    /// # Errors
    /// The store's and the kernel's.
    pub async fn scrape(self: &Arc<Self>) -> Result<Scrape, AgentError> {
        self.with_engine(|agent, engine| {
            let counters = engine
                .kernel
                .counters()
                .map_err(|source| AgentError::Kernel {
                    operation: "read the counters",
                    source: source.into(),
                })?;
            let name = |counter: &Counter| agent.service_name(counter.service?.0);
            Ok(Scrape {
                requests: counters
                    .into_iter()
                    .map(|counter| (name(&counter).map(str::to_owned), counter))
                    .collect(),
                tokens: engine.store.count_by_state(Timestamp::now())?,
                maps: engine.kernel.maps().map_err(|source| AgentError::Kernel {
                    operation: "read how full the maps are",
                    source: source.into(),
                })?,
                revision: Revisions {
                    store: engine.store.revision()?,
                    kernel: engine.followed(),
                },
                lost: agent.events.lost(),
            })
        })
        .await
    }
}
