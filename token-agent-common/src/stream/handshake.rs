//! What a server has offered: the initial sequence numbers of its SYN-ACKs (RFC 9293, section 3.5).

use bytemuck::{Pod, Zeroable};

use crate::{abi::FlowKey, packet::Segment};

/// How many offers of one connection are kept. With SYN cookies the kernel may accept
/// either of two; more come only from a sender who makes up SYNs.
const OFFERS: usize = 4;

/// The initial sequence numbers of both sides.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Pair {
    /// The client's.
    pub client: u32,
    /// The server's.
    pub server: u32,
}

impl Pair {
    /// The pair of a SYN-ACK.
    #[inline(always)]
    #[must_use]
    pub const fn offered(syn_ack: &Segment) -> Self {
        Self {
            client: syn_ack.acknowledgment.wrapping_sub(1),
            server: syn_ack.sequence,
        }
    }

    /// Whether `segment` is one that follows this handshake at once: it stands at the first
    /// byte, and acknowledges the SYN-ACK and nothing more.
    #[inline(always)]
    const fn is_taken_by(&self, segment: &Segment) -> bool {
        segment.sequence == self.client.wrapping_add(1)
            && segment.acknowledgment == self.server.wrapping_add(1)
    }
}

/// The pairs that were offered for one connection, the newest ones.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Offers {
    pairs: [Pair; OFFERS],
    /// How many there were.
    count: u64,
    /// In the map, ties the other fields to the connection. Else 0.
    seal: u64,
}

impl Offers {
    /// None.
    pub const NONE: Self = Self {
        pairs: [Pair {
            client: 0,
            server: 0,
        }; OFFERS],
        count: 0,
        seal: 0,
    };

    /// Whether there are none.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.count == 0
    }

    /// Adds one; of more than there is room for, the oldest goes.
    #[inline(always)]
    pub fn add(&mut self, pair: Pair) {
        let known = (self.count as usize).min(OFFERS);
        for i in 0..OFFERS {
            if i < known && self.pairs[i] == pair {
                return;
            }
        }
        self.pairs[self.count as usize & (OFFERS - 1)] = pair;
        self.count += 1;
    }

    /// The offer that `segment` takes up.
    #[inline(always)]
    #[must_use]
    pub fn taken_by(&self, segment: &Segment) -> Option<Pair> {
        let known = (self.count as usize).min(OFFERS);
        for i in 0..OFFERS {
            if i < known && self.pairs[i].is_taken_by(segment) {
                return Some(self.pairs[i]);
            }
        }
        None
    }

    /// What stands in the map for the connection with this key. What is read there can be
    /// another connection's by then, or parts of two (the kernel gives an element of an LRU
    /// map away while somebody reads it).
    #[inline(always)]
    #[must_use]
    pub fn sealed(self, key: &FlowKey) -> Self {
        Self {
            seal: self.expected_seal(key),
            ..self
        }
    }

    /// Takes the seal off what was read in the map; false if it is not whole, or not this connection's.
    #[inline(always)]
    #[must_use]
    pub fn unseal(&mut self, key: &FlowKey) -> bool {
        let is_whole = self.seal == self.expected_seal(key);
        self.seal = 0;
        is_whole
    }

    /// Different for two that differ in one field.
    #[inline(always)]
    fn expected_seal(&self, key: &FlowKey) -> u64 {
        let mut seal = key.folded() ^ self.count;
        for (i, pair) in self.pairs.iter().enumerate() {
            let both = u64::from(pair.client) | u64::from(pair.server) << 32;
            seal ^= both.rotate_left(i as u32 * 17 + 5);
        }
        seal
    }
}
