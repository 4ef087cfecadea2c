//! What is not as it should be, for as long as it is so.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What may be impaired, each by itself.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Degraded {
    /// The kernel may not know how far TAI is ahead of UTC.
    Clock,
    /// The group that may use the control socket does not exist.
    ControlGroup,
    /// Denials are not reported.
    Events,
    /// It cannot be told whether the guard is still on the interfaces.
    Interfaces,
    /// Connections that are older than the guard could not be closed.
    OldConnections,
    /// Metrics are not served.
    Metrics,
    /// Dead tokens are not forgotten.
    Prune,
}

/// The present impairments and remarks.
#[derive(Debug, Default)]
pub struct Notes {
    degraded: Mutex<BTreeMap<Degraded, String>>,
    remarks: Mutex<Vec<String>>,
}

impl Notes {
    /// Takes note of an impairment; true if it is news.
    pub fn degrade(&self, what: Degraded, why: impl Into<String>) -> bool {
        lock(&self.degraded).insert(what, why.into()).is_none()
    }

    /// It is well again.
    pub fn mend(&self, what: Degraded) {
        lock(&self.degraded).remove(&what);
    }

    /// What is good to know, and no impairment.
    pub fn remark(&self, what: impl Into<String>) {
        lock(&self.remarks).push(what.into());
    }

    /// The present impairments.
    #[must_use]
    pub fn degraded(&self) -> Vec<String> {
        lock(&self.degraded).values().cloned().collect()
    }

    /// What was remarked.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        lock(&self.remarks).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves a collection that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impairment_lasts_until_it_is_mended() {
        let notes = Notes::default();
        assert!(notes.degrade(Degraded::Metrics, "port taken"));
        assert!(!notes.degrade(Degraded::Metrics, "port still taken"));
        assert_eq!(notes.degraded(), ["port still taken"]);
        notes.mend(Degraded::Metrics);
        assert!(notes.degraded().is_empty());
        assert!(notes.degrade(Degraded::Metrics, "again"));
    }
}
