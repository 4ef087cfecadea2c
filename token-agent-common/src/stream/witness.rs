//! What the server says: how far it has received, how far it has sent, and where it has ended.
//!
//! Kept in words that are changed one by one, by compare and exchange, without taking the
//! connection's mark: a server's packet must not wait for the guard. Each word bears the
//! number of the connection's use of this memory, so a late change never reaches a
//! stranger's state.
//!
//! They stand in a line of a cache that the server's processor has to itself, and are [told](Told) to the guard in another
//! one, where the witness writes and never reads: what the guard has looked at is with its processor, and would have to be
//! fetched for each packet. Lines next to each other are fetched together, so the lines of witnesses are in an array of their own.

use bytemuck::{Pod, Zeroable};

use super::{
    connection::{AHEAD, APART},
    handshake::Pair,
    inquiry::{Answer, Inquiry},
};
use crate::packet::Segment;

/// Bits of a word that hold its value: positions up to 256 TiB.
const VALUE_BITS: u32 = 48;
pub(super) const VALUE: u64 = (1 << VALUE_BITS) - 1;

/// In place of where a server has ended its side.
const SOMEWHERE: u64 = VALUE;

/// What was seen of the server's side of a connection: an element of the array of witnesses.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Witness {
    /// Up to where the server has the client's stream.
    pub acked: u64,
    /// How much it has sent.
    pub sent: u64,
    rest: [u64; 6],
}

/// What the guard is told. If two processors saw something at the very same moment, it may be what the slower one saw, up to the
/// server's next packet: who is served then waits for that, or loses the connection. But for the end, of which no one
/// may be told late.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Told {
    /// As in [`Witness`].
    pub acked: u64,
    /// As in [`Witness`].
    pub sent: u64,
    /// Where the server has ended its side, [`SOMEWHERE`] if that was not seen; else 0. It stands here only, and is changed by
    /// compare and exchange.
    pub ended: u64,
}

/// The same at one moment, as values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Seen {
    /// Up to where the server has the client's stream; one more once it has its end.
    pub acked: u64,
    /// How much the server has sent.
    pub sent: u64,
    /// Where the server has ended its side; 0 if it has not.
    pub ended: u64,
    inquiry: Inquiry,
}

impl Seen {
    /// Nothing.
    pub const NONE: Self = Self {
        acked: 0,
        sent: 0,
        ended: 0,
        inquiry: Inquiry::NONE,
    };

    /// Whether the server has gone on behind its end: as another connection, that nobody here knows of.
    #[inline(always)]
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        self.ended != 0 && self.sent > self.ended
    }

    /// How the answer begins that was asked for.
    #[inline(always)]
    #[must_use]
    pub const fn answer(&self) -> Answer {
        self.inquiry.answer()
    }
}

/// A change of one word: `to`, if it still is `from`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// What it was.
    pub from: u64,
    /// What it shall be.
    pub to: u64,
}

impl Change {
    #[inline(always)]
    const fn growing(word: u64, to: u64) -> Option<Self> {
        if to <= word & VALUE || to > VALUE {
            return None;
        }
        Some(Self {
            from: word,
            to: word & !VALUE | to,
        })
    }
}

impl Witness {
    /// Of a connection that begins.
    #[inline(always)]
    #[must_use]
    pub const fn begun(generation: u32) -> Self {
        let empty = empty(generation);
        Self {
            acked: empty,
            sent: empty,
            rest: [0; 6],
        }
    }

    /// Whether the server's `packet` has a number that can be this connection's: none from before its first byte (but
    /// a probe's, RFC 1122, section 4.2.3.6), and none far behind or ahead of what was sent.
    #[inline(always)]
    #[must_use]
    pub const fn is_of(&self, isn: Pair, packet: &Segment) -> bool {
        let end = isn.server.wrapping_add(1).wrapping_add(self.sent as u32);
        let ahead = packet.sequence.wrapping_sub(end) as i32 as i64;
        ahead >= -AHEAD && ahead <= APART && -ahead <= (self.sent & VALUE) as i64 + 1
    }

    /// What the server's `packet` acknowledges, if that is news.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledged(&self, isn: Pair, packet: &Segment) -> Option<Change> {
        if !packet.acknowledges() || packet.resets() {
            return None;
        }
        let position = position(packet.acknowledgment, isn.client, self.acked & VALUE);
        Change::growing(self.acked, position)
    }

    /// How far the server's `packet` reaches, if that is news.
    #[inline(always)]
    #[must_use]
    pub const fn sent(&self, isn: Pair, packet: &Segment) -> Option<Change> {
        if packet.resets() {
            return None;
        }
        self.has_sent(self.end(isn, packet))
    }

    /// The position behind the server's `packet`.
    #[inline(always)]
    const fn end(&self, isn: Pair, packet: &Segment) -> u64 {
        let end = packet
            .sequence
            .wrapping_add(packet.len)
            .wrapping_add(packet.finishes() as u32);
        position(end, isn.server, self.sent & VALUE)
    }

    /// That the server has sent this much, if that is news.
    #[inline(always)]
    #[must_use]
    pub const fn has_sent(&self, much: u64) -> Option<Change> {
        Change::growing(self.sent, much)
    }

    /// That the server's `packet` ends its stream, if that is news. It ends there for good.
    #[inline(always)]
    #[must_use]
    pub const fn ended(&self, told: &Told, isn: Pair, packet: &Segment) -> Option<Change> {
        // Only then is it looked at what was told, which may be another connection's by now.
        if !packet.finishes() || !is_alike(told.ended, self.sent) {
            return None;
        }
        let (known, end) = (told.ended & VALUE, self.end(isn, packet));
        if end >= SOMEWHERE || known != 0 && known != SOMEWHERE {
            return None;
        }
        Some(Change {
            from: told.ended,
            to: told.ended & !VALUE | end,
        })
    }

    /// Where the server's `packet` begins.
    #[inline(always)]
    pub(super) const fn begin(&self, isn: Pair, packet: &Segment) -> u64 {
        position(packet.sequence, isn.server, self.sent & VALUE)
    }
}

impl Told {
    /// Of a connection that begins.
    #[inline(always)]
    #[must_use]
    pub const fn begun(generation: u32) -> Self {
        let empty = empty(generation);
        Self {
            acked: empty,
            sent: empty,
            ended: empty,
        }
    }

    /// What of it is of this use of the memory.
    #[inline(always)]
    #[must_use]
    pub const fn seen(&self, generation: u32, inquiry: Inquiry) -> Seen {
        Seen {
            acked: value(self.acked, generation),
            sent: value(self.sent, generation),
            ended: value(self.ended, generation),
            inquiry,
        }
    }

    /// That the server has ended its stream, if nothing is known of that; where is not, either, and it may yet send up to there.
    #[inline(always)]
    #[must_use]
    pub const fn has_ended(&self) -> Option<Change> {
        if self.ended & VALUE != 0 {
            return None;
        }
        Change::growing(self.ended, SOMEWHERE)
    }
}

/// A word of this use of the memory that holds nothing.
#[inline(always)]
pub(super) const fn empty(generation: u32) -> u64 {
    (generation as u64) << VALUE_BITS
}

/// Whether both words are of one use of the memory.
#[inline(always)]
pub(super) const fn is_alike(a: u64, b: u64) -> bool {
    a ^ b <= VALUE
}

/// What the word holds; 0 if it is of another use of the memory.
#[inline(always)]
const fn value(word: u64, generation: u32) -> u64 {
    let value = word ^ empty(generation);
    if value > VALUE { 0 } else { value }
}

/// The position of a sequence number, given one that is near; wrapping before the first.
#[inline(always)]
const fn position(sequence: u32, isn: u32, near: u64) -> u64 {
    let here = isn.wrapping_add(1).wrapping_add(near as u32);
    near.wrapping_add(sequence.wrapping_sub(here) as i32 as i64 as u64)
}
