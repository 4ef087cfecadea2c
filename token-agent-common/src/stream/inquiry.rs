//! How a server's answer begins, where it matters: the guard asks, and the witness answers.
//!
//! A word, changed like those of the [`Witness`], that stands where neither side writes but for this.

use bytemuck::{Pod, Zeroable};

use super::{
    handshake::Pair,
    witness::{Change, VALUE, Witness, empty, is_alike},
};
use crate::packet::Segment;

/// Bits of an inquiry that hold the answer's kind.
const KIND_BITS: u32 = 3;
const KIND: u64 = (1 << KIND_BITS) - 1;

/// How an answer begins, or that nothing is known of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u64)]
pub enum Answer {
    /// The server has said nothing yet.
    None = 0,
    /// 1xx but 101, and nothing else: the answer proper is yet to come.
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

    /// The longest packet of an interim answer, in bytes. Behind one there can be no more of another than its first line,
    /// and no field that follows that begins like an answer. A `100 Continue` has 25.
    const INTERIM: u32 = 32;

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
            [b' ', b'1', _, _] if len <= Self::INTERIM => Self::Interim,
            // Another answer may begin in it.
            [b' ', b'1', _, _] => Self::Unclear,
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

/// Where the answer that was asked for begins, and how.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, PartialEq, Zeroable)]
#[repr(transparent)]
pub struct Inquiry(u64);

impl Inquiry {
    /// Of no connection.
    pub const NONE: Self = Self(0);

    /// Of a connection that begins.
    #[inline(always)]
    #[must_use]
    pub const fn begun(generation: u32) -> Self {
        Self(empty(generation))
    }

    /// Asks how the answer begins that follows the `sent` bytes so far.
    #[inline(always)]
    pub const fn ask(&mut self, sent: u64) {
        self.0 = self.0 & !VALUE | sent << KIND_BITS & VALUE;
    }

    /// The answer is not known: it may have begun before it was asked for.
    #[inline(always)]
    pub const fn miss(&mut self) {
        self.0 = self.0 & !KIND | Answer::Unclear as u64;
    }

    /// How the answer begins that was asked for.
    #[inline(always)]
    #[must_use]
    pub const fn answer(self) -> Answer {
        Answer::from_bits(self.0 & KIND)
    }

    /// Whether the server's `packet` begins the answer that was asked for.
    #[inline(always)]
    #[must_use]
    pub const fn is_for(self, witness: &Witness, isn: Pair, packet: &Segment) -> bool {
        packet.len > 0
            && is_alike(self.0, witness.sent)
            && self.0 & KIND == Answer::None as u64
            && witness.begin(isn, packet) == (self.0 & VALUE) >> KIND_BITS
    }

    /// How that answer, in the server's `packet`, begins: an [`Answer`] as a number. Behind one that is
    /// only interim, the next is waited for.
    #[inline(always)]
    #[must_use]
    pub const fn answered(self, packet: &Segment, answer: u64) -> Change {
        let more = if answer == Answer::Interim as u64 {
            (packet.len as u64) << KIND_BITS
        } else {
            answer
        };
        Change {
            from: self.0,
            to: self.0.wrapping_add(more),
        }
    }

    /// The word itself.
    #[inline(always)]
    #[must_use]
    pub const fn word(&mut self) -> &mut u64 {
        &mut self.0
    }
}
