//! Which bytes of a connection are requests, and which belong to a body.
//!
//! This version judges segment by segment: every head must lie whole in one
//! segment. What it remembers of a connection is only where a body ends that
//! reaches beyond the segment of its head.

use bytemuck::{Pod, Zeroable};

use crate::{
    abi::FlowKey,
    digest::Digest,
    http1::{Head, Rules},
    reason::Reason,
    window::{self, Cursor, Window},
};

/// How far a sequence number may lie behind what was seen and still be told
/// from one that lies ahead, in bytes: a quarter of the sequence space.
const HISTORY: u32 = 1 << 30;

/// Senders make segments at least that long of what is longer, in bytes of payload:
/// 536 (RFC 9293, section 3.7.1) with room for options.
const SMALLEST_SEGMENT: u32 = 512;

/// How long a connection is remembered of which nothing is heard, in [`ticks`]: for an
/// hour, longer than servers wait for the rest of a body.
const IDLE: u32 = ticks(3_600_000_000_000);

/// The same for one that has ended, or on which nothing has passed since something was
/// denied: longer than its sender waits between two tries. Who has no token must not
/// fill the table for long.
const IDLE_SHORT: u32 = ticks(300_000_000_000);

/// What is remembered of a connection: the value in the map of connections.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Flow {
    /// Bytes of the body from `next` on.
    left: u64,
    /// The sequence number up to which bytes were seen.
    next: u32,
    /// The sequence number from which on they were: a segment between the two
    /// is a retransmission, or one that the bytes behind it overtook.
    start: u32,
    /// See [`state`].
    state: u32,
    /// When it was last changed; see [`ticks`].
    used: u32,
    /// In the map, ties the other fields to the connection; see [`Flow::sealed`]. Else 0.
    seal: u64,
}

const _: () = assert!(size_of::<Flow>() == 32);

mod state {
    /// Nothing is remembered.
    pub(super) const NONE: u32 = 0;
    pub(super) const KNOWN: u32 = 1;
    /// Nothing is known of the stream's framing any more (monitor mode only).
    pub(super) const LOST: u32 = 2;
    /// What stands at `next` was denied, and may be sent again.
    pub(super) const HELD: u32 = 3;
    /// Known, but parts of a body came out of order: not all before `next` was seen.
    pub(super) const GAPPED: u32 = 4;
    /// Known, but only because a segment was long: others may have passed unnoticed.
    pub(super) const LONG: u32 = 5;
}

/// A time of the monotonic clock, given in nanoseconds, as a [`Flow`] keeps it:
/// in units of 2^30 ns, a little more than a second.
#[inline(always)]
#[must_use]
pub const fn ticks(nanoseconds: u64) -> u32 {
    (nanoseconds >> 30) as u32
}

impl Flow {
    /// A connection of which nothing is remembered.
    pub const NONE: Self = Self {
        left: 0,
        next: 0,
        start: 0,
        state: state::NONE,
        used: 0,
        seal: 0,
    };

    /// A connection whose framing is unknown: what follows cannot be judged.
    #[inline(always)]
    #[must_use]
    pub const fn lost(now: u32) -> Self {
        Self {
            state: state::LOST,
            used: now,
            ..Self::NONE
        }
    }

    /// A connection on which what stands at `sequence` was denied: what lies behind
    /// is not judged before something passes there.
    #[inline(always)]
    #[must_use]
    pub const fn held(sequence: u32, now: u32) -> Self {
        Self {
            next: sequence,
            start: sequence,
            state: state::HELD,
            used: now,
            ..Self::NONE
        }
    }

    /// What stands in the map for the connection with this key. As with a token's entry
    /// ([`TokenEntry::sealed`](crate::verdict::TokenEntry::sealed)), what is read there can
    /// be another connection's, or parts of two.
    #[inline(always)]
    #[must_use]
    pub const fn sealed(self, key: &FlowKey) -> Self {
        Self {
            seal: self.expected_seal(key),
            ..self
        }
    }

    /// Takes the seal off what was read in the map; false if it is not whole, or not this connection's.
    #[inline(always)]
    #[must_use]
    pub const fn unseal(&mut self, key: &FlowKey) -> bool {
        let is_whole = self.seal == self.expected_seal(key);
        self.seal = 0;
        is_whole
    }

    /// Different for two that differ in one field.
    #[inline(always)]
    const fn expected_seal(&self, key: &FlowKey) -> u64 {
        let places = self.next as u64 | (self.start as u64) << 32;
        let rest = self.state as u64 | (self.used as u64) << 32;
        key.folded() ^ self.left ^ places.rotate_left(21) ^ rest.rotate_left(42)
    }

    /// Whether nothing passed since something was denied.
    #[inline(always)]
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.state == state::HELD
    }

    /// Whether there is nothing to remember.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.state == state::NONE
    }

    /// Whether the framing is unknown.
    #[inline(always)]
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.state == state::LOST
    }

    /// Whether nothing was heard of it for so long that it can be forgotten.
    #[must_use]
    pub const fn is_idle(&self, now: u32) -> bool {
        let longest = if self.is_held() { IDLE_SHORT } else { IDLE };
        // Signed: it may have been changed since `now` was read.
        now.wrapping_sub(self.used) as i32 > longest as i32
    }

    /// Notes that its sender has ended it: it is to be forgotten soon.
    #[inline(always)]
    pub const fn end(&mut self, now: u32) {
        self.used = now.wrapping_sub(IDLE - IDLE_SHORT);
    }

    /// Leaves what is known of the connection for a segment that starts at `sequence`.
    #[inline(always)]
    pub const fn turn_to(&mut self, sequence: u32) {
        if self.state == state::LONG && sequence.wrapping_sub(self.next) as i32 > 0 {
            *self = Self::NONE;
        }
    }

    /// Whether something denied at `sequence` is to be waited for: of what lies there nothing is known yet.
    #[inline(always)]
    #[must_use]
    pub const fn waits_at(&self, sequence: u32) -> bool {
        self.is_none()
            || self.is_held()
            || self.state == state::LONG && sequence.wrapping_sub(self.next) as i32 >= 0
    }

    /// Whether a connection ends that its sender ends at `sequence`, so that nothing before is
    /// sent again: all was seen, or it is a reset.
    #[inline(always)]
    #[must_use]
    pub const fn ends_at(&self, sequence: u32, resets: bool) -> bool {
        self.next == sequence
            && (self.state == state::KNOWN
                || self.state == state::LONG
                || resets && self.state == state::GAPPED)
    }

    /// Whether bytes up to `sequence` were seen.
    #[inline(always)]
    const fn has_seen(&self, sequence: u32) -> bool {
        sequence.wrapping_sub(self.next) as i32 <= 0
    }

    /// How many of the first bytes of a segment need not be judged, since they
    /// are of the body or were seen before.
    #[inline(always)]
    #[must_use]
    pub const fn body_bytes(&self, sequence: u32, len: u32) -> u32 {
        let ahead = sequence.wrapping_sub(self.next) as i32;
        if ahead < 0 {
            // Seen before, at least in part; the last byte alone is a probe whether the
            // connection is alive (RFC 1122, section 4.2.3.6).
            if ahead == -1 && len == 1 && !self.is_held() {
                return 1;
            }
            if (sequence.wrapping_sub(self.start) as i32) < 0 {
                return 0;
            }
            return least(self.left.saturating_add(ahead.unsigned_abs() as u64), len);
        }
        least(self.left.saturating_sub(ahead as u64), len)
    }

    /// Notes that `count` bytes were seen from `sequence` on, of the body as far as it goes.
    #[inline(always)]
    #[must_use]
    pub const fn after(mut self, sequence: u32, count: u32, now: u32) -> Self {
        let end = sequence.wrapping_add(count);
        let progress = end.wrapping_sub(self.next) as i32;
        if sequence.wrapping_sub(self.next) as i32 > 0 {
            self.state = state::GAPPED;
        }
        if progress > 0 {
            self.next = end;
            self.left = self.left.saturating_sub(progress as u64);
        }
        if self.next.wrapping_sub(self.start) > HISTORY {
            self.start = self.next.wrapping_sub(HISTORY);
        }
        self.used = now;
        self
    }

    /// Whether every byte before `sequence` was seen, or is of the body, or
    /// nothing is remembered.
    #[inline(always)]
    #[must_use]
    pub const fn reaches(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.next) as i32;
        self.is_none() || ahead <= 0 || ahead as u64 <= self.left
    }
}

#[inline(always)]
const fn least(a: u64, b: u32) -> u32 {
    if a < b as u64 { a as u32 } else { b }
}

/// What the reader came upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Nothing to report; call again.
    Going,
    /// A request, with its credential's digest or why it has none; until the
    /// next turn its head can be looked at.
    Request(Result<Digest, Reason>),
    /// The rest of the segment cannot be judged, for this reason.
    Lost(Reason),
    /// The segment's end, between two requests or in a body.
    End,
}

/// Reads the requests of one segment.
#[derive(Debug)]
#[repr(C)]
pub struct Reader {
    /// The head being read.
    pub head: Head,
    /// Bytes left of the body being passed over.
    body: u64,
    /// Offset in the payload where its first body starts, 0 if it has none.
    body_start: u32,
    /// Offset in the payload where the window starts.
    offset: u32,
    /// Length of the payload.
    len: u32,
    /// Where reading stands.
    cursor: Cursor,
    /// 1 if the request whose head was read has been told.
    told: u32,
    /// 1 if the segment holds anything but line ends between requests.
    has_content: u32,
    /// 1 if it holds a request.
    requests: u32,
}

impl Reader {
    /// A reader at the end of an empty segment.
    #[must_use]
    pub const fn new(key: &crate::digest::KeyWords) -> Self {
        Self {
            head: Head::new(key),
            body: 0,
            body_start: 0,
            offset: 0,
            len: 0,
            cursor: Cursor::NONE,
            told: 0,
            has_content: 0,
            requests: 0,
        }
    }

    /// Starts on a segment of `len` bytes, of which the first `body` need not be judged.
    #[inline(always)]
    pub const fn begin(&mut self, body: u32, len: u32) {
        self.head.reset();
        self.body = 0;
        self.body_start = 0;
        self.offset = body;
        self.len = len;
        self.cursor = Cursor::NONE;
        self.told = 0;
        self.has_content = (body > 0) as u32;
        self.requests = 0;
    }

    /// An upper bound on the turns a segment of `len` bytes takes. Each one
    /// consumes a byte, fills the window, compresses a block, or is one of the
    /// few at a request's end; the shortest request has 16 bytes.
    #[inline(always)]
    #[must_use]
    pub const fn turns(len: u32) -> u32 {
        len * 2 + 16
    }

    /// Reads on. When the window's bytes are used up, `fill` puts those of the
    /// payload from the given offset on there, as many as asked for, and says
    /// whether it could.
    #[inline(always)]
    pub fn turn(
        &mut self,
        window: &mut Window,
        rules: &Rules<'_>,
        fill: impl FnOnce(&mut Window, u32, u32) -> bool,
    ) -> Turn {
        if self.told != 0 {
            self.told = 0;
            self.pass_over(self.head.content_length());
        }
        if !self.head.is_hashing() && !self.head.is_finished() {
            if self.cursor.at >= self.cursor.end {
                let len = self.next_window();
                if len == 0 {
                    // Line ends alone may be the end of a head that was begun before the guard was there.
                    return if self.head.is_between() && self.has_content != 0 {
                        Turn::End
                    } else {
                        Turn::Lost(Reason::Undecided)
                    };
                }
                if !fill(window, self.offset, len) {
                    return Turn::Lost(Reason::Undecided);
                }
            }
            if let Err(reason) = self.head.read(window, &mut self.cursor, rules) {
                return Turn::Lost(reason);
            }
            if self.head.is_complete() {
                // Not built yet: chunked bodies, and tunnels.
                if self.head.is_chunked() || self.head.is_connect() {
                    return Turn::Lost(Reason::Undecided);
                }
                self.head.finish();
            }
        }
        if self.head.is_hashing() {
            self.head.hash();
        }
        if self.head.is_hashing() || !self.head.is_finished() {
            return Turn::Going;
        }
        self.told = 1;
        self.has_content = 1;
        self.requests = 1;
        Turn::Request(self.head.credential())
    }

    /// Whether the segment ends inside a body.
    #[inline(always)]
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        self.body > 0
    }

    /// Whether there is something to remember of a connection of which nothing was
    /// known: a body, or a segment so long that its sender may send a part of it
    /// again, which would be no head.
    #[inline(always)]
    #[must_use]
    pub const fn is_telling(&self) -> bool {
        self.body_start > 0 || self.len > SMALLEST_SEGMENT
    }

    /// What to remember of the connection when the whole segment, which starts
    /// at `sequence`, has passed, and `known` was remembered before.
    #[inline(always)]
    #[must_use]
    pub const fn flow(&self, sequence: u32, known: &Flow, now: u32) -> Flow {
        let mut flow = *known;
        if known.is_none() || known.is_held() {
            if known.is_none() && !self.is_telling() || self.stays_before(sequence, known) {
                return *known;
            }
            // From the first body on: heads that are sent again are judged again.
            let judged = if self.body_start > 0 {
                self.body_start
            } else {
                self.len
            };
            flow.state = if known.is_none() && self.body_start == 0 {
                state::LONG
            } else {
                state::KNOWN
            };
            flow.left = 0;
            flow.next = sequence;
            flow.start = sequence.wrapping_add(judged);
        } else if !known.reaches(sequence) {
            // Nothing is known of what comes late to fill the gap.
            flow.start = sequence;
        } else if self.body_start > 0 && flow.state == state::LONG {
            flow.state = state::KNOWN;
        }
        let is_news = !flow.has_seen(sequence.wrapping_add(self.len));
        flow = flow.after(sequence, self.len, now);
        // Whose head was read, that body is the one the segment ends in.
        if is_news && self.requests != 0 {
            flow.left = self.body;
        }
        flow
    }

    /// Whether what was denied lies further on and still waits. With a body under way
    /// the connection is known, and so nothing passes behind a gap anyhow.
    #[inline(always)]
    const fn stays_before(&self, sequence: u32, known: &Flow) -> bool {
        let ahead = known.next.wrapping_sub(sequence.wrapping_add(self.len)) as i32;
        known.is_held() && ahead > 0 && self.body == 0
    }

    /// Moves on to the next window and gives its length, which is 0 at the segment's end.
    #[inline(always)]
    const fn next_window(&mut self) -> u32 {
        self.offset += self.cursor.end;
        let left = self.len.saturating_sub(self.offset);
        self.cursor = Cursor {
            at: 0,
            end: least(left as u64, window::CAPACITY as u32),
        };
        self.cursor.end
    }

    /// Goes on behind the body of the request whose head was read.
    #[inline(always)]
    const fn pass_over(&mut self, body: u64) {
        if body > 0 && self.body_start == 0 {
            self.body_start = self.offset + self.cursor.at;
        }
        self.head.reset();
        let in_window = least(body, self.cursor.end - self.cursor.at);
        self.cursor.at += in_window;
        let body = body - in_window as u64;
        if body > 0 {
            // The window's bytes are used up; the next one starts behind the body.
            let in_segment = least(body, self.len.saturating_sub(self.offset + self.cursor.end));
            self.offset += in_segment;
            self.body = body - in_segment as u64;
        }
    }
}

#[cfg(test)]
mod tests;
