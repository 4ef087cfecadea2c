//! The keyed digest of a credential: BLAKE3 in keyed mode, truncated to 128 bits.
//!
//! Byte for byte what the `blake3` crate gives for `keyed_hash`, but computed as
//! the bytes arrive, in a fixed amount of memory and without recursion, so that
//! it runs in the kernel. (Source: the BLAKE3 paper, version 20211102173700,
//! sections 2.1 to 2.5.)

mod compress;

use bytemuck::{Pod, Zeroable};
use compress::compress;

use crate::{opaque, swar, window::Window};

/// BLAKE3 in keyed mode, truncated to 128 bits: all the kernel and the store keep of a token.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Digest {
    /// The sixteen bytes, in memory order; words, so that they are copied in two steps.
    words: [u64; 2],
}

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// All zero: no digest.
    pub const NONE: Self = Self { words: [0; 2] };

    /// Wraps the bytes of a digest.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        bytemuck::cast(bytes)
    }

    #[inline(always)]
    pub(crate) const fn first_word(&self) -> u64 {
        self.words[0]
    }

    /// The digest's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        bytemuck::cast_ref(self)
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The longest input [`Hasher`] takes, in bytes: eight chunks of 1,024.
pub const MAX_LEN: u32 = 8 * CHUNK;

const CHUNK: u32 = 1024;
const BLOCK: u32 = 64;

const CHUNK_START: u32 = 1 << 0;
const CHUNK_END: u32 = 1 << 1;
const PARENT: u32 = 1 << 2;
const ROOT: u32 = 1 << 3;
const KEYED_HASH: u32 = 1 << 4;

/// The key as BLAKE3 reads it: eight little-endian words.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct KeyWords([u32; 8]);

impl KeyWords {
    /// The words of a 32-byte key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self(words)
    }
}

// The key must not reach a log by way of a derive.
impl core::fmt::Debug for KeyWords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeyWords(..)")
    }
}

/// An unfinished digest.
///
/// Compressions are not done at once but noted, one at a time, and done by
/// [`work`](Self::work): so there is one place where the kernel's verifier has
/// to follow the compression function, and not one for each way there.
#[repr(C)]
pub struct Hasher {
    /// The block being filled, its bytes in memory order; those past `block_len` are zero.
    block: [u64; 8],
    /// The chaining value of the current chunk.
    cv: [u32; 8],
    key: [u32; 8],
    /// Chaining values of finished subtrees, the largest first.
    stack: [[u32; 8]; STACK],
    /// Bytes in `block`.
    block_len: u32,
    /// Bytes in the blocks before it.
    compressed: u32,
    /// What is to be done; see [`task`].
    task: u32,
    /// How many subtrees are waiting on the stack.
    waiting: u32,
    /// How many of them are to be joined.
    joins: u32,
    /// [`ROOT`] once no more bytes follow.
    root: u32,
}

mod task {
    pub(super) const NONE: u32 = 0;
    /// Compress the block, of which more bytes follow.
    pub(super) const BLOCK: u32 = 1;
    /// Compress the block, the last one.
    pub(super) const LAST: u32 = 2;
    /// Replace the chaining value by its parent with the last subtree waiting.
    pub(super) const JOIN: u32 = 3;
}

/// Eight chunks leave at most three subtrees waiting; a power of two lets indexes be masked.
const STACK: usize = 4;

impl Hasher {
    /// A hasher that has taken nothing.
    #[must_use]
    pub const fn new(key: &KeyWords) -> Self {
        Self {
            block: [0; 8],
            cv: key.0,
            key: key.0,
            stack: [[0; 8]; STACK],
            block_len: 0,
            compressed: 0,
            task: task::NONE,
            waiting: 0,
            joins: 0,
            root: 0,
        }
    }

    /// Starts afresh, in place.
    #[inline(always)]
    pub const fn reset(&mut self, key: &KeyWords) {
        self.block = [0; 8];
        self.cv = key.0;
        self.key = key.0;
        self.block_len = 0;
        self.compressed = 0;
        self.task = task::NONE;
        self.waiting = 0;
        self.root = 0;
    }

    /// How many bytes [`push`](Self::push) takes now: 0 to 64. If it is 0 and
    /// at least one more byte follows, [`make_room`](Self::make_room).
    #[inline(always)]
    #[must_use]
    pub const fn room(&self) -> u32 {
        BLOCK.saturating_sub(self.block_len)
    }

    /// Asks for the full block to be closed. Not before it is known that more
    /// bytes follow: the last block is closed differently.
    #[inline(always)]
    pub const fn make_room(&mut self) {
        self.task = task::BLOCK;
    }

    /// Takes `count` bytes of `window` from `at` on; `count` is at most [`room`](Self::room).
    #[inline(always)]
    pub fn push(&mut self, window: &Window, at: u32, count: u32) {
        let filled = self.block_len;
        // The compiler would drop a mask it can prove needless; the verifier of Linux 6.1 asks for it.
        let total = opaque::word(filled + count);
        // Block word i covers the bytes 8i to 8i+8 of the block: read them from
        // where they would lie in the window if the whole block lay there.
        let base = at.wrapping_sub(filled);
        let mut i = 0;
        while i < 8 {
            let taken = swar::bytes_below(total, i) & !swar::bytes_below(filled, i);
            self.block[i] |= (window.word_ahead(base, i) & taken).to_le();
            i += 1;
        }
        self.block_len = total;
    }

    /// Starts afresh with the first block: `count` (at most 64) bytes of `window` from `at` on.
    #[inline(always)]
    pub(crate) fn start(&mut self, key: &KeyWords, window: &Window, at: u32, count: u32) {
        self.reset(key);
        // As in `push`.
        let count = opaque::word(count);
        let mut i = 0;
        while i < 8 {
            self.block[i] = (window.word_ahead(at, i) & swar::bytes_below(count, i)).to_le();
            i += 1;
        }
        self.block_len = count;
    }

    /// Drops what is to be done, in a hasher that is not needed before it starts afresh.
    #[inline(always)]
    pub(crate) const fn stop(&mut self) {
        self.task = task::NONE;
    }

    /// Says that no more bytes follow.
    #[inline(always)]
    pub const fn finish(&mut self) {
        self.task = task::LAST;
    }

    /// Whether there is something to do before the next call of anything else.
    #[inline(always)]
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.task != task::NONE
    }

    /// Does one compression.
    #[inline(always)]
    pub fn work(&mut self) {
        let chunk = self.compressed / CHUNK;
        let start = if self.compressed.is_multiple_of(CHUNK) {
            CHUNK_START
        } else {
            0
        };
        let (counter, len, flags) = match self.task {
            task::BLOCK => {
                let end = (self.compressed + BLOCK).is_multiple_of(CHUNK);
                (chunk, BLOCK, start | if end { CHUNK_END } else { 0 })
            }
            task::LAST => {
                self.root = ROOT;
                (
                    chunk,
                    self.block_len,
                    start | CHUNK_END | if chunk == 0 { ROOT } else { 0 },
                )
            }
            _ => {
                self.load_join();
                (
                    0,
                    BLOCK,
                    PARENT | if self.joins == 1 { self.root } else { 0 },
                )
            }
        };
        compress(
            &mut self.cv,
            &mut self.block,
            [counter, 0, len, flags | KEYED_HASH],
        );
        match self.task {
            task::BLOCK => {
                self.compressed += BLOCK;
                self.task = task::NONE;
                if flags & CHUNK_END != 0 {
                    // The subtrees before the chunk are the set bits of its number; each
                    // trailing one is a subtree of the same size, to be joined.
                    self.joins = chunk.trailing_ones();
                    self.after_join();
                }
            }
            task::LAST => {
                self.joins = self.waiting;
                self.after_join();
            }
            _ => {
                self.waiting = self.waiting.wrapping_sub(1);
                self.joins = self.joins.wrapping_sub(1);
                self.after_join();
            }
        }
        if self.root == 0 {
            self.block = [0; 8];
            self.block_len = 0;
        }
    }

    /// The digest, once [`finish`](Self::finish) was called and nothing is left to do.
    #[inline(always)]
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest {
            words: [pair(self.cv[0], self.cv[1]), pair(self.cv[2], self.cv[3])],
        }
    }

    /// Asks for the next join, or puts the finished subtree on the stack.
    #[inline(always)]
    const fn after_join(&mut self) {
        if self.joins != 0 {
            self.task = task::JOIN;
            return;
        }
        self.task = task::NONE;
        if self.root == 0 {
            self.stack[self.waiting as usize & (STACK - 1)] = self.cv;
            self.waiting = self.waiting.wrapping_add(1);
            self.cv = self.key;
        }
    }

    /// Makes the last subtree waiting and `cv` the block of their parent.
    #[inline(always)]
    fn load_join(&mut self) {
        let index = self.waiting.wrapping_sub(1);
        let left = &self.stack[index as usize & (STACK - 1)];
        for i in 0..4 {
            self.block[i] = pair(left[2 * i], left[2 * i + 1]);
            self.block[i + 4] = pair(self.cv[2 * i], self.cv[2 * i + 1]);
        }
        self.cv = self.key;
    }
}

/// Two words whose bytes lie in memory as little-endian ones do.
#[inline(always)]
const fn pair(first: u32, second: u32) -> u64 {
    (first as u64 | (second as u64) << 32).to_le()
}

// Neither the key nor bytes of a credential may reach a log by way of a derive.
impl core::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hasher(..)")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces of the given sizes (the last one repeats), each at
    /// another place of its window.
    fn feed(hasher: &mut Hasher, input: &[u8], sizes: &[usize]) {
        let mut window = Window::new();
        let mut rest = input;
        let mut offset = 0;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let piece = (*sizes.next().unwrap()).clamp(1, rest.len()).min(400);
            offset = (offset + 13) % 90;
            let mut bytes = std::vec![0xaa; offset];
            bytes.extend_from_slice(&rest[..piece]);
            bytes.extend_from_slice(&[0x55; 6]);
            window.fill(&bytes);
            let mut at = offset as u32;
            let end = at + piece as u32;
            while at < end {
                if hasher.room() == 0 {
                    hasher.make_room();
                }
                while hasher.is_busy() {
                    hasher.work();
                }
                let count = hasher.room().min(end - at);
                hasher.push(&window, at, count);
                at += count;
            }
            rest = &rest[piece..];
        }
    }

    fn digest(key: &[u8; 32], input: &[u8], sizes: &[usize]) -> Digest {
        let mut hasher = Hasher::new(&KeyWords::new(key));
        feed(&mut hasher, input, sizes);
        finish(&mut hasher)
    }

    fn finish(hasher: &mut Hasher) -> Digest {
        hasher.finish();
        while hasher.is_busy() {
            hasher.work();
        }
        hasher.digest()
    }

    fn reference(key: &[u8; 32], input: &[u8]) -> [u8; 16] {
        *blake3::keyed_hash(key, input)
            .as_bytes()
            .first_chunk()
            .unwrap()
    }

    #[test]
    fn every_length_is_the_reference() {
        let key = core::array::from_fn(|i| i as u8 * 7 + 3);
        let input: Vec<u8> = (0..MAX_LEN).map(|i| (i % 251) as u8).collect();
        for len in 0..=input.len() {
            assert_eq!(
                digest(&key, &input[..len], &[4000]).as_bytes(),
                &reference(&key, &input[..len]),
                "length {len}"
            );
        }
    }

    #[test]
    fn one_that_was_left_unfinished_starts_afresh() {
        let key = [9; 32];
        let words = KeyWords::new(&key);
        let input: Vec<u8> = (0..MAX_LEN).map(|i| (i % 251) as u8).collect();
        for left in [1, 64, 1025, 3500, 7500] {
            let mut hasher = Hasher::new(&words);
            feed(&mut hasher, &input[..left], &[64]);
            hasher.reset(&words);
            feed(&mut hasher, &input[..5000], &[64]);
            let digest = finish(&mut hasher);
            assert_eq!(
                digest.as_bytes(),
                &reference(&key, &input[..5000]),
                "{left}"
            );
        }
    }

    proptest! {
        #[test]
        fn splits_change_nothing(
            key: [u8; 32],
            input in prop::collection::vec(any::<u8>(), 0..=MAX_LEN as usize),
            sizes in prop::collection::vec(1usize..200, 1..20),
        ) {
            prop_assert_eq!(*digest(&key, &input, &sizes).as_bytes(), reference(&key, &input));
        }
    }
}
