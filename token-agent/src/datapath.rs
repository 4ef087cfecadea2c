//! The kernel side, as the agent sees it: load, fill, attach, read.
//!
//! Every run of the agent loads its own programs and maps, fills the maps from
//! the store, and only then puts the new programs in the place of those an
//! earlier run left: what is attached is always complete, whatever the earlier
//! run's layout was. Links are pinned, so the guard outlives the agent.

mod attach;
mod clsact;
mod debug;
mod denials;
mod device;
mod error;
mod examine;
mod existing;
mod flows;
mod maps;
mod object;
mod pins;
mod place;
mod rehearse;
mod watch;
mod ways;

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use token_agent_common::{
    abi::{self, Mode, Standing},
    digest::Digest,
    reason::Reason,
    verdict::{Audience, TokenEntry},
};

pub use debug::{KernelLog, TARGET as KERNEL_LOG_TARGET};
pub use denials::Denials;
pub use error::DatapathError;
pub use existing::Settled;
pub(crate) use maps::{credential_rule, options};
pub(crate) use object::MAX_AUDIENCES;
pub use pins::PinDirectory;
pub use rehearse::{Program, Rehearsal};
pub use ways::Way;

use crate::{
    config::{Config, Facing, Service},
    token::key::HashKey,
};

/// The programs and maps of one run of the agent.
pub struct Datapath {
    object: aya::Ebpf,
    maps: maps::Maps,
    denials: Option<Denials>,
    flows: flows::Flows,
    /// Whether the tables of connections are those of an earlier run.
    goes_on: bool,
    watch: Option<watch::Watch>,
}

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
    /// Which side it faces: `client` or `service`.
    pub facing: &'static str,
    /// The guard's: `xdp` or `tc`.
    pub hook: Option<&'static str>,
    /// `native`, `generic`, `tcx` or `clsact`.
    pub mode: Option<&'static str>,
    /// `attached`, or what is wrong.
    pub state: InterfaceState,
}

impl Interface {
    /// Whether the guard is on it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        match self.state {
            InterfaceState::Attached | InterfaceState::Degraded(_) => true,
            InterfaceState::Failed(_) | InterfaceState::Missing => false,
        }
    }
}

/// Whether an interface is guarded.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// Guarded.
    Attached,
    /// Guarded, but not as it should be.
    Degraded(String),
    /// No such interface.
    Missing,
    /// Not guarded, for this reason.
    Failed(String),
}

/// How full a map is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct MapUse {
    /// Its name: `tokens`, `audiences`, `flows`, `unacked_buffers`, `unacked_pages`.
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
    pub fn load(config: &Config, key: &HashKey) -> Result<Self, DatapathError> {
        Self::fill(object::load(config, None, false)?, config, key)
    }

    /// The same, going on with the connections that an earlier run's programs
    /// remember, if they are pinned in `pins`. With `log`, the kernel side tells
    /// what it does.
    ///
    /// # Errors
    /// As above.
    pub fn take_over(
        config: &Config,
        key: &HashKey,
        pins: &PinDirectory,
        log: bool,
    ) -> Result<Self, DatapathError> {
        let goes_on = flows::prepare(&pins.pins, &config.datapath)?;
        let object = object::load(config, Some(&pins.pins), log)?;
        Ok(Self {
            goes_on,
            ..Self::fill(object, config, key)?
        })
    }

    fn fill(mut object: aya::Ebpf, config: &Config, key: &HashKey) -> Result<Self, DatapathError> {
        let maps = maps::Maps::new(&mut object, config, key)?;
        let denials = Some(Denials::new(&mut object)?);
        let flows = flows::Flows::new(&mut object, &config.datapath)?;
        Ok(Self {
            object,
            maps,
            denials,
            flows,
            goes_on: false,
            watch: None,
        })
    }

    /// Guards the configured interfaces: attaches, or replaces what an earlier run left pinned.
    /// Tells of each configured interface how that went.
    ///
    /// # Errors
    /// What concerns all of them, such as pins that cannot be listed.
    pub fn attach(
        &mut self,
        config: &Config,
        directory: &PinDirectory,
    ) -> Result<Vec<Interface>, DatapathError> {
        let pins = directory.pins.clone();
        // Before anything is attached: what a connection is called must not change under way.
        for device in device::list().map_err(DatapathError::Interfaces)? {
            let facing = match config.datapath.interfaces.facing(&device.name) {
                Some(Facing::Service) => abi::Facing::Service,
                Some(Facing::Client) => abi::Facing::Clients,
                None => continue,
            };
            self.maps.put_interface(device.index, facing)?;
        }
        let attached = attach::attach(&mut self.object, config, &pins)?;
        let interfaces = attached.interfaces.clone();
        self.watch = Some(watch::Watch::new(&mut self.object, config, pins, attached)?);
        Ok(interfaces)
    }

    /// Sees to the connections that are older than the guard, as their services want it. Call it
    /// once the guard is on. There are none if it went on with what an earlier run's guard knew. From then
    /// on data of connections that do not exist is answered by a RST.
    ///
    /// # Errors
    /// If the kernel does not list them.
    pub fn settle(&mut self, services: &[Service]) -> Result<Vec<Settled>, DatapathError> {
        let settled = if self.goes_on {
            Vec::new()
        } else {
            let program = object::classifier(&mut self.object, object::ADOPT)?;
            existing::settle(services, |existing, adopt| {
                existing.ask(program, adopt).unwrap_or(Standing::Unknown)
            })?
        };
        self.maps.answer()?;
        Ok(settled)
    }

    /// How the interfaces are guarded now: what was attached may be gone, and
    /// there may be new ones, which are not guarded. None before anything was attached.
    ///
    /// # Errors
    /// The kernel's.
    pub fn look(&self) -> Result<Vec<Interface>, DatapathError> {
        self.watch
            .as_ref()
            .map_or_else(|| Ok(Vec::new()), watch::Watch::look)
    }

    /// What the kernel holds of tokens.
    ///
    /// # Errors
    /// The kernel's.
    pub fn tokens(&self) -> Result<BTreeMap<Digest, TokenEntry>, DatapathError> {
        self.maps.tokens()
    }

    /// Adds or changes a token. When this returns, the next packet is judged by it.
    ///
    /// # Errors
    /// The kernel's, a full map among them.
    pub fn put_token(&mut self, digest: &Digest, entry: &TokenEntry) -> Result<(), DatapathError> {
        self.maps.put_token(digest, entry)
    }

    /// Removes a token; that it was not there is fine.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_token(&mut self, digest: &Digest) -> Result<(), DatapathError> {
        self.maps.remove_token(digest)
    }

    /// Says that `audience` contains `service`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn put_audience(
        &mut self,
        audience: Audience,
        service: ServiceNumber,
    ) -> Result<(), DatapathError> {
        self.maps.put_audience(audience, service)
    }

    /// Puts a mode in force for a service until `until` (nanoseconds since the
    /// Unix epoch, `u64::MAX` for good), or goes back to the configured one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn override_mode(
        &mut self,
        service: ServiceNumber,
        mode: Option<(Mode, u64)>,
    ) -> Result<(), DatapathError> {
        self.maps.override_mode(service, mode)
    }

    /// Tells the kernel how far TAI is ahead of UTC, if that changed. Call it every few seconds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn follow_clock(&mut self) -> Result<(), DatapathError> {
        self.maps.follow_clock()
    }

    /// Every counter that is not zero.
    ///
    /// # Errors
    /// The kernel's.
    pub fn counters(&self) -> Result<Vec<Counter>, DatapathError> {
        self.maps.counters()
    }

    /// How full the maps are.
    ///
    /// # Errors
    /// The kernel's.
    pub fn maps(&self) -> Result<Vec<MapUse>, DatapathError> {
        let mut maps = self.maps.usage();
        maps.extend(self.flows.usage()?);
        Ok(maps)
    }

    /// Forgets connections that are over. The kernel does so by itself when new ones begin;
    /// call it every few seconds all the same.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sweep(&mut self) -> Result<(), DatapathError> {
        self.flows
            .sweep(object::classifier(&mut self.object, object::SWEEP)?)
    }

    /// How many denials the kernel could not report, since the ring buffer was full.
    ///
    /// # Errors
    /// The kernel's.
    pub fn denials_lost(&self) -> Result<u64, DatapathError> {
        self.maps.denials_lost()
    }

    /// The denials the kernel reports, from now on. There is one reader: `None` the second time.
    #[must_use]
    pub fn denials(&mut self) -> Option<Denials> {
        self.denials.take()
    }

    /// What the kernel side tells of what it does, if it was loaded with that wish.
    ///
    /// # Errors
    /// The kernel's, or that it was asked for before.
    pub fn kernel_log(&mut self) -> Result<KernelLog, DatapathError> {
        KernelLog::new(&mut self.object)
    }

    /// Runs a program on a frame that is on no wire, `repeat` times, by the
    /// kernel's `BPF_PROG_TEST_RUN`. Counters and events are real.
    ///
    /// # Errors
    /// The kernel's.
    pub fn rehearse(
        &mut self,
        program: Program,
        frame: &[u8],
        repeat: u32,
    ) -> Result<Rehearsal, DatapathError> {
        rehearse::rehearse(&mut self.object, program, frame, repeat)
    }

    /// How many instructions the verifier looked at to accept a program.
    ///
    /// # Errors
    /// The kernel's.
    pub fn verified_instructions(&mut self, program: Program) -> Result<u32, DatapathError> {
        rehearse::verified_instructions(&mut self.object, program)
    }
}

// The hash key is in there.
impl std::fmt::Debug for Datapath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Datapath(..)")
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
pub fn detach(pin_dir: &Path, which: &Which) -> Result<Vec<String>, DatapathError> {
    attach::detach(pin_dir, which)
}

/// The ways to each service that are not guarded, if the guard is as `interfaces` tell.
///
/// # Errors
/// If interfaces or addresses cannot be listed.
pub fn uncovered(
    config: &Config,
    interfaces: &[Interface],
) -> Result<Vec<Vec<Way>>, DatapathError> {
    ways::uncovered(config, interfaces)
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
pub fn examine(config: Option<&Config>) -> Vec<Finding> {
    examine::examine(config)
}
