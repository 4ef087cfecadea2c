//! One connection: its client's stream, as the server will put it together, and what the
//! server says of it.
//!
//! [`handshake`] binds a connection to one pair of initial sequence numbers, [`witness`] sees how far
//! the server has come, [`inquiry`] how its answer begins, [`connection`] tells what a segment may do, [`compare`] and [`buffer`] that a
//! repetition is one, [`reader`] finds the requests in what is new.

mod buffer;
mod compare;
mod connection;
mod handshake;
mod inquiry;
mod reader;
#[cfg(test)]
mod tests;
mod tokens;
mod witness;

pub use buffer::{Buffer, COPY, PAGE, PAGES, Page, Room};
pub use compare::Comparison;
pub use connection::{Arrival, Connection, Plan, ticks};
pub use handshake::{Besides, Offers, Pair};
pub use inquiry::{Answer, Inquiry};
pub use reader::{PIECES, Piece, Read, Reader, Turn};
pub use tokens::Tokens;
pub use witness::{Change, Seen, Told, Witness};

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use crate::opaque;

/// What is kept of one connection, besides its [`Witness`]: an element of the array of connections.
///
/// Elements of an array never move and are never given away behind a program's back; who may
/// change what is known of the connection is told by the mark.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Slot {
    // A line that hardly ever changes.
    /// How the server's answer begins; changed without the mark.
    pub inquiry: Inquiry,
    /// What is known of it.
    pub connection: Connection,
    /// Who is changing `connection`; 0 if nobody is.
    pub mark: u64,
    /// What the witness tells; written word by word, without the mark.
    pub told: Told,
}

impl Slot {
    /// Nobody's.
    pub const FREE: Self = Self {
        inquiry: Inquiry::NONE,
        connection: Connection::FREE,
        mark: 0,
        told: Told::begun(0),
    };

    /// Nothing was seen of the server yet, for `connection` has just begun.
    #[inline(always)]
    pub fn begin(&mut self, witness: &mut Witness) {
        let generation = self.connection.generation;
        // First: who is about to tell the words from before looks there again.
        *witness = Witness::begun(generation);
        opaque::order();
        self.told = Told::begun(generation);
        self.inquiry = Inquiry::begun(generation);
    }

    /// What was seen of the server.
    #[inline(always)]
    #[must_use]
    pub const fn seen(&self, witness: &Witness) -> Seen {
        Told {
            acked: witness.acked,
            sent: witness.sent,
            ended: self.told.ended,
        }
        .seen(self.connection.generation, self.inquiry)
    }

    /// The same, as far as the witness has told it.
    #[inline(always)]
    #[must_use]
    pub fn heard(&self) -> Seen {
        // First: what the server has received is told before how it answers.
        let inquiry = self.inquiry;
        opaque::order();
        self.told.seen(self.connection.generation, inquiry)
    }

    /// Whether the connection can be forgotten, of whose server so much was seen.
    #[inline(always)]
    #[must_use]
    pub const fn is_idle(&self, seen: &Seen, now: u32) -> bool {
        self.connection.is_bound() && self.connection.is_idle(seen, now)
    }

    /// Whether the connection's buffer can be given back.
    #[inline(always)]
    #[must_use]
    pub fn hoards(&self, now: u32) -> bool {
        self.connection.hoards(self.heard().acked, now)
    }

    /// Whether the pages of the connection's buffer can be given back.
    #[inline(always)]
    #[must_use]
    pub fn hoards_pages(&self, now: u32) -> bool {
        self.connection.hoards_pages(self.heard().acked, now)
    }
}

const _: () = {
    // Three lines of a cache, of which the witness reads the first and writes the last one.
    assert!(size_of::<Slot>() == 192);
    assert!(offset_of!(Slot, connection) + connection::LINE * 8 == 64);
    assert!(offset_of!(Slot, mark) > 128);
    assert!(size_of::<Witness>() == 64);
    assert!(size_of::<Offers>() == 48);
    assert!(size_of::<Buffer>() == 4_672);
    assert!(size_of::<Page>() == 2_624);
};
