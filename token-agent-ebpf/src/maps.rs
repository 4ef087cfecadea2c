//! The maps, private to this file, and what may be done with them.
//!
//! Those sized by the configuration are given their size at load: what stands
//! here is the smallest one.

use core::hint::black_box;

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{Array, HashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use token_agent_common::{
    abi::{
        AudienceKey, Denial, FlowKey, ListenKey, Ports, Reporting, ServicePolicy, Settings,
        WAKE_INTERVAL,
    },
    digest::Digest,
    packet::{Headers, Segment},
    stream::{Flow, Reader},
    verdict::{Audience, TokenEntry},
    window::Window,
};

use crate::clock::Clock;

/// What is needed while one packet is judged; each CPU has its own.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) headers: Headers,
    /// What the headers say.
    pub(crate) segment: Segment,
    /// The number of the service the packet is for, 0 if it belongs to no one.
    pub(crate) service: u32,
    pub(crate) interface: u32,
    /// The digest of the credential at hand, zero if there is none.
    pub(crate) digest: Digest,
    /// What is known of the token at hand.
    pub(crate) entry: TokenEntry,
    /// What is remembered of the connection.
    pub(crate) known: Flow,
    /// The clock as it was last read.
    pub(crate) clock: Clock,
    /// Requests allowed so far.
    pub(crate) allowed: u32,
    /// Why something was denied last: a [`Reason`](token_agent_common::reason::Reason) as a number.
    pub(crate) denied: u32,
    /// How reading ended; see `guard::Outcome`.
    pub(crate) outcome: u32,
    pub(crate) reader: Reader,
    pub(crate) window: Window,
}

/// Per-CPU values may be at most this large.
const _: () = assert!(size_of::<Scratch>() <= 32 * 1024);

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

#[btf_map]
static SETTINGS: Array<Settings, 1> = Array::new();

#[btf_map]
static PORTS: Array<Ports, { Ports::COUNT as usize }> = Array::new();

#[btf_map]
static LISTENERS: HashMap<ListenKey, u32, 1> = HashMap::new();

#[btf_map]
static SERVICES: Array<ServicePolicy, 1> = Array::new();

#[btf_map]
static TOKENS: HashMap<Digest, TokenEntry, 1> = HashMap::new();

#[btf_map]
static AUDIENCES: HashMap<AudienceKey, u8, 1> = HashMap::new();

#[btf_map]
static FLOWS: HashMap<FlowKey, Flow, 1> = HashMap::new();

#[btf_map]
static COUNTERS: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
static DENIALS: RingBuf<Denial, { 1 << 20 }> = RingBuf::new();

#[btf_map]
static REPORTING: PerCpuArray<Reporting, 1> = PerCpuArray::new();

/// The CPU's scratch. A guard runs to its end before another starts on the
/// same CPU, so there is never a second borrow.
#[inline(always)]
pub(crate) fn scratch() -> Option<&'static mut Scratch> {
    // SAFETY: as above; the kernel's memory is zeroed at first, which is a valid `Scratch`.
    SCRATCH
        .get_ptr_mut(0)
        .map(|scratch| unsafe { &mut *scratch })
}

#[inline(always)]
pub(crate) fn settings() -> Option<&'static Settings> {
    SETTINGS.get(0)
}

#[inline(always)]
pub(crate) fn ports(port: u16) -> Option<&'static Ports> {
    PORTS.get(Ports::index(port))
}

/// The number of the service that listens there.
#[inline(always)]
pub(crate) fn listener(key: &ListenKey) -> Option<u32> {
    // SAFETY: the value is copied at once, and listeners are never removed while a guard runs.
    unsafe { LISTENERS.get(key).copied() }
}

#[inline(always)]
pub(crate) fn service(number: u32) -> Option<&'static ServicePolicy> {
    SERVICES.get(number)
}

/// Copies what is known of a token; false if there is no such token.
#[inline(always)]
pub(crate) fn token(digest: &Digest, to: &mut TokenEntry) -> bool {
    // SAFETY: the value is copied at once. It can be another token's by then,
    // which its seal tells.
    match unsafe { TOKENS.get(digest) } {
        Some(entry) => {
            *to = *entry;
            true
        }
        None => false,
    }
}

#[inline(always)]
pub(crate) fn is_for(audience: Audience, service: u32) -> bool {
    if audience == Audience::EVERY {
        return true;
    }
    let key = AudienceKey {
        audience: audience.number(),
        service,
    };
    // SAFETY: only whether it is there is used.
    unsafe { AUDIENCES.get(key).is_some() }
}

/// Copies what is remembered of a connection; false if it was changed at this very moment.
#[inline(always)]
pub(crate) fn recall(key: &FlowKey, to: &mut Flow) -> bool {
    // SAFETY: the value is copied at once. It can be another connection's by then,
    // which its seal tells.
    match unsafe { FLOWS.get(key) } {
        Some(flow) => {
            *to = *flow;
            // Read again, so that what is used is what was checked.
            black_box(to).unseal(key)
        }
        None => {
            *to = Flow::NONE;
            true
        }
    }
}

/// Remembers that of a connection; false if there is no room.
///
/// A function of its own in the kernel too: the sealed copy is on its stack, which is back before others need theirs.
#[inline(never)]
pub(crate) fn remember(key: &FlowKey, flow: &Flow) -> bool {
    FLOWS
        .insert(key, flow.sealed(key), u64::from(BPF_ANY))
        .is_ok()
}

#[inline(always)]
pub(crate) fn forget(key: &FlowKey) {
    // That there was nothing to forget is fine.
    let _ = FLOWS.remove(key);
}

/// Adds to a counter; see `token_agent_common::abi::counter_index`.
#[inline(always)]
pub(crate) fn count(index: u32, by: u64) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the counter is this CPU's own.
        unsafe { *counter += by };
    }
}

/// Hands a denial to the agent, or counts that it was lost.
///
/// Waking the agent costs more than judging the packet, so it is woken at most
/// once in [`WAKE_INTERVAL`]; it looks again by itself for a while after that.
#[inline(always)]
pub(crate) fn report(now: u64, denial: impl FnOnce() -> Denial) {
    let Some(state) = REPORTING.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the state is this CPU's own.
    let state = unsafe { &mut *state };
    let Some(mut slot) = DENIALS.reserve(0) else {
        state.lost += 1;
        return;
    };
    slot.write(denial());
    if now.wrapping_sub(state.woken) < WAKE_INTERVAL {
        slot.submit(u64::from(BPF_RB_NO_WAKEUP));
    } else {
        state.woken = now;
        slot.submit(u64::from(BPF_RB_FORCE_WAKEUP));
    }
}
