//! Addresses of both families as one kind.

use bytemuck::{Pod, Zeroable};

/// An IPv6 address; IPv4 as `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2).
///
/// In memory its sixteen bytes are in network order; as two words they are
/// copied and compared in two steps.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, Pod, PartialEq, PartialOrd, Zeroable)]
#[repr(C)]
pub struct Address {
    pub(super) words: [u64; 2],
}

impl Address {
    /// All zero.
    pub const NONE: Self = Self { words: [0; 2] };

    /// The second word of an IPv4 address has these four bytes first.
    const MAPPED: u64 = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    const MAPPED_MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

    /// The address with these bytes, in network order.
    #[must_use]
    pub fn new(octets: [u8; 16]) -> Self {
        bytemuck::cast(octets)
    }

    /// Its bytes, in network order.
    #[must_use]
    pub fn octets(self) -> [u8; 16] {
        bytemuck::cast(self)
    }

    /// The address whose memory holds these two words.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The IPv4 address whose four bytes are, in memory, those of `word`.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4(word: u32) -> Self {
        let word = if cfg!(target_endian = "little") {
            (word as u64) << 32
        } else {
            word as u64
        };
        Self {
            words: [0, Self::MAPPED | word],
        }
    }

    #[inline(always)]
    pub(super) const fn is(&self, other: &Self) -> bool {
        self.words[0] == other.words[0] && self.words[1] == other.words[1]
    }

    /// Whether it means something on its own link alone (RFC 4291, section 2.5.6): `fe80::/10`.
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        self.words[0].to_le() as u16 & u16::from_le_bytes([0xff, 0xc0])
            == u16::from_le_bytes([0xfe, 0x80])
    }

    /// Whose connections are counted together: an IPv4 address, or the 64 bits of an IPv6
    /// address that tell a network (RFC 4291, section 2.5.4), since one host has all of it.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> Self {
        if self.is_ipv4() {
            *self
        } else {
            Self {
                words: [self.words[0], 0],
            }
        }
    }

    /// Its bytes as four numbers, each as it is in memory.
    #[inline(always)]
    #[must_use]
    pub const fn quarters(&self) -> [u32; 4] {
        let [first, last] = self.words;
        if cfg!(target_endian = "little") {
            [
                first as u32,
                (first >> 32) as u32,
                last as u32,
                (last >> 32) as u32,
            ]
        } else {
            [
                (first >> 32) as u32,
                first as u32,
                (last >> 32) as u32,
                last as u32,
            ]
        }
    }

    /// Whether it is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.words[0] == 0 && self.words[1] & Self::MAPPED_MASK == Self::MAPPED
    }
}
