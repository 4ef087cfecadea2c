//! What a connection's next segment may do.

use super::{AHEAD, Connection, NONE, flag};
use crate::{
    packet::Segment,
    reason::Reason,
    stream::{handshake::FIRST_WINDOW, inquiry::Answer, reader::Read, witness::Seen},
};

/// How long a head may have passed and not be acknowledged, in `ticks`: about a second. A
/// server's delayed acknowledgment takes 200 ms at most (RFC 9293, section 3.8.6.3, allows 500).
const DELIVERY: u32 = 1024;

/// How many repetitions of bytes that were not kept are dropped before the connection is given up.
const REPETITIONS: u32 = 8;

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
    /// What every packet of the connection must pass, those without payload too.
    ///
    /// # Errors
    /// Why it may not. Of all but [`Reason::BadPacket`] the connection dies.
    #[inline(always)]
    pub const fn admit(&self, segment: &Segment, seen: &Seen, now: u32) -> Result<(), Reason> {
        if seen.acked > self.reach() || seen.goes_on() {
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
        // Behind the client's end nothing is read any more.
        let is_behind = self.fin != NONE && start > self.fin as i64;
        let is_unknown = acked == 0 || has_ended;
        if is_unknown && start > 0 && !is_behind {
            let others = if has_ended {
                flag::OTHER_OFFER
            } else {
                flag::NEAR_OFFER
            };
            let is_taken = self.isn.is_matched_by(segment) || self.flags & others != 0;
            if is_taken && !self.begins_alike(start, seen.answer()) {
                return Err(Reason::OutOfOrder);
            }
        }
        Ok(())
    }

    /// Whether a connection that began at `start` would be read as this one goes on: not if the server has `answer`ed
    /// that it speaks another protocol here.
    #[inline(always)]
    const fn begins_alike(&self, start: i64, answer: Answer) -> bool {
        start == self.next as i64 && self.place.is_between() && !self.is_agreed(answer)
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
            // A client has it at the end of what it has sent, or where the server's last packet said it is; who guesses,
            // anywhere between.
            let ends_here = start == next || start == next + 1 && self.next == self.fin;
            let was_said = start == acked || start == acked - 1 && self.fin != NONE;
            return if ends_here || was_said {
                Arrival::Close
            } else if start > acked {
                Arrival::Drop(Reason::BadPacket)
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
}
