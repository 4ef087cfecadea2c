//! What is known of one connection, and what its next segment may do.
//!
//! Positions count the bytes of the client's stream from the first one (sequence number
//! of the SYN plus one) on, in 64 bits: a body of more than 4 GiB does not wrap.

mod look;

use bytemuck::{Pod, Zeroable};

use super::{
    handshake::{Besides, FIRST_WINDOW, Pair},
    reader::Read,
    witness::{Answer, Seen},
};
use crate::{abi::FlowKey, http1::Place, packet::Segment, reason::Reason, words};

/// How far ahead of what the server has acknowledged a segment may reach, in bytes: more than
/// any window (RFC 7323, section 2.3: 2^30), so nothing is lost, and no sequence number is ambiguous.
pub(super) const AHEAD: i64 = 1 << 30;

/// How long a head may have passed and not be acknowledged, in [`ticks`]: about a second. A
/// server's delayed acknowledgment takes 200 ms at most (RFC 9293, section 3.8.6.3, allows 500).
const DELIVERY: u32 = 1024;

/// How many repetitions of bytes that were not kept are dropped before the connection is given up.
const REPETITIONS: u32 = 8;

/// How long a connection may be idle, in [`ticks`]: longer than Linux waits with its first
/// keepalive probe (`tcp_keepalive_time`, two hours), so who has keepalive never loses one.
const IDLE: u32 = ticks(8_000_000_000_000);

/// The same for one that one side has ended, or whose server has not acknowledged all that passed: longer than
/// Linux tries to have the end acknowledged (`tcp_fin_timeout` 60 s, orphans some 100 s), and than it waits
/// before it sends again (`TCP_RTO_MAX`, 120 s).
const IDLE_ENDING: u32 = ticks(180_000_000_000);

/// The same for one of which the server has said nothing since the handshake. It may know nothing of it: the
/// segment that took up its offer may be lost, on purpose. Servers wait for a first request for a minute or two.
const IDLE_UNHEARD: u32 = ticks(600_000_000_000);

/// The same for one on which nothing passes any more.
const IDLE_DEAD: u32 = ticks(60_000_000_000);

/// The same for one that has ended on both sides, or was reset.
const IDLE_CLOSED: u32 = ticks(2_000_000_000);

const SECOND: u32 = ticks(1_000_000_000);

/// A time of the monotonic clock, given in nanoseconds, as connections keep it: in units of
/// 2^20 ns, a little more than a millisecond. Wraps after 52 days; only differences matter.
#[inline(always)]
#[must_use]
pub const fn ticks(nanoseconds: u64) -> u32 {
    (nanoseconds >> 20) as u32
}

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
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Connection {
    /// Whose it is; zero if it is nobody's.
    pub key: FlowKey,
    /// Up to here every byte has passed.
    next: u64,
    /// Where the parser stands at `next`.
    place: Place,
    /// Deciding bytes from here on, up to `unkept_until`, passed and were not kept.
    unkept_from: u64,
    unkept_until: u64,
    /// Up to here the server must have acknowledged, in time after `due_since`.
    due: u64,
    /// Where the last head ended.
    head_end: u64,
    /// Where the client's stream ends, if it has.
    fin: u64,
    due_since: u32,
    /// When the last head passed.
    head_since: u32,
    isn: Pair,
    state: u32,
    flags: u32,
    /// Why it is dead: a [`Reason`] as a number.
    fault: u32,
    /// How many repetitions of bytes that were not kept were dropped.
    repetitions: u32,
    /// When a packet was last seen, in [`ticks`].
    used: u32,
    /// The number of its [`Buffer`](super::Buffer) plus one; 0 if it has none.
    pub buffer: u32,
    /// Which use of this memory it is.
    pub generation: u32,
    reserved: u32,
}

/// What is to be done with a segment's payload. All offsets are in the payload, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Plan {
    /// The position of its first byte (wrapping: a probe stands before the first one).
    pub position: u64,
    /// The bytes to be compared with what passed before.
    pub compare_from: u32,
    /// Their end.
    pub compare_to: u32,
    /// The bytes from here on are new: at `next`.
    pub read_from: u32,
    /// 1 if the segment ends the stream.
    pub ends: u32,
}

impl Plan {
    /// Nothing.
    pub const NONE: Self = Self {
        position: 0,
        compare_from: 0,
        compare_to: 0,
        read_from: 0,
        ends: 0,
    };

    /// Whether there are bytes to be compared.
    #[inline(always)]
    #[must_use]
    pub const fn compares(&self) -> bool {
        self.compare_from < self.compare_to
    }
}

/// What a segment may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It passes; nothing in it is new and deciding.
    Pass,
    /// It passes and moves the stream on, inside an opaque stretch.
    Opaque,
    /// It is to be compared and read as the plan says.
    Read,
    /// It does not pass.
    Drop(Reason),
    /// Nor does anything after it.
    Kill(Reason),
    /// It ends the connection.
    Close,
}

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
        reserved: 0,
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
        words::copy(other, self);
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
            && now.wrapping_sub(self.used) as i32 <= IDLE_CLOSED as i32
    }

    /// Whether it is over.
    #[inline(always)]
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.state == state::CLOSED
    }

    /// Notes that a packet of it was seen.
    #[inline(always)]
    pub const fn touch(&mut self, now: u32) {
        self.used = now;
    }

    /// Whether nothing was heard of it for so long that it can be forgotten.
    #[inline(always)]
    #[must_use]
    pub(super) const fn is_idle(&self, seen: &Seen, now: u32) -> bool {
        let is_ending = seen.ended != 0;
        let longest = if self.state == state::CLOSED {
            IDLE_CLOSED
        } else if self.state == state::DEAD {
            IDLE_DEAD
        } else if self.fin != NONE && is_ending {
            IDLE_CLOSED
        } else if self.fin != NONE || is_ending || seen.acked < self.next {
            IDLE_ENDING
        } else if seen.acked == 0 && seen.sent == 0 {
            IDLE_UNHEARD
        } else {
            IDLE
        };
        self.rests_for(longest, now)
    }

    /// Whether no packet was seen for longer than that.
    #[inline(always)]
    const fn rests_for(&self, longest: u32, now: u32) -> bool {
        // Signed: it may have been used since `now` was read.
        now.wrapping_sub(self.used) as i32 > longest as i32
    }

    /// Whether it has a buffer that it has no use for: nothing is read any more, or the buffer is empty and
    /// has been for a second.
    #[inline(always)]
    #[must_use]
    pub(super) const fn hoards(&self, acked: u64, now: u32) -> bool {
        self.buffer != 0
            && (!self.is_open() || self.place.is_settled() && self.hoards_pages(acked, now))
    }

    /// The same of the pages alone, which a head that was begun has no use for.
    #[inline(always)]
    #[must_use]
    pub(super) const fn hoards_pages(&self, acked: u64, now: u32) -> bool {
        self.buffer != 0 && acked >= self.next && self.rests_for(SECOND, now)
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

    /// What every packet of the connection must pass, those without payload too.
    ///
    /// # Errors
    /// Why it may not. Of all but [`Reason::BadPacket`] the connection dies.
    #[inline(always)]
    pub const fn admit(&self, segment: &Segment, seen: &Seen, now: u32) -> Result<(), Reason> {
        if seen.acked > self.reach() {
            return Err(Reason::UnguardedPath);
        }
        if self.has_changed_unasked(seen.answer(), seen.acked) {
            return Err(Reason::UpgradeRefused);
        }
        // A segment that acknowledges what was never sent is dropped by the server, too
        // (RFC 9293, section 3.10.7.4); a RST need not acknowledge anything.
        if !segment.resets() && !self.acknowledges_sent(segment.acknowledgment, seen.sent) {
            return Err(Reason::BadPacket);
        }
        // The last one: where there is more time, the others hold all the same.
        if self.is_overdue(seen.acked, now) {
            return Err(Reason::Undelivered);
        }
        Ok(())
    }

    /// Whether a head passed that the server should have by now.
    #[inline(always)]
    const fn is_overdue(&self, acked: u64, now: u32) -> bool {
        let (due, since) = if self.due > acked {
            (self.due, self.due_since)
        } else {
            // What was waited for is there; heads that passed meanwhile may not be.
            (self.head_end, self.head_since)
        };
        due > acked && now.wrapping_sub(since) as i32 > DELIVERY as i32
    }

    /// Whether the server speaks another protocol now that nobody could ask for, or behind
    /// whose request something has passed as HTTP.
    #[inline(always)]
    const fn has_changed_unasked(&self, answer: Answer, acked: u64) -> bool {
        if self.place.is_tunnel() {
            return false;
        }
        let asked = self.flags & (flag::UPGRADE | flag::CONNECT | flag::SPOKE);
        match answer {
            // It cannot have agreed to what it does not have.
            Answer::Switching => asked != flag::UPGRADE || !self.has_delivered(acked),
            Answer::Success => asked == flag::CONNECT | flag::SPOKE,
            Answer::None | Answer::Interim | Answer::Other | Answer::Unclear => false,
        }
    }

    /// Draws the consequences of the server's answer, before new bytes of the client pass.
    #[inline(always)]
    const fn heed(&mut self, answer: Answer, acked: u64) -> Result<(), Reason> {
        if self.flags & flag::SPOKE == 0 {
            let asked = self.flags & (flag::UPGRADE | flag::CONNECT);
            let agreed = match answer {
                Answer::Switching => asked == flag::UPGRADE,
                Answer::Success => asked == flag::CONNECT,
                Answer::None | Answer::Interim | Answer::Other | Answer::Unclear => false,
            };
            if agreed && !self.has_delivered(acked) {
                // It cannot have agreed to what it does not have.
                return Err(Reason::UpgradeRefused);
            }
            if agreed {
                self.place = Place::TUNNEL;
            }
            match answer {
                Answer::None | Answer::Interim => {}
                Answer::Unclear if asked != 0 => return Err(Reason::UpgradeRefused),
                Answer::Unclear | Answer::Switching | Answer::Success | Answer::Other => {
                    self.flags &= !(flag::UPGRADE | flag::CONNECT);
                }
            }
        }
        Ok(())
    }

    /// Draws the consequences of an answer to who announced a body and may wait to be asked for it. Some
    /// servers that answer before they have the body take what follows for the next request; others wait
    /// for it all the same. So nothing passes, unless all of it was there.
    #[inline(always)]
    const fn heed_early(&mut self, answer: Answer, acked: u64) -> Result<(), Reason> {
        if self.flags & flag::EXPECT != 0 {
            let has_all = self.place.is_between() && acked >= self.next;
            match answer {
                Answer::None | Answer::Interim => {}
                Answer::Switching | Answer::Success | Answer::Other | Answer::Unclear
                    if has_all =>
                {
                    self.flags &= !flag::EXPECT;
                }
                Answer::Switching | Answer::Success | Answer::Other | Answer::Unclear => {
                    return Err(Reason::AnsweredEarly);
                }
            }
        }
        Ok(())
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

    /// Whether `acknowledgment` lies in what the server has sent.
    #[inline(always)]
    const fn acknowledges_sent(&self, acknowledgment: u32, sent: u64) -> bool {
        let end = self.isn.server.wrapping_add(1).wrapping_add(sent as u32);
        let behind = end.wrapping_sub(acknowledgment) as i32 as i64;
        behind >= 0 && behind <= sent as i64 && behind <= AHEAD
    }

    /// Whether `segment`, which is empty and neither ends nor resets anything, may pass. What it means is
    /// nothing, so the connection need not be held.
    #[inline(always)]
    #[must_use]
    pub const fn lets_pass(&self, segment: &Segment, seen: &Seen, now: u32) -> bool {
        self.is_open()
            && self.admit(segment, seen, now).is_ok()
            && self
                .fits(segment, self.position(segment.sequence, seen.acked), seen)
                .is_ok()
    }

    /// Whether `segment`, which starts at `start`, can be this connection's, and, if it were the first that the server
    /// gets, would make it begin the connection where the guard did, or where it would be read alike.
    ///
    /// With SYN cookies a server keeps nothing of a handshake, and takes what fits for the end of it; so it does again
    /// once it has closed its side and forgotten the connection, to which what it had is news.
    #[inline(always)]
    const fn fits(&self, segment: &Segment, start: i64, seen: &Seen) -> Result<(), Reason> {
        let (acked, has_ended) = (seen.acked as i64, seen.ended != 0);
        // Of what stood before this connection, a probe whether it is alive repeats one sequence number (RFC 1122,
        // section 4.2.3.6). The rest is another's: of the same handshake taken up otherwise.
        if start < -1 || start < acked - AHEAD {
            return Err(Reason::BadPacket);
        }
        // Without the byte before the first one nothing that follows is read.
        if segment.len > 0 && (start < 0 || has_ended && start < acked) {
            return Err(Reason::BadPacket);
        }
        let is_unknown = acked == 0 || has_ended;
        if is_unknown && start > 0 {
            let others = if has_ended {
                flag::OTHER_OFFER
            } else {
                flag::NEAR_OFFER
            };
            let is_taken = self.isn.is_matched_by(segment) || self.flags & others != 0;
            if is_taken && !self.begins_alike(segment, start, seen) {
                return Err(Reason::OutOfOrder);
            }
        }
        Ok(())
    }

    /// Whether a connection that begins with `segment` would be read as this one goes on.
    #[inline(always)]
    const fn begins_alike(&self, segment: &Segment, start: i64, seen: &Seen) -> bool {
        let end = self
            .isn
            .server
            .wrapping_add(1)
            .wrapping_add(seen.sent as u32);
        start == self.next as i64 && self.place.is_between() && segment.acknowledgment == end
    }

    /// What `segment`, which was [admitted](Self::admit), may do. Leaves in `plan` what is to be done.
    #[inline(always)]
    pub fn arrive(&mut self, segment: &Segment, seen: &Seen, plan: &mut Plan) -> Arrival {
        self.settle(seen.acked);
        let ends = segment.finishes();
        let start = self.position(segment.sequence, seen.acked);
        let end = start + i64::from(segment.len);
        let (next, acked) = (self.next as i64, seen.acked as i64);
        if segment.resets() {
            // The server obeys one at what it expects next (RFC 5961, section 3.2), which lies somewhere here;
            // Linux, behind a FIN, at the byte before as well; and at the end of what came out of order,
            // which is not let pass. Once the client has ended, what the server expects next may stand behind that.
            return if start > next + i64::from(self.next == self.fin) {
                Arrival::Drop(Reason::BadPacket)
            } else if start >= acked - i64::from(self.fin != NONE) {
                Arrival::Close
            } else {
                Arrival::Pass
            };
        }
        if let Err(reason) = self.fits(segment, start, seen) {
            return Arrival::Drop(reason);
        }
        if segment.len == 0 && !ends || end + i64::from(ends) <= acked {
            // The server has all of it.
            return Arrival::Pass;
        }
        let window = if acked == 0 { FIRST_WINDOW } else { AHEAD };
        if end > acked + window {
            return Arrival::Drop(Reason::OutOfOrder);
        }
        if self.fin != NONE && (end as u64 > self.fin || ends && end as u64 != self.fin) {
            return Arrival::Kill(Reason::ChangedRetransmission);
        }
        if ends && end < next {
            // Where it ends now, a byte has passed.
            return Arrival::Kill(Reason::ChangedRetransmission);
        }
        if let Err(reason) = self.heed_early(seen.answer(), seen.acked) {
            return Arrival::Kill(reason);
        }
        if end > next
            && let Err(reason) = self.heed(seen.answer(), seen.acked)
        {
            return Arrival::Kill(reason);
        }
        let opaque_until = self.next.saturating_add(self.place.opaque());
        if start > next {
            // Opaque bytes pass in any order; deciding ones wait until all before them were read.
            if end as u64 > opaque_until {
                return Arrival::Drop(Reason::OutOfOrder);
            }
            if ends {
                self.fin = end as u64;
            }
            return Arrival::Pass;
        }
        if start == next && !ends && end as u64 <= opaque_until {
            self.place.pass(u64::from(segment.len));
            self.next = end as u64;
            return Arrival::Opaque;
        }
        let from = start.max(acked);
        let to = end.min(next);
        if (from as u64) < self.unkept_until && to > from && to as u64 > self.unkept_from {
            self.repetitions += 1;
            return if self.repetitions > REPETITIONS {
                Arrival::Kill(Reason::Unrepeatable)
            } else {
                Arrival::Drop(Reason::Unrepeatable)
            };
        }
        *plan = Plan {
            position: start as u64,
            compare_from: (from - start) as u32,
            compare_to: (to - start) as u32,
            read_from: (to - start) as u32,
            ends: u32::from(ends),
        };
        Arrival::Read
    }

    /// Follows the server through an opaque stretch, and gives up what it has met.
    #[inline(always)]
    fn settle(&mut self, acked: u64) {
        // Not beyond the stretch: that was ruled out before.
        let received = acked.min(self.fin);
        if received > self.next {
            self.place.pass(received - self.next);
            self.next = received;
        }
        if self.due <= acked && self.due < self.head_end {
            self.due = self.head_end;
            self.due_since = self.head_since;
        }
        if acked >= self.unkept_until {
            self.unkept_from = NONE;
            self.repetitions = 0;
        }
    }

    /// Notes that the segment passes that was read as `read` tells. Says whether the next
    /// answer's beginning will matter.
    #[inline(always)]
    pub fn commit(&mut self, plan: &Plan, read: &Read, acked: u64, now: u32) -> bool {
        let end = plan.position.wrapping_add(u64::from(read.len));
        if plan.ends != 0 {
            self.fin = end;
        }
        if end <= self.next {
            return false;
        }
        // What has passed may be lost: it is the server that must have had the body.
        let had_all = self.place.is_between() && acked >= self.next;
        self.next = end;
        self.place = read.place;
        let was_first = self.flags & flag::FIRST != 0;
        let is_followed = read.requests == 0 || read.head_end < read.len;
        if read.requests != 0 {
            self.head_end = plan.position.wrapping_add(u64::from(read.head_end));
            self.head_since = now;
            if self.due <= acked {
                self.due = self.head_end;
                self.due_since = now;
            }
            self.flags &= !flag::FIRST;
            if had_all {
                self.flags &= !flag::EXPECT;
            }
            if was_first {
                self.flags |= read.asked & (flag::UPGRADE | flag::CONNECT);
            }
        }
        let spoke = !was_first || read.requests > 1 || is_followed;
        if spoke && self.flags & (flag::UPGRADE | flag::CONNECT) != 0 {
            self.flags |= flag::SPOKE;
        }
        let expects = read.asked & flag::EXPECT != 0;
        if expects {
            self.flags |= flag::EXPECT;
        }
        expects
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
