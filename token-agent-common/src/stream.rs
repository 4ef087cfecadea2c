//! One connection: its client's stream, as the server will put it together, and what the
//! server says of it.
//!
//! [`handshake`] binds a connection to one pair of initial sequence numbers, [`witness`] sees how far
//! the server has come, [`connection`] tells what a segment may do, [`compare`] and [`buffer`] that a
//! repetition is one, [`reader`] finds the requests in what is new.

mod buffer;
mod compare;
mod connection;
mod handshake;
mod reader;
#[cfg(test)]
mod tests;
mod tokens;
mod witness;

pub use buffer::{Buffer, COPY, PAGE, PAGES, Page, Room};
pub use compare::Comparison;
pub use connection::{Arrival, Connection, Plan, ticks};
pub use handshake::{Besides, Offers, Pair};
pub use reader::{PIECES, Piece, Read, Reader, Turn};
pub use tokens::Tokens;
pub use witness::{Answer, Change, Seen, Witness};

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

/// What is kept of one connection: an element of the array of connections.
///
/// Elements of an array never move and are never given away behind a program's back; who may
/// change what is known of the connection is told by the mark.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Slot {
    /// What is known of it.
    pub connection: Connection,
    /// Who is changing `connection`; 0 if nobody is.
    pub mark: u64,
    /// What was seen of its server; changed word by word, without the mark.
    pub witness: Witness,
}

impl Slot {
    /// Whether the connection can be forgotten.
    #[inline(always)]
    #[must_use]
    pub const fn is_idle(&self, now: u32) -> bool {
        self.connection.is_bound() && self.connection.is_idle(&self.witness.seen(), now)
    }

    /// Whether the connection's buffer can be given back.
    #[inline(always)]
    #[must_use]
    pub const fn hoards(&self, now: u32) -> bool {
        self.connection.hoards(self.witness.seen().acked, now)
    }

    /// Whether the pages of the connection's buffer can be given back.
    #[inline(always)]
    #[must_use]
    pub const fn hoards_pages(&self, now: u32) -> bool {
        self.connection.hoards_pages(self.witness.seen().acked, now)
    }
}

const _: () = {
    assert!(size_of::<Slot>() == 192);
    // Three lines of a cache, of which the witness looks at the first and the last one.
    assert!(offset_of!(Slot, connection) == 0);
    assert!(connection::LINE * 8 == 64);
    assert!(offset_of!(Slot, mark) > 128);
    assert!(size_of::<Offers>() == 48);
    assert!(size_of::<Buffer>() == 4_672);
    assert!(size_of::<Page>() == 2_624);
};
