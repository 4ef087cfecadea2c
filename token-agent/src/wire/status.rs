//! How the agent is.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ModeWord;
use crate::{
    datapath::{Interface, InterfaceState, MapUse, Settled},
    store::{Counts, Revision},
};

/// Whether requests are judged, where, and with what.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Whether any service at all is guarded: an interface is attached and a service is in mode `enforce`.
    pub enforcing: bool,
    /// What is not as it should be.
    pub degraded: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// When this agent took over.
    pub since: Timestamp,
    pub version: String,
    pub interfaces: Vec<InterfaceStatus>,
    pub services: Vec<ServiceStatus>,
    pub tokens: Tokens,
    pub maps: Vec<MapStatus>,
    pub revision: Revisions,
    pub overrides: Vec<Override>,
}

/// One interface.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InterfaceStatus {
    pub name: String,
    pub ifindex: Option<u32>,
    pub facing: Cow<'static, str>,
    pub hook: Option<Cow<'static, str>>,
    pub mode: Option<Cow<'static, str>>,
    /// `attached`, `degraded`, `missing` or `failed`.
    pub state: Cow<'static, str>,
    /// What is wrong, if it is degraded or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One service, with the mode in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServiceStatus {
    pub name: String,
    pub mode: ModeWord,
    pub on_deny: Cow<'static, str>,
    /// The interfaces by which it can be reached past the guard.
    #[serde(default)]
    pub uncovered: Vec<String>,
    /// What became of its connections that were older than the guard when this agent took over.
    #[serde(default)]
    pub older_connections: OlderConnections,
}

/// How many connections that were older than the guard became what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct OlderConnections {
    /// They are judged from their first byte on.
    pub adopted: u32,
    pub closed: u32,
    /// Nothing passes on them, or everything if the service is only monitored.
    pub left: u32,
}

/// How many tokens are in which state.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tokens {
    pub active: u64,
    pub pending: u64,
    pub expired: u64,
    pub revoked: u64,
}

/// How full a map is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MapStatus {
    pub name: Cow<'static, str>,
    pub used: u32,
    pub capacity: u32,
}

/// Up to which change each side has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revisions {
    pub store: Revision,
    pub kernel: Revision,
}

/// A mode other than the configured one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Override {
    pub service: String,
    pub mode: ModeWord,
    /// Null: until it is changed.
    pub until: Option<Timestamp>,
}

impl From<Interface> for InterfaceStatus {
    fn from(interface: Interface) -> Self {
        let (state, error) = match interface.state {
            InterfaceState::Attached => ("attached", None),
            InterfaceState::Degraded(why) => ("degraded", Some(why)),
            InterfaceState::Missing => ("missing", None),
            InterfaceState::Failed(why) => ("failed", Some(why)),
        };
        Self {
            name: interface.name,
            ifindex: interface.ifindex,
            facing: interface.facing.into(),
            hook: interface.hook.map(Cow::from),
            mode: interface.mode.map(Cow::from),
            state: state.into(),
            error,
        }
    }
}

impl From<&Settled> for OlderConnections {
    fn from(settled: &Settled) -> Self {
        Self {
            adopted: settled.adopted,
            closed: settled.closed,
            left: settled.left,
        }
    }
}

impl From<MapUse> for MapStatus {
    fn from(map: MapUse) -> Self {
        Self {
            name: map.name.into(),
            used: map.used,
            capacity: map.capacity,
        }
    }
}

impl From<Counts> for Tokens {
    fn from(counts: Counts) -> Self {
        Self {
            active: counts.active,
            pending: counts.pending,
            expired: counts.expired,
            revoked: counts.revoked,
        }
    }
}
