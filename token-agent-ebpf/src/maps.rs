//! The maps, private to this file, and what may be done with them.
//!
//! Those sized by the configuration are given their size at load: what stands
//! here is the smallest one.

use core::hint::black_box;

use aya_ebpf::{
    bindings::{BPF_ANY, BPF_F_MMAPABLE, BPF_NOEXIST, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf, Stack},
    macros::btf_map,
};
use token_agent_common::{
    abi::{
        self, Address, AudienceKey, Denial, Facing, FlowKey, ListenKey, Ports, Question, Reporting,
        ServicePolicy, Settings, Usage, WAKE_INTERVAL,
    },
    digest::Digest,
    guard::Work,
    packet::{Headers, options::Search, reset::Reset},
    stream::{Buffer, Offers, Page, Slot, Witness},
    verdict::{Audience, TokenEntry},
};

use crate::{adopt::Socket, clock::Clock, mark};

/// What is needed while one packet is judged; each CPU has its own.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) headers: Headers,
    pub(crate) about: About,
    pub(crate) search: Search,
    pub(crate) offers: Offers,
    /// What the agent asks, instead of a packet.
    pub(crate) question: Question,
    /// The socket it asks about.
    pub(crate) socket: Socket,
    /// What is sent back instead of a packet.
    pub(crate) reset: Reset,
    /// The slot of the connection that is held, and the mark on it.
    pub(crate) slot: u32,
    /// When the packet came, in [`ticks`](token_agent_common::stream::ticks).
    pub(crate) now: u32,
    pub(crate) mark: u64,
    pub(crate) work: Work,
}

/// For whom a packet is, and what its token is.
#[repr(C)]
pub(crate) struct About {
    /// The number of the service the packet is for, 0 if it belongs to no one.
    pub(crate) service: u32,
    pub(crate) interface: u32,
    /// What is known of the token at hand.
    pub(crate) entry: TokenEntry,
    /// The clock as it was last read.
    pub(crate) clock: Clock,
}

/// Per-CPU values may be at most this large.
const _: () = assert!(size_of::<Scratch>() <= 32 * 1024);

#[btf_map]
static SCRATCH: PerCpuArray<Scratch, 2> = PerCpuArray::new();

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

/// From a connection to the number of its slot. An entry is put in when the connection begins, by
/// who has the slot's mark, and taken out by who has it when the slot is given back: while it is
/// there, the slot is that connection's.
#[btf_map]
static FLOWS: HashMap<FlowKey, u32, 1> = HashMap::new();

/// The slots of connections that were looked up last, by [`FlowKey::place`], as their numbers plus one. The slot
/// tells whether it is the right one: looking there costs less than looking in `FLOWS`.
#[btf_map]
static RECENT: Array<u32, { abi::RECENT as usize }> = Array::new();

/// A map that could be mapped begins a page, and so a line of the cache. (Nobody maps it.)
const MAPPABLE: usize = BPF_F_MMAPABLE as usize;

#[btf_map]
static SLOTS: Array<Slot, 1, MAPPABLE> = Array::new();

/// By the number of the slot.
#[btf_map]
static WITNESSES: Array<Witness, 1, MAPPABLE> = Array::new();

/// Slots that were given back.
#[btf_map]
static FREE_SLOTS: Stack<u32, 1> = Stack::new();

#[btf_map]
static BUFFERS: Array<Buffer, 1> = Array::new();

/// Buffers that were given back.
#[btf_map]
static FREE_BUFFERS: Stack<u32, 1> = Stack::new();

#[btf_map]
static PAGES: Array<Page, 1> = Array::new();

/// Pages that were given back.
#[btf_map]
static FREE_PAGES: Stack<u32, 1> = Stack::new();

/// See [`Usage`].
#[btf_map]
static USAGE: Array<u64, { Usage::COUNT as usize }> = Array::new();

/// Which pairs of sequence numbers were offered to whom. The least recently used may be pushed out: a
/// flood of SYNs costs those their connections who are just opening one, and nobody else.
#[btf_map]
static OFFERS: LruHashMap<FlowKey, Offers, 1> = LruHashMap::new();

/// From the index of an interface to whom it faces: a [`Facing`] as a number.
#[btf_map]
static INTERFACES: HashMap<u32, u32, { abi::INTERFACES as usize }> = HashMap::new();

/// How many connections a source has.
#[btf_map]
static SOURCES: HashMap<Address, u64, 1> = HashMap::new();

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

/// The same for what the agent runs, which a packet can interrupt. The agent runs one at a time.
#[inline(always)]
pub(crate) fn scratch_of_agent() -> Option<&'static mut Scratch> {
    // SAFETY: as above.
    SCRATCH
        .get_ptr_mut(1)
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

/// No slot's number.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// The number of a connection's slot, or [`NO_SLOT`]. What stands there may be another's by now, which its key tells.
#[inline(always)]
pub(crate) fn flow(key: &FlowKey) -> u32 {
    let Some(recent) = RECENT.get_ptr_mut(key.place()) else {
        return NO_SLOT;
    };
    // SAFETY: a number, which only says where to look first.
    let likely = unsafe { recent.read_volatile() }.wrapping_sub(1);
    if slot_of(likely, key).is_some() {
        return likely;
    }
    // SAFETY: the value is copied at once.
    let Some(index) = (unsafe { FLOWS.get(key).copied() }) else {
        return NO_SLOT;
    };
    // SAFETY: as above.
    unsafe { recent.write_volatile(index + 1) };
    index
}

/// The connection's slot and its number, if it is where it was found last.
#[inline(always)]
pub(crate) fn recent(key: &FlowKey) -> Option<(*mut Slot, u32)> {
    let index = RECENT.get(key.place())?.wrapping_sub(1);
    Some((slot_of(index, key)?, index))
}

/// The slot of this number, if it is the connection's.
#[inline(always)]
fn slot_of(index: u32, key: &FlowKey) -> Option<*mut Slot> {
    // SAFETY: a slot is a map's value.
    slot(index).filter(|slot| unsafe { &**slot }.connection.key == *key)
}

#[inline(always)]
pub(crate) fn slot(index: u32) -> Option<*mut Slot> {
    SLOTS.get_ptr_mut(index)
}

/// What was seen of the server of the connection that has this slot.
#[inline(always)]
pub(crate) fn witness(index: u32) -> Option<*mut Witness> {
    WITNESSES.get_ptr_mut(index)
}

/// Says that the connection has this slot; false if there is no room, or it has one.
#[inline(always)]
pub(crate) fn enter(key: &FlowKey, slot: u32) -> bool {
    FLOWS.insert(key, slot, u64::from(BPF_NOEXIST)).is_ok()
}

/// Says that the connection has no slot.
#[inline(always)]
pub(crate) fn leave(key: &FlowKey) {
    // That it had none is fine.
    let _ = FLOWS.remove(key);
}

/// A slot that is nobody's.
#[inline(always)]
pub(crate) fn free_slot() -> Option<u32> {
    let index = FREE_SLOTS
        .pop()
        .ok()
        .flatten()
        .or_else(|| fresh(Usage::SlotsEver, |index| slot(index).is_some()))?;
    account(Usage::Slots, 1);
    Some(index)
}

#[inline(always)]
pub(crate) fn give_slot(index: u32) {
    // There is room: the stack is as large as the array.
    let _ = FREE_SLOTS.push(index, 0);
    account(Usage::Slots, u64::MAX);
}

#[inline(always)]
pub(crate) fn buffer(index: u32) -> Option<&'static mut Buffer> {
    // SAFETY: a buffer is used by who has the mark on the connection it belongs to.
    BUFFERS
        .get_ptr_mut(index)
        .map(|buffer| unsafe { &mut *buffer })
}

/// A buffer that is nobody's.
#[inline(always)]
pub(crate) fn free_buffer() -> Option<u32> {
    let index = FREE_BUFFERS
        .pop()
        .ok()
        .flatten()
        .or_else(|| fresh(Usage::BuffersEver, |index| buffer(index).is_some()))?;
    account(Usage::Buffers, 1);
    Some(index)
}

#[inline(always)]
pub(crate) fn give_buffer(index: u32) {
    // As above.
    let _ = FREE_BUFFERS.push(index, 0);
    account(Usage::Buffers, u64::MAX);
}

#[inline(always)]
pub(crate) fn page(index: u32) -> Option<&'static mut Page> {
    // SAFETY: a page is used by who has the mark on the connection it belongs to.
    PAGES.get_ptr_mut(index).map(|page| unsafe { &mut *page })
}

/// A page that is nobody's.
#[inline(always)]
pub(crate) fn free_page() -> Option<u32> {
    let index = FREE_PAGES
        .pop()
        .ok()
        .flatten()
        .or_else(|| fresh(Usage::PagesEver, |index| page(index).is_some()))?;
    account(Usage::Pages, 1);
    Some(index)
}

#[inline(always)]
pub(crate) fn give_page(index: u32) {
    // As above.
    let _ = FREE_PAGES.push(index, 0);
    account(Usage::Pages, u64::MAX);
}

/// One that was never used, if there is any.
#[inline(always)]
fn fresh(ever: Usage, is_there: impl Fn(u32) -> bool) -> Option<u32> {
    // Not counted on and on when all are used.
    if !is_there(usage(ever) as u32) {
        return None;
    }
    let index = account(ever, 1) as u32;
    is_there(index).then_some(index)
}

#[inline(always)]
pub(crate) fn usage(of: Usage) -> u64 {
    // SAFETY: the value is there as long as the program.
    USAGE
        .get_ptr(of as u32)
        .map_or(0, |count| unsafe { count.read_volatile() })
}

/// Adds (wrapping) to one of the counts, and gives what it was.
#[inline(always)]
pub(crate) fn account(of: Usage, by: u64) -> u64 {
    // SAFETY: as above.
    USAGE
        .get_ptr_mut(of as u32)
        .map_or(0, |count| unsafe { mark::add(count, by) })
}

/// Counts one connection more of a source; false if it has as many as it may, or there is no room.
#[inline(always)]
pub(crate) fn admit_source(source: &Address, quota: u64) -> bool {
    if let Some(count) = SOURCES.get_ptr_mut(source) {
        // SAFETY: the count may be another source's by now: then that one's is one too high, until
        // its connections have ended.
        unsafe {
            let has_room = count.read_volatile() < quota;
            if has_room {
                mark::add(count, 1);
            }
            has_room
        }
    } else {
        SOURCES.insert(source, 1, u64::from(BPF_ANY)).is_ok()
    }
}

/// Counts one connection less.
#[inline(always)]
pub(crate) fn leave_source(source: &Address) {
    if let Some(count) = SOURCES.get_ptr_mut(source) {
        // SAFETY: as above.
        if unsafe { mark::add(count, u64::MAX) } <= 1 {
            // That it was taken out is fine.
            let _ = SOURCES.remove(source);
        }
    }
}

/// Whether the interface faces a service.
#[inline(always)]
pub(crate) fn faces_service(settings: &Settings, interface: u32) -> bool {
    settings.is_zoned() && faces(interface, Facing::Service)
}

/// Whether the interface faces clients.
#[inline(always)]
pub(crate) fn faces_clients(interface: u32) -> bool {
    faces(interface, Facing::Clients)
}

#[inline(always)]
fn faces(interface: u32, whom: Facing) -> bool {
    // SAFETY: the value is copied at once.
    let known = unsafe { INTERFACES.get(interface).copied() };
    known == Some(whom as u32)
}

/// Which connections may have the same addresses as this one and be others: those of another zone.
#[inline(always)]
pub(crate) fn zone(settings: &Settings, flow: &FlowKey, interface: u32) -> u32 {
    if faces_service(settings, interface)
        || flow.client.is_link_local()
        || flow.server.is_link_local()
    {
        interface
    } else {
        0
    }
}

/// Copies what was offered to a connection; false if it was changed at this very moment.
#[inline(always)]
pub(crate) fn offers(key: &FlowKey, to: &mut Offers) -> bool {
    // SAFETY: the value is copied at once. It can be another connection's by then,
    // which its seal tells.
    match unsafe { OFFERS.get(key) } {
        Some(offers) => {
            *to = *offers;
            // Read again, so that what is used is what was checked.
            black_box(to).unseal(key)
        }
        None => {
            *to = Offers::NONE;
            true
        }
    }
}

#[inline(always)]
pub(crate) fn offer(key: &FlowKey, offers: &Offers) {
    // An LRU map always finds room, in the end; else the server offers it again.
    let _ = OFFERS.insert(key, offers.sealed(key), u64::from(BPF_ANY));
}

/// None of the offers can be taken up any more.
#[inline(always)]
pub(crate) fn withdraw(key: &FlowKey, offers: &mut Offers) {
    offers.withdraw();
    offer(key, offers);
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
