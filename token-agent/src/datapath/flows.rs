//! The kernel's table of connections. It alone goes on from one run of the agent
//! to the next: what it knows of bodies under way is known nowhere else, and
//! without it the rest of a body would be judged as if it were requests.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError, MapInfo, MapType},
};
use nix::errno::Errno;
use token_agent_common::{
    abi::FlowKey,
    stream::{self, Flow},
};

use super::{
    MapUse,
    error::DatapathError,
    maps::{Raw, is, read, take, write},
    pins::Pins,
};
use crate::config::Config;

pub(super) const NAME: &str = "FLOWS";

/// The table of connections, to be kept in order.
pub struct Flows {
    map: HashMap<MapData, Raw<FlowKey>, Raw<Flow>>,
    capacity: u32,
    used: Used,
}

/// How many connections were in the table when it was last gone through.
#[derive(Clone, Debug, Default)]
pub(super) struct Used(Arc<AtomicU32>);

impl Used {
    pub(super) fn usage(&self, capacity: u32) -> MapUse {
        MapUse {
            name: "flows",
            used: self.0.load(Ordering::Relaxed),
            capacity,
        }
    }
}

impl Flows {
    pub(super) fn new(object: &mut Ebpf, capacity: u32, used: Used) -> Result<Self, DatapathError> {
        let map = take(object, NAME)?;
        Ok(Self {
            map,
            capacity,
            used,
        })
    }

    /// Forgets the connections of which nothing was heard for an hour (or five
    /// minutes, if it has ended or nothing passed since something was denied) at `now`, a time
    /// of the monotonic clock. The kernel removes those that it sees end.
    ///
    /// # Errors
    /// The kernel's.
    pub fn forget_idle(&mut self, now: Duration) -> Result<(), DatapathError> {
        let now = stream::ticks(now.as_nanos() as u64);
        let mut idle = Vec::new();
        let mut used = 0;
        // Where the entry is gone at which it stands, the kernel begins anew: with
        // connections that end all the time, there would be no end to it.
        for entry in self.map.iter().take(2 * self.capacity as usize) {
            match entry {
                Ok((key, flow)) if flow.0.is_idle(now) => idle.push(key),
                Ok(_) => used += 1,
                // Taken away while the table was gone through.
                Err(error) if is(&error, Errno::ENOENT) => {}
                Err(error) => return Err(read(NAME)(error)),
            }
        }
        for key in idle {
            // It may have come to life again.
            match self.map.get(&key, 0) {
                Ok(flow) if flow.0.is_idle(now) => {}
                Ok(_) => continue,
                Err(error) if is(&error, Errno::ENOENT) => continue,
                Err(error) => return Err(read(NAME)(error)),
            }
            match self.map.remove(&key) {
                Ok(()) => {}
                Err(error) if is(&error, Errno::ENOENT) => {}
                Err(error) => return Err(write(NAME)(error)),
            }
        }
        self.used.0.store(used, Ordering::Relaxed);
        Ok(())
    }
}

// What connections there are is nobody's business.
impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Flows(..)")
    }
}

/// Makes sure that what is pinned, if anything, is a table that this version can go on with.
pub(super) fn prepare(pins: &Pins, config: &Config) -> Result<(), DatapathError> {
    let path = pins.flows();
    // Without a guard, connections went on unseen.
    let is_stale = pins.list()?.is_empty() || !fits(&path, config).unwrap_or(false);
    if path.exists() && is_stale {
        pins.remove_flows()?;
    }
    Ok(())
}

fn fits(path: &Path, config: &Config) -> Result<bool, MapError> {
    let info = MapInfo::from_pin(path)?;
    Ok(info.map_type()? == MapType::Hash
        && info.key_size() == size_of::<FlowKey>() as u32
        && info.value_size() == size_of::<Flow>() as u32
        && info.max_entries() == config.datapath.max_flows)
}
