//! How long a connection is remembered of which nothing is heard, and when it gives up what it has no use for.

use super::{Connection, NONE, state};
use crate::stream::witness::Seen;

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
pub(super) const IDLE_CLOSED: u32 = ticks(2_000_000_000);

const SECOND: u32 = ticks(1_000_000_000);

/// A time of the monotonic clock, given in nanoseconds, as connections keep it: in units of
/// 2^20 ns, a little more than a millisecond. Wraps after 52 days; only differences matter.
#[inline(always)]
#[must_use]
pub const fn ticks(nanoseconds: u64) -> u32 {
    (nanoseconds >> 20) as u32
}

impl Connection {
    /// Notes that a packet of it was seen.
    #[inline(always)]
    pub const fn touch(&mut self, now: u32) {
        // What stands there is not written again, for this processor would have to fetch it.
        if self.used != now {
            self.used = now;
        }
    }

    /// Whether nothing was heard of it for so long that it can be forgotten.
    #[inline(always)]
    #[must_use]
    pub(in crate::stream) const fn is_idle(&self, seen: &Seen, now: u32) -> bool {
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
    pub(super) const fn rests_for(&self, longest: u32, now: u32) -> bool {
        // Signed: it may have been used since `now` was read.
        now.wrapping_sub(self.used) as i32 > longest as i32
    }

    /// Whether it has a buffer that it has no use for: nothing is read any more, or the buffer is empty and
    /// has been for a second.
    #[inline(always)]
    #[must_use]
    pub(in crate::stream) const fn hoards(&self, acked: u64, now: u32) -> bool {
        self.buffer != 0
            && (!self.is_open() || self.place.is_settled() && self.hoards_pages(acked, now))
    }

    /// The same of the pages alone, which a head that was begun has no use for.
    #[inline(always)]
    #[must_use]
    pub(in crate::stream) const fn hoards_pages(&self, acked: u64, now: u32) -> bool {
        self.buffer != 0 && acked >= self.next && self.rests_for(SECOND, now)
    }
}
