//! The bytes being looked at: a fixed buffer read in 64-bit words.

use crate::{opaque, swar, words};

/// How many payload bytes are looked at together: most heads have fewer.
pub const CAPACITY: usize = 512;

/// Bytes kept free before the payload, so that a read may start up to one hash block early.
const MARGIN: u32 = 64;

/// How far [`Window::text`] looks, in bytes.
pub(crate) const TEXT_MAX: u32 = 56;

/// A power of two, and more: see [`words`].
const WORDS: usize = 128 + words::AHEAD;
const CAPACITY_WORDS: usize = CAPACITY / 8;
const TEXT_WORDS: usize = 16 + words::AHEAD;
const MARGIN_WORDS: usize = MARGIN as usize / 8;

// The payload, its margin and a read past the end fit.
const _: () = assert!(MARGIN_WORDS + CAPACITY_WORDS + 9 <= WORDS);

/// A window of payload bytes. Behind the last one stands a zero byte, which is in
/// no class of bytes that HTTP has: whoever reads stops there without counting.
/// What lies further out is unspecified.
#[derive(Debug)]
#[repr(C)]
pub struct Window {
    words: [u64; WORDS],
    /// A bit for each byte of the payload: whether text ends there.
    ends: [u64; TEXT_WORDS],
}

impl Window {
    /// An empty window.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: [0; WORDS],
            ends: [0; TEXT_WORDS],
        }
    }

    /// The eight bytes from `at` on, the first in the lowest bits. `at` may be
    /// up to 64 below zero (wrapping).
    #[inline(always)]
    #[must_use]
    pub fn word(&self, at: u32) -> u64 {
        self.word_ahead(at, 0)
    }

    /// The same, `ahead` (0 to 7) words further on.
    #[inline(always)]
    #[must_use]
    pub fn word_ahead(&self, at: u32, ahead: usize) -> u64 {
        words::unaligned(&self.words, at.wrapping_add(MARGIN), ahead)
    }

    /// How many bytes from `at` on, which is at most `CAPACITY`, are text: of what may stand in a
    /// field value all visible ASCII and space, no HTAB, and others in part (see [`swar::control`]).
    /// At most [`TEXT_MAX`] are looked at.
    #[inline(always)]
    #[must_use]
    pub(crate) fn text(&self, at: u32) -> u32 {
        let ends = words::unaligned(&self.ends, at >> 3, 0) >> (at & 7);
        (ends | 1 << TEXT_MAX).trailing_zeros()
    }

    /// Ends the payload after `count` bytes.
    #[inline(always)]
    pub fn seal(&mut self, count: u32) {
        words::set_unaligned(&mut self.words, count.wrapping_add(MARGIN), 0, 0);
        // For a payload that fills its room, of which the zero is not looked at.
        self.ends[CAPACITY / 64] = u64::MAX;
        // A number of its own, so that what the kernel's verifier learns of it in the loop
        // tells it nothing of the count.
        let last = opaque::word(count / 64);
        let mut i = 0;
        while i < CAPACITY_WORDS / 8 {
            if i as u32 > last {
                break;
            }
            let words = &self.words[MARGIN_WORDS + 8 * i..][..8];
            let ends = &mut bytemuck::bytes_of_mut(&mut self.ends)[8 * i..][..8];
            let mut j = 0;
            while j < 8 {
                ends[j] = swar::gather::<1>(|_| swar::control(u64::from_le(words[j]))) as u8;
                j += 1;
            }
            i += 1;
        }
    }

    /// Copies the `len` bytes from `at` on, which must be there, to `to_at` in `to`.
    #[inline(always)]
    pub(crate) fn copy<const M: usize>(&self, at: u32, to: &mut [u64; M], to_at: u32, len: u32) {
        let at = at.wrapping_add(MARGIN);
        words::copy_bytes::<CAPACITY, _, _>(&self.words, at, to, to_at, len);
    }

    /// Where the payload goes: `CAPACITY` bytes. Then [`seal`](Self::seal) it.
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
        self.seal(count as u32);
        count as u32
    }
}

/// Where in a window reading goes on, and where the window's bytes end.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Cursor {
    /// Offset of the next byte.
    pub at: u32,
    /// Number of bytes in the window.
    pub end: u32,
}

impl Cursor {
    /// At the end of an empty window.
    pub const NONE: Self = Self { at: 0, end: 0 };
}

/// What is read: the bytes of a window from a cursor on.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub(crate) window: &'a Window,
    pub(crate) cursor: &'a mut Cursor,
}

impl Input<'_> {
    /// The eight bytes from `offset` on, the first in the lowest bits.
    #[inline(always)]
    pub(crate) fn word(&self, offset: u32) -> u64 {
        self.window.word(self.cursor.at.wrapping_add(offset))
    }

    /// The same, `ahead` (0 to 7) words further on.
    #[inline(always)]
    pub(crate) fn word_ahead(&self, ahead: usize) -> u64 {
        self.word_behind(0, ahead)
    }

    /// The same, from `offset` on.
    #[inline(always)]
    pub(crate) fn word_behind(&self, offset: u32, ahead: usize) -> u64 {
        self.window
            .word_ahead(self.cursor.at.wrapping_add(offset), ahead)
    }

    /// See [`Window::text`].
    #[inline(always)]
    pub(crate) fn text(&self) -> u32 {
        self.text_behind(0)
    }

    /// The same, from `offset` on.
    #[inline(always)]
    pub(crate) fn text_behind(&self, offset: u32) -> u32 {
        self.window.text(self.cursor.at.wrapping_add(offset))
    }

    /// Whether the first `len` (1 to [`TEXT_MAX`]) bytes from `offset` on are all of a class.
    #[inline(always)]
    pub(crate) fn all(&self, offset: u32, len: u32, class: impl Fn(u64) -> u64) -> bool {
        // The compiler would drop a mask it can prove needless; the kernel's verifier asks for it.
        let count = opaque::word(len);
        let mut others = 0;
        let mut i = 0;
        while i < TEXT_MAX as usize / 8 {
            let word = self.word_behind(offset, i);
            others |= swar::others(class(word)) & swar::bytes_below(count, i);
            i += 1;
            if i as u32 * 8 >= len {
                break;
            }
        }
        others == 0
    }

    #[inline(always)]
    pub(crate) fn byte(&self, offset: u32) -> u8 {
        self.word(offset) as u8
    }

    /// Whether CR LF stands at `offset`.
    #[inline(always)]
    pub(crate) fn is_crlf(&self, offset: u32) -> bool {
        self.word(offset) as u16 == u16::from_le_bytes(*b"\r\n")
    }

    /// Whether no byte stands at `offset`. To be asked of a zero byte only: that is what is there.
    #[inline(always)]
    pub(crate) const fn is_end(&self, offset: u32) -> bool {
        self.cursor.at.wrapping_add(offset) >= self.cursor.end
    }

    /// How many bytes are left, given that the cursor stands before the end.
    #[inline(always)]
    pub(crate) const fn left(&self) -> u32 {
        self.cursor.end.wrapping_sub(self.cursor.at)
    }

    #[inline(always)]
    pub(crate) const fn consume(&mut self, count: u32) {
        self.cursor.at = self.cursor.at.wrapping_add(count);
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_stands_behind_the_payload() {
        let mut window = Window::new();
        for count in (1..=CAPACITY).rev() {
            window.fill(&[1; CAPACITY][..count]);
            assert_eq!(window.word(count as u32 - 1) as u16, 1, "{count} bytes");
        }
    }

    #[test]
    fn text_ends_at_the_first_other_byte() {
        let mut window = Window::new();
        for stop in [0, b'\t', b'\n', b'\r', 0x1f, 0x7f, 0x80, 0x9f, 0xff] {
            for at in 0..CAPACITY {
                let mut bytes = [b' '; CAPACITY];
                bytes[CAPACITY / 2..].fill(0xa0);
                bytes[at] = stop;
                window.fill(&bytes);
                assert_text_ends(&window, at);
            }
        }
    }

    #[test]
    fn text_ends_with_the_payload() {
        let mut window = Window::new();
        for count in (0..=CAPACITY).rev() {
            window.fill(&[b'a'; CAPACITY][..count]);
            assert_text_ends(&window, count);
        }
    }

    #[test]
    fn text_ends_with_the_payload_whatever_stood_there_before() {
        let mut window = Window::new();
        for count in 0..=CAPACITY {
            window.fill(&[b'a'; CAPACITY]);
            // What is copied to a window leaves what lies behind as it was.
            window.seal(count as u32);
            assert_text_ends(&window, count);
        }
    }

    /// Seen from anywhere before it, text ends at `end`.
    #[track_caller]
    fn assert_text_ends(window: &Window, end: usize) {
        for from in end.saturating_sub(70)..=end {
            let expected = ((end - from) as u32).min(TEXT_MAX);
            let found = window.text(from as u32);
            assert_eq!(found, expected, "{end} bytes, from {from}");
        }
    }
}
