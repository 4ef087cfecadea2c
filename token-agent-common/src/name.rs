//! Short ASCII names in four words: compared without a loop.

use bytemuck::{Pod, Zeroable};

use crate::{opaque, swar};

/// A lower-case name of at most 32 bytes: a header's, or an authentication scheme's.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Name {
    words: [u64; 4],
    /// Length in bytes; above [`Name::MAX`] it was too long to keep and equals no other.
    len: u64,
}

impl Name {
    /// The longest name kept, in bytes.
    pub const MAX: usize = 32;

    /// The empty name.
    pub const EMPTY: Self = Self {
        words: [0; 4],
        len: 0,
    };

    /// The lower-case form of `name`, if it is at most [`Name::MAX`] bytes long.
    #[must_use]
    pub const fn new(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        if bytes.len() > Self::MAX {
            return None;
        }
        let mut words = [0; 4];
        let mut i = 0;
        while i < bytes.len() {
            words[i / 8] |= (bytes[i].to_ascii_lowercase() as u64) << (i % 8 * 8);
            i += 1;
        }
        Some(Self {
            words,
            len: bytes.len() as u64,
        })
    }

    /// Whether it has no bytes.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its length in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// One of its bytes, of which there are at most [`Name::MAX`].
    pub(crate) const fn byte(&self, index: usize) -> u8 {
        (self.words[index / 8] >> (index % 8 * 8)) as u8
    }

    /// Whether it has `len` bytes.
    #[inline(always)]
    pub(crate) const fn has_len(&self, len: u32) -> bool {
        self.len == len as u64
    }

    /// Whether both are the same name.
    #[inline(always)]
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        self.len == other.len
            && (self.words[0] ^ other.words[0])
                | (self.words[1] ^ other.words[1])
                | (self.words[2] ^ other.words[2])
                | (self.words[3] ^ other.words[3])
                == 0
            && self.len <= Self::MAX as u64
    }

    #[inline(always)]
    pub(crate) const fn clear(&mut self) {
        *self = Self::EMPTY;
    }

    /// Appends the first `count` (0 to 8) bytes of `word`, which are lower case already.
    #[inline(always)]
    pub(crate) fn append(&mut self, word: u64, count: u32) {
        self.append_two([word, 0], count);
    }

    /// Appends the first `count` (0 to 16) bytes of two words, which are lower case already.
    #[inline(always)]
    pub(crate) fn append_two(&mut self, words: [u64; 2], count: u32) {
        // The compiler would drop a mask it can prove needless; the kernel's verifier asks for it.
        let count = opaque::word(count);
        let first = words[0] & swar::bytes_below(count, 0);
        let second = words[1] & swar::bytes_below(count, 1);
        let index = (self.len >> 3) as usize;
        let shift = (self.len & 7) * 8;
        // Past the last word it wraps around: the name is too long then, and equal to none.
        self.words[index & 3] |= first << shift;
        // In two shifts, since a shift by 64 is undefined.
        self.words[(index + 1) & 3] |= second << shift | (first >> 1) >> (63 - shift);
        self.words[(index + 2) & 3] |= (second >> 1) >> (63 - shift);
        self.len += count as u64;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn appended_in_any_pieces_it_is_the_same_name() {
        let name = "abcdefghijklmnopqrstuvwxyz-12345";
        for len in 0..=name.len() {
            for piece in 1..=8 {
                let mut built = Name::EMPTY;
                for chunk in name.as_bytes()[..len].chunks(piece) {
                    let mut eight = [0xff; 8];
                    eight[..chunk.len()].copy_from_slice(chunk);
                    built.append(u64::from_le_bytes(eight), chunk.len() as u32);
                }
                assert!(
                    built.is(&Name::new(&name[..len]).unwrap()),
                    "{len} by {piece}"
                );
            }
        }
    }

    #[test]
    fn every_byte_is_compared() {
        let name = [b'a'; Name::MAX];
        let same = Name::new(core::str::from_utf8(&name).unwrap()).unwrap();
        for i in 0..Name::MAX {
            let mut other = name;
            other[i] = b'b';
            let other = Name::new(core::str::from_utf8(&other).unwrap()).unwrap();
            assert!(!same.is(&other), "byte {i}");
        }
    }

    #[test]
    fn too_long_is_equal_to_nothing() {
        let mut long = Name::EMPTY;
        for _ in 0..100 {
            long.append(u64::from_le_bytes(*b"aaaaaaaa"), 8);
        }
        assert!(!long.is(&long.clone()));
        assert!(!long.is(&Name::new("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap()));
        assert!(Name::new("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").is_none());
    }
}
