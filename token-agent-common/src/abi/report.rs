//! What the kernel counts and tells.

use bytemuck::{Pod, Zeroable};

use super::FlowKey;
use crate::{digest::Digest, reason::Reason};

/// What is counted of the tables of connections, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Usage {
    /// Slots that some connection has.
    Slots = 0,
    /// Slots that were ever used.
    SlotsEver = 1,
    /// Buffers that some connection has.
    Buffers = 2,
    /// Buffers that were ever used.
    BuffersEver = 3,
    /// How many slots were looked at whether they can be given back.
    Swept = 4,
    /// Pages that some buffer has.
    Pages = 5,
    /// Pages that were ever used.
    PagesEver = 6,
}

impl Usage {
    /// How many counts there are.
    pub const COUNT: u32 = 7;
}

/// Where a counter stands in the per-CPU array of counters.
///
/// A row for each service and way of enforcement; a column for each reason.
/// Row 0 is for packets that belong to no one service.
#[inline(always)]
#[must_use]
pub const fn counter_index(service: u32, enforced: bool, reason: Reason) -> u32 {
    (service * 2 + enforced as u32) * Reason::COUNT as u32 + reason as u32
}

/// How many counters `services` services (numbered from 1) need.
#[must_use]
pub const fn counters(services: u32) -> u32 {
    (services + 1) * 2 * Reason::COUNT as u32
}

/// A denial, as the kernel reports it through the ring buffer.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Denial {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The method's first eight bytes, zero-padded; zero if none was read.
    pub method: [u8; 8],
    /// The credential's digest; all zero if there was none.
    pub digest: Digest,
    /// The client, the server and their ports.
    pub flow: FlowKey,
    /// The interface the packet arrived on.
    pub interface: u32,
    /// The service's number, 0 for none.
    pub service: u32,
    /// [`Reason`] as a number.
    pub reason: u8,
    /// 1 if the packet was dropped, 0 if the service is only monitored.
    pub enforced: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

/// The kernel wakes the agent for denials at most that often, in nanoseconds.
/// For longer than that after it was woken, the agent looks again by itself.
pub const WAKE_INTERVAL: u64 = 20_000_000;

/// What a CPU keeps about reporting.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Reporting {
    /// Denials that did not fit in the ring buffer.
    pub lost: u64,
    /// When the agent was last woken, in nanoseconds since the Unix epoch.
    pub woken: u64,
}
