//! From what the store wants enforced to what the kernel holds.

use token_agent_common::digest::Digest;

use crate::{
    config::Service,
    datapath::{Datapath, DatapathError},
    store::{Change, Enforced},
};

/// Keeps the kernel's maps equal to the store.
#[derive(Debug)]
pub struct Reconciler {}

/// What a reconciliation changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Entries added or changed.
    pub put: usize,
    /// Entries removed.
    pub removed: usize,
}

impl Reconciler {
    /// A reconciler for these services, in the order of the configuration.
    #[must_use]
    pub fn new(_services: &[Service]) -> Self {
        Self {}
    }

    /// Makes the kernel hold exactly `wanted`.
    ///
    /// # Errors
    /// The first of the kernel's; what could be done was done.
    pub fn reconcile(
        &mut self,
        _kernel: &mut Datapath,
        _wanted: &[Enforced],
    ) -> Result<Outcome, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Carries one change over. When this returns, the next packet is judged by it.
    ///
    /// # Errors
    /// The first of the kernel's; what could be done was done.
    pub fn apply(
        &mut self,
        _kernel: &mut Datapath,
        _change: &Change,
    ) -> Result<Outcome, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// The entry the kernel would hold for `wanted`, and whether a service is in its audience.
    #[must_use]
    pub fn entry(&self, _wanted: &Enforced) -> Option<Digest> {
        None
    }
}
