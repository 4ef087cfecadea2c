//! What is known of one connection.
//!
//! Positions count the bytes of the client's stream from the first one (sequence number
//! of the SYN plus one) on, in 64 bits: a body of more than 4 GiB does not wrap.

mod answer;
mod arrival;
mod idle;
mod look;

use core::mem::offset_of;

pub use arrival::{Arrival, Plan};
use bytemuck::{Pod, Zeroable};
use idle::IDLE_CLOSED;
pub use idle::ticks;

use super::{
    handshake::{Besides, Pair},
    witness::Seen,
};
use crate::{abi::FlowKey, http1::Place, reason::Reason, words};

/// How far ahead of what the server has acknowledged a segment may reach, in bytes: more than
/// any window (RFC 7323, section 2.3: 2^30), so nothing is lost, and no sequence number is ambiguous.
pub(super) const AHEAD: i64 = 1 << 30;

/// No position.
const NONE: u64 = u64::MAX;

mod state {
    /// No connection.
    pub(super) const FREE: u32 = 0;
    pub(super) const BOUND: u32 = 1;
    /// Nothing passes any more.
    pub(super) const DEAD: u32 = 2;
    /// Everything passes: monitor mode lost track of it.
    pub(super) const LOST: u32 = 3;
    /// It is over; another one may begin.
    pub(super) const CLOSED: u32 = 4;
}

pub(super) mod flag {
    /// No request was read yet.
    pub(in crate::stream) const FIRST: u32 = 1 << 0;
    /// The first request asked for an upgrade and nothing has passed since.
    pub(in crate::stream) const UPGRADE: u32 = 1 << 1;
    /// The same of a `CONNECT`.
    pub(in crate::stream) const CONNECT: u32 = 1 << 2;
    /// Behind that request something has passed.
    pub(in crate::stream) const SPOKE: u32 = 1 << 3;
    /// The last request's client may wait for a 100 before it sends the body.
    pub(in crate::stream) const EXPECT: u32 = 1 << 4;
    /// The server has reset the connection: it knows nothing of it any more.
    pub(in crate::stream) const FORGOTTEN: u32 = 1 << 5;
    /// The server may have offered another pair of numbers, too, that it would still take.
    pub(in crate::stream) const OTHER_OFFER: u32 = 1 << 6;
    /// The same of one that is near.
    pub(in crate::stream) const NEAR_OFFER: u32 = 1 << 7;
}

/// How far ahead of what a server has sent another connection's numbers must begin, so that it takes none of that one's
/// segments for this one's. Linux goes on that far and one further when it still has a connection that has ended.
pub(super) const APART: i64 = 1 << 16;

/// What is known of one connection.
///
/// In the order of how often it changes: the processors of a client and of its server hand a line of their
/// caches to each other each time that one of them writes what the other one reads.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Connection {
    // With the inquiry, a line that hardly ever changes.
    /// Whose it is; zero if it is nobody's.
    pub key: FlowKey,
    isn: Pair,
    /// Which use of this memory it is.
    pub generation: u32,
    /// The number of its [`Buffer`](super::Buffer) plus one; 0 if it has none.
    pub buffer: u32,

    // A line that changes with each request, and that the witness does not look at.
    /// Up to here every byte has passed.
    next: u64,
    /// Where the parser stands at `next`.
    place: Place,
    /// Up to here the server must have acknowledged, in time after `due_since`.
    due: u64,
    /// Where the last head ended.
    head_end: u64,
    due_since: u32,
    /// When the last head passed.
    head_since: u32,
    flags: u32,
    /// How many repetitions of bytes that were not kept were dropped.
    repetitions: u32,
    /// Deciding bytes from here on, up to `unkept_until`, passed and were not kept.
    unkept_from: u64,

    // The beginning of the line with the mark and what the witness tells, which either side needs to itself anyway.
    unkept_until: u64,
    /// Where the client's stream ends, if it has.
    fin: u64,
    state: u32,
    /// Why it is dead: a [`Reason`] as a number.
    fault: u32,
    /// When a packet was last seen, in [`ticks`].
    used: u32,
    /// Of no meaning; see [`want`](Self::want).
    wanted: u32,
}

/// Where what changes often begins, in words.
pub(super) const LINE: usize = offset_of!(Connection, next) / 8;

impl Connection {
    /// Nobody's.
    pub const FREE: Self = Self {
        key: FlowKey::NONE,
        next: 0,
        place: Place::START,
        unkept_from: NONE,
        unkept_until: 0,
        due: 0,
        head_end: 0,
        fin: NONE,
        due_since: 0,
        head_since: 0,
        isn: Pair {
            client: 0,
            server: 0,
        },
        state: state::FREE,
        flags: 0,
        fault: 0,
        repetitions: 0,
        used: 0,
        buffer: 0,
        generation: 0,
        wanted: 0,
    };

    /// Takes up an offer: the connection begins. `start` is where a parser stands before its
    /// first byte. The memory's generation and buffer stay as they are.
    #[inline(always)]
    pub const fn begin(&mut self, key: &FlowKey, isn: Pair, start: Place, now: u32) {
        self.key = *key;
        self.next = 0;
        self.place = start;
        self.unkept_from = NONE;
        self.unkept_until = 0;
        self.due = 0;
        self.head_end = 0;
        self.fin = NONE;
        self.due_since = now;
        self.head_since = now;
        self.isn = isn;
        self.state = state::BOUND;
        self.flags = flag::FIRST;
        self.fault = 0;
        self.repetitions = 0;
        self.used = now;
    }

    /// Notes what the server may still take, besides the handshake that it began with.
    #[inline(always)]
    pub const fn note_besides(&mut self, besides: Besides) {
        self.flags |= match besides {
            Besides::Nothing => 0,
            Besides::Far => flag::OTHER_OFFER,
            Besides::Near => flag::OTHER_OFFER | flag::NEAR_OFFER,
        };
    }

    /// Notes that the server has offered another pair, too.
    #[inline(always)]
    pub const fn note_offer(&mut self, other: Pair) {
        self.note_besides(self.isn.besides(other));
    }

    /// Becomes what `other` is, all of it.
    #[inline(always)]
    pub fn copy_from(&mut self, other: &Self) {
        words::copy(other, self, 0);
    }

    /// The same, where `other` is this connection as it goes on.
    #[inline(always)]
    pub fn follow(&mut self, other: &Self) {
        if (self.generation, self.buffer) != (other.generation, other.buffer) {
            self.generation = other.generation;
            self.buffer = other.buffer;
        }
        words::copy(other, self, LINE);
    }

    /// It is nobody's from now on; its memory is used again.
    #[inline(always)]
    pub const fn free(&mut self) {
        self.key = FlowKey::NONE;
        self.state = state::FREE;
    }

    /// Whether it is some connection's.
    #[inline(always)]
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        self.state != state::FREE
    }

    /// Why nothing passes any more, if that is so.
    #[inline(always)]
    #[must_use]
    pub const fn fault(&self) -> Option<Reason> {
        if self.state == state::DEAD {
            Reason::from_code(self.fault as u8)
        } else {
            None
        }
    }

    /// Whether monitor mode lost track of it.
    #[inline(always)]
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.state == state::LOST
    }

    /// Whether what follows is judged.
    #[inline(always)]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.state == state::BOUND
    }

    /// Whether it began with this handshake.
    #[inline(always)]
    #[must_use]
    pub fn has_begun_with(&self, isn: Pair) -> bool {
        self.isn == isn
    }

    /// The handshake it began with.
    #[inline(always)]
    #[must_use]
    pub const fn isn(&self) -> Pair {
        self.isn
    }

    /// Where the parser stands.
    #[inline(always)]
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Up to where every byte has passed.
    #[inline(always)]
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Nothing passes any more.
    #[inline(always)]
    pub const fn kill(&mut self, reason: Reason) {
        self.state = state::DEAD;
        self.fault = reason as u32;
    }

    /// Everything passes from now on (monitor mode): where the next request starts is not known.
    #[inline(always)]
    pub const fn lose(&mut self) {
        self.state = state::LOST;
    }

    /// Has this processor fetch what is soon to be changed, from another one that may have changed it last: a store does
    /// not wait, as an exchange would. To be done without the mark, too.
    #[inline(always)]
    #[expect(unsafe_code, reason = "safe Rust has no volatile access")]
    pub fn want(&mut self) {
        // SAFETY: a reference.
        unsafe { (&raw mut self.wanted).write_volatile(0) };
    }

    /// It is over: what follows belongs to another one, if one is offered.
    #[inline(always)]
    pub const fn close(&mut self) {
        self.state = state::CLOSED;
    }

    /// The same, and the server has forgotten it.
    #[inline(always)]
    pub const fn forget(&mut self) {
        self.close();
        self.flags |= flag::FORGOTTEN;
    }

    /// Whether a server that still has this connection could take the segments of one that begins with `isn` for
    /// this one's: their acknowledgments would do here.
    ///
    /// With SYN cookies it offers as many as it is asked for, with numbers as near as the client's are, and an offer
    /// may be seen late, when another was taken up and bytes were received. Later than a few seconds it is not.
    #[inline(always)]
    #[must_use]
    pub const fn is_near(&self, isn: Pair, seen: &Seen, now: u32) -> bool {
        let end = self.isn.server.wrapping_add(seen.sent as u32);
        let behind = end.wrapping_sub(isn.server) as i32 as i64;
        self.flags & flag::FORGOTTEN == 0
            && behind >= -APART
            && behind <= AHEAD
            && !self.rests_for(IDLE_CLOSED, now)
    }

    /// Whether it is over.
    #[inline(always)]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.state == state::CLOSED
    }

    /// Up to where the server can have received something: what it acknowledges beyond came by another way.
    #[inline(always)]
    const fn reach(&self) -> u64 {
        if self.fin != NONE {
            self.fin + 1
        } else {
            self.next.saturating_add(self.place.opaque())
        }
    }

    /// The position of the byte with this sequence number; negative before the first one.
    #[inline(always)]
    const fn position(&self, sequence: u32, acked: u64) -> i64 {
        let here = self.isn.client.wrapping_add(1).wrapping_add(acked as u32);
        acked as i64 + sequence.wrapping_sub(here) as i32 as i64
    }

    /// Whether the server has every head that passed.
    #[inline(always)]
    #[must_use]
    pub const fn has_delivered(&self, acked: u64) -> bool {
        self.head_end <= acked
    }

    /// Gives the server more time: what is on its way may still pass, as of now.
    #[inline(always)]
    pub const fn renew(&mut self, now: u32) {
        self.due = self.head_end;
        self.due_since = now;
    }

    /// Whether no request was read yet.
    #[inline(always)]
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.flags & flag::FIRST != 0
    }

    /// Notes that deciding bytes passed that were not kept.
    #[inline(always)]
    pub const fn mark_unkept(&mut self, from: u64, until: u64) {
        if self.unkept_from == NONE {
            self.unkept_from = from;
        }
        self.unkept_until = until;
    }
}
