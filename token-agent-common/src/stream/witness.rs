//! What the server says: how far it has received, how far it has sent, and how its first
//! answer begins.
//!
//! Kept in words that are changed one by one, by compare and exchange, without taking the
//! connection's mark: a server's packet must not wait for the guard. Each word bears the
//! number of the connection's use of this memory, so a late change never reaches a
//! stranger's state.

use bytemuck::{Pod, Zeroable};

use super::{
    connection::{AHEAD, APART},
    handshake::Pair,
};
use crate::packet::Segment;

/// Bits of a word that hold its value: positions up to 256 TiB.
const VALUE_BITS: u32 = 48;
const VALUE: u64 = (1 << VALUE_BITS) - 1;

/// In place of where a server has ended its side.
const SOMEWHERE: u64 = VALUE;

/// Bits of an answer's word that hold its kind.
const ANSWER_BITS: u32 = 3;

/// How an answer begins, or that nothing is known of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u64)]
pub enum Answer {
    /// The server has said nothing yet.
    None = 0,
    /// 1xx but 101: the answer proper is yet to come.
    Interim = 1,
    /// 101 Switching Protocols.
    Switching = 2,
    /// 2xx.
    Success = 3,
    /// Anything else that is an answer.
    Other = 4,
    /// Too little of it, or no answer at all: it cannot be told.
    Unclear = 5,
}

impl Answer {
    /// How many bytes tell.
    pub const LEN: u32 = 12;

    /// What begins with these bytes, the first in the lowest bits of the first word; there are
    /// `len` of them, or of those that follow.
    #[inline(always)]
    #[must_use]
    pub const fn beginning_with(words: [u64; 2], len: u32) -> Self {
        const HTTP: u64 = u64::from_le_bytes(*b"HTTP/1.\0");
        const SEVEN: u64 = (1 << 56) - 1;
        if len < Self::LEN || words[0] & SEVEN != HTTP {
            return Self::Unclear;
        }
        // A blank and three digits.
        match (words[1] as u32).to_le_bytes() {
            [b' ', b'1', b'0', b'1'] => Self::Switching,
            [b' ', b'1', _, _] => Self::Interim,
            [b' ', b'2', _, _] => Self::Success,
            [b' ', _, _, _] => Self::Other,
            _ => Self::Unclear,
        }
    }

    #[inline(always)]
    const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::None,
            1 => Self::Interim,
            2 => Self::Switching,
            3 => Self::Success,
            4 => Self::Other,
            _ => Self::Unclear,
        }
    }
}

/// What was seen of the server's side of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Witness {
    /// Up to where the server has the client's stream.
    pub acked: u64,
    /// How much it has sent.
    pub sent: u64,
    /// Where it has ended its side, [`SOMEWHERE`] if that was not seen; else 0.
    pub ended: u64,
    /// Where the answer that was asked for begins, and how.
    pub answer: u64,
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
    answer: u64,
}

impl Seen {
    /// Nothing.
    pub const NONE: Self = Self {
        acked: 0,
        sent: 0,
        ended: 0,
        answer: 0,
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
        Answer::from_bits(self.answer & ((1 << ANSWER_BITS) - 1))
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
        let empty = (generation as u64) << VALUE_BITS;
        Self {
            acked: empty,
            sent: empty,
            ended: empty,
            answer: empty,
        }
    }

    /// What was seen.
    #[inline(always)]
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen {
            acked: self.acked & VALUE,
            sent: self.sent & VALUE,
            ended: self.ended & VALUE,
            answer: self.answer & VALUE,
        }
    }

    /// Asks how the next answer begins, which follows what was sent so far.
    #[inline(always)]
    pub const fn ask(&mut self) {
        self.answer = self.answer & !VALUE | (self.sent & VALUE) << ANSWER_BITS & VALUE;
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
    pub const fn ended(&self, isn: Pair, packet: &Segment) -> Option<Change> {
        let (known, end) = (self.ended & VALUE, self.end(isn, packet));
        if !packet.finishes() || end >= SOMEWHERE || known != 0 && known != SOMEWHERE {
            return None;
        }
        Some(Change {
            from: self.ended,
            to: self.ended & !VALUE | end,
        })
    }

    /// That the server has ended its stream, if that is news; where is not known, and it may yet send up to there.
    #[inline(always)]
    #[must_use]
    pub const fn has_ended(&self) -> Option<Change> {
        Change::growing(self.ended, SOMEWHERE)
    }

    /// Whether the server's `packet` begins the answer that was asked for.
    #[inline(always)]
    #[must_use]
    pub const fn is_asked(&self, isn: Pair, packet: &Segment) -> bool {
        let answer = self.answer & VALUE;
        packet.len > 0
            && answer & ((1 << ANSWER_BITS) - 1) == Answer::None as u64
            && position(packet.sequence, isn.server, self.sent & VALUE) == answer >> ANSWER_BITS
    }

    /// How that answer, in the server's `packet`, begins: an [`Answer`] as a number. Behind one that is
    /// only interim, the next is waited for.
    #[inline(always)]
    #[must_use]
    pub const fn answered(&self, packet: &Segment, answer: u64) -> Change {
        let more = if answer == Answer::Interim as u64 {
            (packet.len as u64) << ANSWER_BITS
        } else {
            answer
        };
        Change {
            from: self.answer,
            to: self.answer.wrapping_add(more),
        }
    }
}

/// The position of a sequence number, given one that is near; wrapping before the first.
#[inline(always)]
const fn position(sequence: u32, isn: u32, near: u64) -> u64 {
    let here = isn.wrapping_add(1).wrapping_add(near as u32);
    near.wrapping_add(sequence.wrapping_sub(here) as i32 as i64 as u64)
}
