//! The agent behind the control socket: what may be asked of it, and the state it answers from.
//!
//! There is one engine (store, kernel, reconciler) behind one lock, so changes
//! happen one after the other: first durable in the store, then in the kernel,
//! then the answer. All of it blocks and therefore runs on threads of its own.

mod engine;
mod error;
mod explain;
mod guard;
mod notes;
mod report;
mod scrape;
mod tokens;
mod upkeep;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

pub use engine::Engine;
pub use error::AgentError;
pub use notes::{Degraded, Notes};
pub use scrape::Scrape;
pub(crate) use watch::tell;

use crate::{
    config::{Config, Service},
    datapath::ServiceNumber,
    events::Hub,
    token::HashKey,
};

/// Everything a request or a task of the daemon needs.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    key: HashKey,
    engine: Mutex<Engine>,
    /// Tells of denials and of changes.
    pub events: Hub,
    /// What is not as it should be, apart from what the engine knows.
    pub notes: Notes,
    since: Timestamp,
}

impl Agent {
    /// An agent that took over at `since`.
    #[must_use]
    pub fn new(config: Config, key: HashKey, engine: Engine, since: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            config,
            key,
            engine: Mutex::new(engine),
            events: Hub::default(),
            notes: Notes::default(),
            since,
        })
    }

    /// The configuration it runs by.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Runs `work` with the engine, once it is free.
    async fn with_engine<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self, &mut Engine) -> Result<T, AgentError> + Send + 'static,
    ) -> Result<T, AgentError> {
        let agent = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // After a panic the store is whole; the kernel is made to follow it by the upkeep.
            let mut engine = agent.engine.lock().unwrap_or_else(|poisoned| {
                agent.engine.clear_poison();
                let mut engine = PoisonError::into_inner(poisoned);
                engine.distrust_kernel();
                engine
            });
            work(&agent, &mut engine)
        })
        .await
        .map_err(AgentError::Broken)?
    }

    /// The service with this name, and its number in the kernel.
    fn service(&self, name: &str) -> Result<(ServiceNumber, &Service), AgentError> {
        (1..)
            .zip(&self.config.services)
            .find(|(_, service)| service.name == name)
            .map(|(number, service)| (ServiceNumber(number), service))
            .ok_or(AgentError::UnknownService)
    }

    /// The name of the service with this number.
    fn service_name(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.config
            .services
            .get(index)
            .map(|service| service.name.as_str())
    }
}
