//! Store and kernel, and how the one follows the other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tracing::warn;

use super::error::AgentError;
use crate::{
    datapath::{Datapath, Interface, Settled, Way},
    reconcile::{Outcome, Reconciler},
    store::{Change, Revision, Store},
    wire::{OlderConnections, Override},
};

/// The one owner of the store and of the kernel's maps.
#[derive(Debug)]
pub struct Engine {
    pub(super) store: Store,
    pub(super) kernel: Datapath,
    pub(super) reconciler: Reconciler,
    pub(super) interfaces: Vec<Interface>,
    /// Of each service, by its place in the configuration.
    pub(super) ways: Vec<Vec<Way>>,
    pub(super) overrides: Vec<Override>,
    /// What became of connections that were older than the guard, by service.
    pub(super) older: BTreeMap<String, OlderConnections>,
    /// How many denials the kernel had lost when it was last asked.
    pub(super) denials_lost: u64,
    /// The change up to which the kernel follows the store.
    followed: Revision,
    /// A change may not have reached the kernel.
    is_behind: bool,
}

impl Engine {
    /// An engine over what was opened and loaded; the kernel does not follow yet.
    #[must_use]
    pub const fn new(store: Store, kernel: Datapath, reconciler: Reconciler) -> Self {
        Self {
            store,
            kernel,
            reconciler,
            interfaces: Vec::new(),
            ways: Vec::new(),
            overrides: Vec::new(),
            older: BTreeMap::new(),
            denials_lost: 0,
            followed: Revision(0),
            is_behind: true,
        }
    }

    /// The kernel's side.
    pub const fn kernel(&mut self) -> &mut Datapath {
        &mut self.kernel
    }

    /// Takes note of how the interfaces are guarded.
    pub fn guards(&mut self, interfaces: Vec<Interface>) {
        self.interfaces = interfaces;
    }

    /// Takes note of what became of connections that were older than the guard.
    pub fn settled(&mut self, settled: &[Settled]) {
        self.older = settled
            .iter()
            .map(|one| (one.service.clone(), OlderConnections::from(one)))
            .collect();
    }

    /// Makes the kernel hold exactly what the store says.
    ///
    /// # Errors
    /// The store's and the kernel's; what could be done was done.
    pub fn catch_up(&mut self) -> Result<Outcome, AgentError> {
        let revision = self.store.revision()?;
        let wanted = self.store.enforced()?;
        let outcome = self
            .reconciler
            .reconcile(&mut self.kernel, &wanted)
            .map_err(|source| {
                self.is_behind = true;
                AgentError::NotEnforced {
                    revision,
                    source: source.into(),
                }
            })?;
        self.followed = revision;
        self.is_behind = false;
        Ok(outcome)
    }

    /// Carries a change of the store over to the kernel. When this succeeds,
    /// the kernel holds that change and all before it.
    pub(super) fn follow(&mut self, change: &Change) -> Result<(), AgentError> {
        let applied = self.reconciler.apply(&mut self.kernel, change);
        if let Err(source) = applied {
            self.is_behind = true;
            return Err(AgentError::NotEnforced {
                revision: change.revision,
                source: source.into(),
            });
        }
        if self.is_behind {
            // Repeating a request that was not enforced must not succeed before it is.
            self.catch_up()?;
        }
        self.followed = change.revision;
        Ok(())
    }

    pub(super) fn distrust_kernel(&mut self) {
        self.is_behind = true;
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    pub(super) const fn followed(&self) -> Revision {
        self.followed
    }

    /// The overrides in force at `now`; those that ended are forgotten.
    pub(super) fn overrides(&mut self, now: Timestamp) -> &[Override] {
        self.overrides
            .retain(|entry| entry.until.is_none_or(|until| now < until));
        &self.overrides
    }

    /// How many denials the kernel lost since this was last asked.
    pub(super) fn newly_lost(&mut self) -> u64 {
        match self.kernel.denials_lost() {
            Ok(total) => {
                let new = total.saturating_sub(self.denials_lost);
                self.denials_lost = total;
                new
            }
            Err(error) => {
                warn!(%error, "cannot read how many denials were lost");
                0
            }
        }
    }
}
