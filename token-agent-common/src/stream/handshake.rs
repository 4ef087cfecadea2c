//! What a server has offered: the initial sequence numbers of its SYN-ACKs (RFC 9293, section 3.5).

use bytemuck::{Pod, Zeroable};

use super::connection::ticks;
use crate::{abi::FlowKey, packet::Segment};

/// How many offers of one connection are kept. With SYN cookies the kernel may accept
/// either of two; more come only from a sender who makes up SYNs.
const OFFERS: usize = 4;

/// How long offers are remembered that were taken up, in [`ticks`]: longer than a SYN cookie is good for (Linux takes
/// those of this minute and the last one).
const MEMORY: u32 = ticks(130_000_000_000);

/// How far a client may send before the server has acknowledged anything, in bytes: the window of a SYN-ACK is not
/// scaled (RFC 7323, section 2.2).
pub(super) const FIRST_WINDOW: i64 = 65_535;

/// By as many bytes a segment may stand off and still fit a SYN cookie, which binds one sum of the client's number, the
/// server's, and an index of four segment sizes.
const COOKIE_SLACK: u32 = 3;

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

    /// What a SYN cookie binds.
    #[inline(always)]
    const fn sum(&self) -> u32 {
        self.server.wrapping_sub(self.client)
    }

    /// Whether a server that knows nothing of a handshake would take `segment` for the end of this one, or of another
    /// with a cookie that binds the same. Linux looks at no more than the sum.
    #[inline(always)]
    pub(super) const fn is_matched_by(&self, segment: &Segment) -> bool {
        let sum = segment.acknowledgment.wrapping_sub(segment.sequence);
        distance(sum, self.sum()) <= COOKIE_SLACK
    }

    /// What it means to this pair that `other` was offered, too.
    #[inline(always)]
    pub(super) const fn besides(&self, other: Self) -> Besides {
        let apart = distance(self.sum(), other.sum());
        // Sums a little apart may be of one minute, with other segment sizes, or not.
        if apart == 0 {
            Besides::Nothing
        } else if apart <= FIRST_WINDOW as u32 + COOKIE_SLACK {
            Besides::Near
        } else {
            Besides::Far
        }
    }
}

/// What else a server may still take for the end of a handshake, because a cookie binds it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum Besides {
    /// Nothing that is another sum.
    Nothing = 0,
    /// Sums that are far from this one.
    Far = 1,
    /// A sum that is so near that a first flight of segments may reach it.
    Near = 2,
}

/// How far apart two numbers are.
#[inline(always)]
const fn distance(a: u32, b: u32) -> u32 {
    (a.wrapping_sub(b) as i32).unsigned_abs()
}

/// The pairs that were offered for one connection, the newest ones; and, a while longer, those that were taken up,
/// and the others with them.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Offers {
    pairs: [Pair; OFFERS],
    /// Where the next one goes, and [`OFFERS`] more once there were as many.
    place: u8,
    /// Which can be taken up, as bits.
    open: u8,
    /// Beside which another was offered that is [near](Besides::Near), as bits.
    near: u8,
    /// Beside which any other was, that a cookie tells from it.
    other: u8,
    /// When the newest was made.
    since: u32,
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
        place: 0,
        open: 0,
        near: 0,
        other: 0,
        since: 0,
        seal: 0,
    };

    /// Whether there are none that can be taken up.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.open == 0
    }

    #[inline(always)]
    fn known(&self) -> usize {
        (self.place as usize).min(OFFERS)
    }

    /// Adds one, at `now`; of more than there is room for, the oldest goes. What it meant to those that stay is kept.
    #[inline(always)]
    pub fn add(&mut self, pair: Pair, now: u32) {
        if now.wrapping_sub(self.since) as i32 > MEMORY as i32 {
            self.place = 0;
            self.open = 0;
        }
        self.since = now;
        let known = self.known();
        for i in 0..OFFERS {
            if i < known && self.pairs[i] == pair {
                self.open |= 1 << i;
                return;
            }
        }
        let at = self.place as usize & (OFFERS - 1);
        self.near &= !(1 << at);
        self.other &= !(1 << at);
        for i in 0..OFFERS {
            if i < known && i != at {
                let both = 1 << i | 1 << at;
                match pair.besides(self.pairs[i]) {
                    // What is beside the one is beside the other.
                    Besides::Nothing => {
                        self.near |= (self.near >> i & 1) << at;
                        self.other |= (self.other >> i & 1) << at;
                    }
                    Besides::Far => self.other |= both,
                    Besides::Near => {
                        self.near |= both;
                        self.other |= both;
                    }
                }
            }
        }
        self.pairs[at] = pair;
        self.open |= 1 << at;
        let next = self.place + 1;
        self.place = if next < 2 * OFFERS as u8 {
            next
        } else {
            OFFERS as u8
        };
    }

    /// Remembers one that was made and that nobody can take up, because it did not get to the client: a cookie binds it
    /// all the same.
    #[inline(always)]
    pub fn note(&mut self, pair: Pair, now: u32) {
        let was_open = self.opened(pair);
        self.add(pair, now);
        self.open &= !self.opened(pair) | was_open;
    }

    /// The bit of this pair if it can be taken up.
    #[inline(always)]
    fn opened(&self, pair: Pair) -> u8 {
        let mut bit = 0;
        for i in 0..OFFERS {
            if self.open & 1 << i != 0 && self.pairs[i] == pair {
                bit = 1 << i;
            }
        }
        bit
    }

    /// The offer that `segment` takes up.
    #[inline(always)]
    #[must_use]
    pub fn taken_by(&self, segment: &Segment) -> Option<Pair> {
        for i in 0..OFFERS {
            if self.open & 1 << i != 0 && self.pairs[i].is_taken_by(segment) {
                return Some(self.pairs[i]);
            }
        }
        None
    }

    /// None can be taken up any more.
    #[inline(always)]
    pub const fn withdraw(&mut self) {
        self.open = 0;
    }

    /// What the server may still take, besides this pair.
    #[inline(always)]
    #[must_use]
    pub fn besides(&self, pair: Pair) -> Besides {
        let mut besides = Besides::Nothing;
        let known = self.known();
        for i in 0..OFFERS {
            if i < known {
                let one = if self.pairs[i] != pair {
                    pair.besides(self.pairs[i])
                } else if self.near >> i & 1 != 0 {
                    Besides::Near
                } else if self.other >> i & 1 != 0 {
                    Besides::Far
                } else {
                    Besides::Nothing
                };
                besides = besides.max(one);
            }
        }
        besides
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
        let state = u64::from(self.since) << 32
            | u64::from(self.other) << 24
            | u64::from(self.near) << 16
            | u64::from(self.open) << 8
            | u64::from(self.place);
        let mut seal = key.folded() ^ state;
        for (i, pair) in self.pairs.iter().enumerate() {
            let both = u64::from(pair.client) | u64::from(pair.server) << 32;
            seal ^= both.rotate_left(i as u32 * 17 + 5);
        }
        seal
    }
}

#[cfg(test)]
mod tests;
