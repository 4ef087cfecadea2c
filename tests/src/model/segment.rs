//! TCP segments, without addresses: there is one client, one server, and a port of each.

use std::time::Duration;

use crate::frame::{FIN, SYN};

/// A time since the simulation's start.
pub type Time = Duration;

/// What the server sends is of the same shape.
pub type ServerPacket = Segment;

/// A TCP segment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Segment {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number; of no meaning without ACK.
    pub acknowledgment: u32,
    /// As in [`crate::frame`].
    pub flags: u8,
    /// Window, not scaled.
    pub window: u16,
    /// Urgent pointer; of no meaning without URG.
    pub urgent: u16,
    /// Options, padded to a multiple of four.
    pub options: Vec<u8>,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Whether the checksum is wrong. A guard cannot see that.
    pub is_corrupt: bool,
}

impl Segment {
    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Whether one of `flags` is set.
    #[must_use]
    pub const fn has_any(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// Length of the payload.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.payload.len()).expect("a payload fits in a packet")
    }

    /// Whether it carries no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// How much of the sequence space it takes: the payload, SYN and FIN.
    #[must_use]
    pub fn space(&self) -> u32 {
        self.len() + u32::from(self.has(SYN)) + u32::from(self.has(FIN))
    }

    /// The sequence number behind it.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.sequence.wrapping_add(self.space())
    }
}

/// `a - b` for sequence numbers: positive if `a` is ahead.
#[must_use]
pub const fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}
