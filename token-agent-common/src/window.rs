//! The bytes being looked at: a fixed buffer read in 64-bit words.

use crate::words;

/// How many payload bytes are looked at together.
pub const CAPACITY: usize = 4096;

/// Bytes kept free before the payload, so that a read may start up to one hash block early.
const MARGIN: u32 = 64;

/// A power of two, and one more: see [`words::unaligned`].
const WORDS: usize = 1024 + 1;
const CAPACITY_WORDS: usize = CAPACITY / 8;
const MARGIN_WORDS: usize = MARGIN as usize / 8;

// The payload, its margin and a read past the end fit.
const _: () = assert!(MARGIN_WORDS + CAPACITY_WORDS + 9 <= WORDS);

/// A window of payload bytes. What lies outside the filled part is unspecified:
/// whoever reads knows where the payload ends.
#[derive(Debug)]
#[repr(C)]
pub struct Window {
    words: [u64; WORDS],
}

impl Window {
    /// An empty window.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: [0; WORDS] }
    }

    /// The eight bytes from `at` on, the first in the lowest bits. `at` may be
    /// up to 64 below zero (wrapping).
    #[inline(always)]
    #[must_use]
    pub fn word(&self, at: u32) -> u64 {
        words::unaligned(&self.words, at.wrapping_add(MARGIN))
    }

    /// Where the payload goes: `CAPACITY` bytes.
    #[inline(always)]
    pub fn payload_mut(&mut self) -> &mut [u64; CAPACITY_WORDS] {
        let Some(payload) = self.words[MARGIN_WORDS..].first_chunk_mut() else {
            unreachable!()
        };
        payload
    }

    /// Copies up to `CAPACITY` bytes of `bytes` in, and says how many.
    pub fn fill(&mut self, bytes: &[u8]) -> u32 {
        let count = bytes.len().min(CAPACITY);
        for (word, chunk) in self.payload_mut().iter_mut().zip(bytes[..count].chunks(8)) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(eight);
        }
        count as u32
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}
