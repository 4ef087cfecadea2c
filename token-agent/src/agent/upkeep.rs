//! What the daemon's tasks do from time to time.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use token_agent_common::{abi::Denial, reason::Reason};
use tracing::{error, info};

use super::{Agent, AgentError, Degraded, Engine};
use crate::events::{self, Names};

impl Agent {
    /// Lets the kernel follow the clock, forget connections that are over, and follow the store where it fell behind; tells of
    /// lost denials, and of interfaces that lost the guard.
    ///
    /// # Errors
    /// Only if the work itself breaks off; what fails otherwise is noted.
    pub async fn tend(self: &Arc<Self>) -> Result<(), AgentError> {
        self.with_engine(|agent, engine| {
            match engine.kernel.follow_clock() {
                Ok(()) => agent.notes.mend(Degraded::Clock),
                Err(error) => {
                    let why = format!("the kernel does not follow the clock: {error}");
                    if agent.notes.degrade(Degraded::Clock, &why) {
                        error!("{why}");
                    }
                }
            }
            if let Err(error) = engine.kernel.sweep() {
                error!("the kernel's table of connections is not kept in order: {error}");
            }
            // If that fails, it is noted and told.
            let _ = agent.look(engine);
            agent
                .events
                .lost_in_kernel(engine.newly_lost(), Timestamp::now());
            if engine.is_behind() {
                match engine.catch_up() {
                    Ok(_) => info!("the kernel holds again all that the store says"),
                    Err(error) => error!("{error}: {}", cause(&error)),
                }
            }
            Ok(())
        })
        .await
    }

    /// Forgets tokens that are long dead at `now`.
    ///
    /// # Errors
    /// The store's and the kernel's.
    pub async fn prune(self: &Arc<Self>, now: Timestamp) -> Result<(), AgentError> {
        self.with_engine(move |agent, engine| {
            let change = engine.store.prune(now, agent.config.tokens.retain)?;
            let count = change.removals.len();
            engine.follow(&change)?;
            if count > 0 {
                info!(count, "forgot dead tokens");
            }
            Ok(())
        })
        .await
    }

    /// Tells of `denials`.
    ///
    /// # Errors
    /// Only if the work itself breaks off.
    pub async fn tell(self: &Arc<Self>, denials: Vec<Denial>) -> Result<(), AgentError> {
        let named = self
            .with_engine(move |_agent, engine| Ok(with_ids(engine, denials)))
            .await?;
        let mut interfaces = HashMap::new();
        for (denial, id) in named {
            let interface = interfaces
                .entry(denial.interface)
                .or_insert_with(|| interface_name(denial.interface));
            let names = Names {
                service: self.service_name(denial.service).map(str::to_owned),
                interface: interface.clone(),
                id,
            };
            self.events.publish(events::verdict(&denial, names));
        }
        Ok(())
    }
}

fn with_ids(engine: &Engine, denials: Vec<Denial>) -> Vec<(Denial, Option<crate::token::TokenId>)> {
    let mut ids = HashMap::new();
    let id_of = |denial: &Denial| {
        let digest = events::digest(denial).filter(|_| names_a_token(denial))?;
        *ids.entry(digest).or_insert_with(|| {
            let token = engine.store.token_by_digest(&digest).ok().flatten();
            token.map(|token| token.id)
        })
    };
    let ids: Vec<_> = denials.iter().map(id_of).collect();
    denials.into_iter().zip(ids).collect()
}

/// Whether the kernel found an entry for the denied credential. A flood of
/// unknown ones must not cost a look into the store each.
fn names_a_token(denial: &Denial) -> bool {
    use Reason::{
        Expired, InsufficientScope, MaxAge, NotYetValid, Revoked, Superseded, WrongService,
    };
    Reason::from_code(denial.reason).is_some_and(|reason| {
        matches!(
            reason,
            Expired
                | InsufficientScope
                | MaxAge
                | NotYetValid
                | Revoked
                | Superseded
                | WrongService
        )
    })
}

fn interface_name(index: u32) -> Option<String> {
    let name = nix::net::if_::if_indextoname(index).ok()?;
    name.into_string().ok()
}

fn cause(error: &AgentError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}
