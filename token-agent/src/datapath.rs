//! The kernel side, as the agent sees it: load, fill, attach, read.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use token_agent_common::{
    abi::{Denial, Mode},
    digest::Digest,
    reason::Reason,
    verdict::{Audience, TokenEntry},
};

use crate::{config::Config, token::key::HashKey};

/// What can go wrong on the way to the kernel.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// A placeholder until the loader is there.
    #[error("not loaded")]
    NotLoaded,
}

/// The programs and maps of one run of the agent.
#[derive(Debug)]
pub struct Datapath {}

/// A service's number in the kernel: its place in the configuration, from 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ServiceNumber(pub u32);

/// One of the configured interfaces and how it is guarded.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Interface {
    /// Its name, or the glob that matched none.
    pub name: String,
    /// Its index, if it exists.
    pub ifindex: Option<u32>,
    /// Which side it faces; always `client` in this version.
    pub facing: &'static str,
    /// `xdp` or `tc`.
    pub hook: Option<&'static str>,
    /// `native`, `generic`, `tcx` or `clsact`.
    pub mode: Option<&'static str>,
    /// `attached`, or what is wrong.
    pub state: InterfaceState,
}

/// Whether an interface is guarded.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// Guarded.
    Attached,
    /// No such interface.
    Missing,
    /// Not guarded, for this reason.
    Failed(String),
}

/// How full a map is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct MapUse {
    /// Its name: `tokens`, `audiences`.
    pub name: &'static str,
    /// Entries in it.
    pub used: u32,
    /// Entries it has room for.
    pub capacity: u32,
}

/// One of the kernel's counters, summed over the CPUs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counter {
    /// The service; `None` for packets that belong to no one service.
    pub service: Option<ServiceNumber>,
    /// Whether the verdicts were carried out.
    pub enforced: bool,
    /// What was counted.
    pub reason: Reason,
    /// How often.
    pub count: u64,
}

impl Datapath {
    /// Loads the programs and fills the maps that depend on the configuration.
    /// Nothing is attached yet.
    ///
    /// # Errors
    /// [`DatapathError`]; nothing is left in the kernel then.
    pub fn load(_config: &Config, _key: &HashKey) -> Result<Self, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Guards the configured interfaces: attaches, or replaces what an earlier run left pinned.
    /// Tells of each configured interface how that went.
    ///
    /// # Errors
    /// What concerns all of them, such as a pin directory that is not on a bpffs.
    pub fn attach(&mut self, _config: &Config) -> Result<Vec<Interface>, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// What the kernel holds of tokens.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tokens(&self) -> Result<BTreeMap<Digest, TokenEntry>, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Adds or changes a token. When this returns, the next packet is judged by it.
    ///
    /// # Errors
    /// The kernel's, a full map among them.
    pub fn put_token(&mut self, _digest: &Digest, _entry: &TokenEntry) -> Result<(), DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Removes a token; that it was not there is fine.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_token(&mut self, _digest: &Digest) -> Result<(), DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Says that `audience` contains `service`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn put_audience(&mut self, _audience: Audience, _service: ServiceNumber) -> Result<(), DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Puts a mode in force for a service until `until` (nanoseconds since the
    /// Unix epoch, `u64::MAX` for good), or goes back to the configured one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn override_mode(
        &mut self,
        _service: ServiceNumber,
        _mode: Option<(Mode, u64)>,
    ) -> Result<(), DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Tells the kernel how far TAI is ahead of UTC, if that changed. Call it every few seconds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn follow_clock(&mut self) -> Result<(), DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// Every counter that is not zero.
    ///
    /// # Errors
    /// The kernel's.
    pub fn counters(&self) -> Result<Vec<Counter>, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// How full the maps are.
    #[must_use]
    pub fn maps(&self) -> Vec<MapUse> {
        Vec::new()
    }

    /// How many denials the kernel could not report, since the ring buffer was full.
    ///
    /// # Errors
    /// The kernel's.
    pub fn denials_lost(&self) -> Result<u64, DatapathError> {
        Err(DatapathError::NotLoaded)
    }

    /// The denials the kernel reports, from now on. There is one reader: `None` the second time.
    #[must_use]
    pub fn denials(&mut self) -> Option<Denials> {
        None
    }
}

/// The kernel's ring buffer of denials.
#[derive(Debug)]
pub struct Denials {}

impl Denials {
    /// Waits for denials and gives them to `take`, as many as there are. Cancel safe.
    ///
    /// # Errors
    /// Only if the ring buffer cannot be waited for.
    pub async fn drain(&mut self, _take: impl FnMut(Denial)) -> std::io::Result<()> {
        std::future::pending().await
    }
}

/// Which interfaces to take the guard off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    /// All of them.
    All,
    /// Those with these names.
    Named(Vec<String>),
}

/// Takes the guard off without an agent, and removes its pins. Gives the names
/// of the interfaces that were guarded.
///
/// # Errors
/// [`DatapathError`]; what was detached stays detached.
pub fn detach(_pin_dir: &Path, _which: &Which) -> Result<Vec<String>, DatapathError> {
    Err(DatapathError::NotLoaded)
}

/// Something about this machine that the operator should know.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// A stable word for it, such as `bpffs-missing`.
    pub id: &'static str,
    /// `error`: enforcement is impossible; `warning`: it is impaired.
    pub severity: &'static str,
    /// What was seen.
    pub evidence: String,
    /// The command, or the change, that mends it.
    pub remedy: String,
}

/// Looks at this machine without touching it: kernel, BTF, JIT, privileges,
/// bpffs, the interfaces and what is attached to them.
#[must_use]
pub fn examine(_config: Option<&Config>) -> Vec<Finding> {
    Vec::new()
}
