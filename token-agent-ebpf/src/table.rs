//! The table of connections: who gets a slot, and when it is given back.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use token_agent_common::{
    abi::Usage,
    http1::Place,
    reason::Reason,
    stream::{Buffer, Connection, PAGES, Pair, Slot, ticks},
};

use crate::{
    maps::{self, NO_SLOT, Scratch},
    mark,
    report::Case,
};

/// A connection's slot, and the mark on it.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    pub(crate) slot: *mut Slot,
    mark: u64,
}

impl Held {
    /// Takes the mark on a slot.
    #[inline(always)]
    pub(crate) fn take(slot: *mut Slot, now: u64) -> Option<Self> {
        let mark = mark::take(slot, now);
        (mark != 0).then_some(Self { slot, mark })
    }

    #[inline(always)]
    pub(crate) fn give(self) {
        mark::give(self.slot, self.mark);
    }
}

/// What came of asking for a connection: one of these, or the number of a [`Reason`].
pub(crate) struct Hold;

impl Hold {
    /// It is held, and what is known of it is in `work`.
    pub(crate) const HELD: u32 = u32::MAX;
    /// There is none, and the segment means nothing to anybody.
    pub(crate) const PASS: u32 = u32::MAX - 1;
    /// There is none, nor is one offered.
    pub(crate) const STRANGER: u32 = u32::MAX - 2;

    /// Why the segment does not pass.
    #[inline(always)]
    pub(crate) const fn reason(code: u32) -> Reason {
        match Reason::from_code(code as u8) {
            Some(reason) => reason,
            None => Reason::Busy,
        }
    }
}

/// Holds the segment's connection, which begins with it or is known, and copies what is known of it.
#[inline(always)]
pub(crate) fn hold(scratch: &mut Scratch, found: u32, case: &Case<'_>, now: u64) -> u32 {
    scratch.now = ticks(now);
    let mut closed = NO_SLOT;
    if let Some(slot) = maps::slot(found) {
        let Some(held) = Held::take(slot, now) else {
            return Reason::Busy as u32;
        };
        scratch.slot = found;
        scratch.mark = held.mark;
        let work = &mut scratch.work;
        // SAFETY: a slot is a map's value, and the mark is ours.
        work.connection.copy_from(unsafe { &(*slot).connection });
        let is_ours = work.connection.key == work.segment.flow;
        if is_ours && !work.connection.is_closed() {
            // SAFETY: as above; the words are changed one by one.
            work.seen = unsafe { &*slot }.heard();
            return Hold::HELD;
        }
        held.give();
        if is_ours {
            closed = found;
        }
    }
    let Scratch { work, offers, .. } = &mut *scratch;
    if !maps::offers(&work.segment.flow, offers) {
        return Reason::Busy as u32;
    }
    let Some(isn) = offers.taken_by(&work.segment) else {
        // Of a connection that is over, or began elsewhere. Even if it bears nothing: with SYN cookies a server may
        // take it for the end of a handshake that nobody here will know of.
        return if work.segment.resets() {
            Hold::PASS
        } else if closed == NO_SLOT && offers.is_none() {
            Hold::STRANGER
        } else {
            Reason::NoFlow as u32
        };
    };
    bind(scratch, isn, closed, case, now)
}

/// Begins the connection that was offered with `isn`; in the slot of the one before, if that is closed.
#[inline(always)]
pub(crate) fn bind(
    scratch: &mut Scratch,
    isn: Pair,
    closed: u32,
    case: &Case<'_>,
    now: u64,
) -> u32 {
    let key = scratch.work.segment.flow;
    let mut index = closed;
    if index == NO_SLOT {
        sweep(SWEPT_AT_ONCE, now);
        if !maps::admit_source(&key.client.source(), case.settings.quota()) {
            return Reason::TableFull as u32;
        }
        let Some(free) = maps::free_slot() else {
            maps::leave_source(&key.client.source());
            return Reason::TableFull as u32;
        };
        index = free;
    }
    let start = Place::first(case.policy.options());
    scratch.work.connection.begin(&key, isn, start, ticks(now));
    let besides = scratch.offers.besides(isn);
    scratch.work.connection.note_besides(besides);
    if !enter(scratch, index, closed != NO_SLOT, now) {
        if closed == NO_SLOT {
            maps::give_slot(index);
            maps::leave_source(&key.client.source());
        }
        return Reason::Busy as u32;
    }
    maps::withdraw(&key, &mut scratch.offers);
    Hold::HELD
}

/// Makes the slot that of the connection in `work`; false if another processor was faster.
#[inline(never)]
fn enter(scratch: &mut Scratch, index: u32, was_closed: bool, now: u64) -> bool {
    let Some(witness) = maps::witness(index) else {
        return false;
    };
    let Some(held) = maps::slot(index).and_then(|slot| Held::take(slot, now)) else {
        return false;
    };
    // SAFETY: both are values of maps, and the mark is ours.
    let (slot, witness) = unsafe { (&mut *held.slot, &mut *witness) };
    let work = &mut scratch.work;
    let key = &work.segment.flow;
    // One that is over does not begin again with the same numbers, or some near them: the server may still be at it.
    let isn = work.connection.isn();
    let is_ours = if was_closed {
        slot.connection.key == *key
            && slot.connection.is_closed()
            && !slot.connection.has_begun_with(isn)
            && !slot
                .connection
                .is_near(isn, &slot.seen(witness), ticks(now))
    } else {
        maps::enter(key, index)
    };
    if !is_ours {
        held.give();
        return false;
    }
    let connection = &mut slot.connection;
    work.connection.generation = connection.generation.wrapping_add(1);
    work.connection.buffer = connection.buffer;
    if let Some(buffer) = buffer_of(connection) {
        buffer.clear();
    }
    connection.copy_from(&work.connection);
    slot.begin(witness);
    work.seen = slot.heard();
    scratch.slot = index;
    scratch.mark = held.mark;
    true
}

/// Puts back what is known of the connection that is held, and gives it back; false if it was held
/// for so long that another took it.
#[inline(always)]
pub(crate) fn put(scratch: &Scratch) -> bool {
    let Some(slot) = maps::slot(scratch.slot) else {
        return false;
    };
    let is_ours = mark::holds(slot, scratch.mark);
    if is_ours {
        // SAFETY: a slot is a map's value, and the mark is ours.
        let slot = unsafe { &mut *slot };
        slot.connection.follow(&scratch.work.connection);
        if scratch.work.asks != 0 {
            ask(slot, scratch.slot);
        }
    }
    give(scratch);
    is_ours
}

/// Asks how the server's next answer begins.
#[inline(always)]
fn ask(slot: &mut Slot, index: u32) {
    let Some(witness) = maps::witness(index) else {
        return;
    };
    // SAFETY: a witness is a map's value.
    let sent = || unsafe { (&raw const (*witness).sent).read_volatile() };
    let before = sent();
    // SAFETY: as above.
    let seen = slot.seen(unsafe { &*witness });
    slot.inquiry.ask(seen.sent);
    // SAFETY: a reference. It adds nothing: but once it is done, who sees more of the server sees the question, too.
    unsafe { mark::add(slot.inquiry.word(), 0) };
    if sent() != before {
        slot.inquiry.miss();
    }
}

/// Gives back the connection that is held.
#[inline(always)]
pub(crate) fn give(scratch: &Scratch) {
    if let Some(slot) = maps::slot(scratch.slot) {
        mark::give(slot, scratch.mark);
    }
}

/// The connection's buffer, if it has one.
#[inline(always)]
pub(crate) fn buffer_of(connection: &Connection) -> Option<&'static mut Buffer> {
    maps::buffer(connection.buffer.checked_sub(1)?)
}

/// The connection's buffer; a new one if it has none and there is one.
#[inline(always)]
pub(crate) fn need_buffer(connection: &mut Connection) -> Option<&'static mut Buffer> {
    if connection.buffer == 0 {
        let index = maps::free_buffer()?;
        connection.buffer = index + 1;
        maps::buffer(index)?.clear();
    }
    buffer_of(connection)
}

/// How many slots are looked at for each connection that begins: so the table is kept in order by
/// its use, whether the agent runs or not.
const SWEPT_AT_ONCE: u32 = 4;

/// How many slots are looked at when the agent asks for it.
pub(crate) const SWEPT: u32 = 4_096;

/// Looks at some slots, and gives back those of connections that are over.
#[inline(never)]
pub(crate) fn sweep(count: u32, now: u64) {
    extern "C" fn step(_index: u64, now: *mut c_void) -> i64 {
        // SAFETY: the pointer is the one given to `bpf_loop` below.
        sweep_one(unsafe { *now.cast::<u64>() });
        0
    }
    let mut now = now;
    let callback: extern "C" fn(u64, *mut c_void) -> i64 = step;
    // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
    unsafe {
        bpf_loop(count, callback as *mut c_void, (&raw mut now).cast(), 0);
    }
}

#[inline(always)]
fn sweep_one(now: u64) {
    let ever = maps::usage(Usage::SlotsEver) as u32;
    let index = (maps::account(Usage::Swept, 1) as u32)
        .checked_rem(ever)
        .unwrap_or(0);
    let Some((slot, witness)) = maps::slot(index).zip(maps::witness(index)) else {
        return;
    };
    let at = ticks(now);
    // SAFETY: a slot is a map's value; what is read here is looked at again with the mark.
    let glimpse = unsafe { &*slot };
    if !glimpse.is_idle(&glimpse.heard(), at) && !glimpse.hoards(at) && !glimpse.hoards_pages(at) {
        return;
    }
    let Some(held) = Held::take(slot, now) else {
        return;
    };
    // SAFETY: both are values of maps, and the mark is ours.
    let (slot, witness) = unsafe { (&mut *held.slot, &*witness) };
    if slot.is_idle(&slot.seen(witness), at) {
        let key = slot.connection.key;
        maps::leave(&key);
        maps::leave_source(&key.client.source());
        release_buffer(&mut slot.connection);
        slot.connection.free();
        held.give();
        maps::give_slot(index);
    } else {
        if slot.hoards(at) {
            release_buffer(&mut slot.connection);
        } else if slot.hoards_pages(at) {
            release_pages(&slot.connection);
        }
        held.give();
    }
}

#[inline(always)]
fn release_buffer(connection: &mut Connection) {
    let Some(index) = connection.buffer.checked_sub(1) else {
        return;
    };
    release_pages(connection);
    connection.buffer = 0;
    maps::give_buffer(index);
}

#[inline(always)]
fn release_pages(connection: &Connection) {
    let Some(buffer) = buffer_of(connection) else {
        return;
    };
    let mut place = 0;
    while place < PAGES {
        if let Some(page) = buffer.take_page(place).checked_sub(1) {
            maps::give_page(page);
        }
        place += 1;
    }
}
