//! The keyed digest of a credential: BLAKE3 in keyed mode, truncated to 128 bits.
//!
//! Byte for byte what the `blake3` crate gives for `keyed_hash`, but computed as
//! the bytes arrive, in a fixed amount of memory and without recursion, so that
//! it runs in the kernel. (Source: the BLAKE3 paper, version 20211102173700,
//! sections 2.1 to 2.5.)

use bytemuck::{Pod, Zeroable};

use crate::{swar, window::Window};

/// BLAKE3 in keyed mode, truncated to 128 bits: all the kernel and the store keep of a token.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Digest([u8; Self::LEN]);

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Wraps the bytes of a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
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

const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

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
#[repr(C)]
pub struct Hasher {
    /// The block being filled; bytes past `block_len` are zero.
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
        }
    }

    /// Starts afresh, in place.
    #[inline(always)]
    pub fn reset(&mut self, key: &KeyWords) {
        self.block = [0; 8];
        self.cv = key.0;
        self.key = key.0;
        self.block_len = 0;
        self.compressed = 0;
    }

    /// Bytes taken so far.
    #[inline(always)]
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.compressed + self.block_len
    }

    /// How many bytes [`push`](Self::push) takes next, 1 to 64. Call it only
    /// when at least one more byte follows: it closes a full block, and a
    /// block is closed differently when it is the last.
    #[inline(always)]
    pub fn make_room(&mut self) -> u32 {
        if self.block_len >= BLOCK {
            self.close_block();
        }
        BLOCK - self.block_len
    }

    /// Takes `count` bytes of `window` from `at` on; `count` is at most what
    /// [`make_room`](Self::make_room) gave.
    #[inline(always)]
    pub fn push(&mut self, window: &Window, at: u32, count: u32) {
        let filled = self.block_len;
        let total = filled + count;
        // Block word i covers the bytes 8i to 8i+8 of the block: read them from
        // where they would lie in the window if the whole block lay there.
        let base = at.wrapping_sub(filled);
        let mut i = 0;
        while i < 8 {
            let start = i as u32 * 8;
            let upto = swar::first_bytes(total.saturating_sub(start));
            let before = swar::first_bytes(filled.saturating_sub(start));
            self.block[i] |= window.word(base.wrapping_add(start)) & upto & !before;
            i += 1;
        }
        self.block_len = total;
    }

    /// The digest of what was taken.
    #[inline(always)]
    pub fn finish(&mut self) -> Digest {
        let chunks = self.compressed / CHUNK;
        let root = if chunks == 0 { ROOT } else { 0 };
        let flags = self.chunk_start() | CHUNK_END | root;
        compress(self, chunks, self.block_len, flags);
        // One waiting subtree for each set bit of the number of finished chunks.
        let mut waiting = chunks.count_ones();
        for _ in 0..STACK - 1 {
            if waiting == 0 {
                break;
            }
            waiting -= 1;
            self.join(waiting, if waiting == 0 { ROOT } else { 0 });
        }
        let mut bytes = [0; Digest::LEN];
        for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(&self.cv) {
            *bytes = word.to_le_bytes();
        }
        Digest(bytes)
    }

    #[inline(always)]
    fn chunk_start(&self) -> u32 {
        if self.compressed.is_multiple_of(CHUNK) {
            CHUNK_START
        } else {
            0
        }
    }

    #[inline(always)]
    fn close_block(&mut self) {
        let chunk = self.compressed / CHUNK;
        let start = self.chunk_start();
        self.compressed += BLOCK;
        let end = self.compressed.is_multiple_of(CHUNK);
        compress(self, chunk, BLOCK, start | if end { CHUNK_END } else { 0 });
        if end {
            self.close_chunk(chunk);
        }
        self.block = [0; 8];
        self.block_len = 0;
    }

    /// Puts the finished chunk's chaining value in its place in the tree.
    #[inline(always)]
    fn close_chunk(&mut self, chunk: u32) {
        // The subtrees before it are the set bits of `chunk`; each trailing one
        // is a subtree of the same size, to be joined.
        let mut waiting = chunk.count_ones();
        let mut joins = chunk.trailing_ones();
        for _ in 0..STACK - 1 {
            if joins == 0 {
                break;
            }
            joins -= 1;
            waiting = waiting.wrapping_sub(1);
            self.join(waiting, 0);
        }
        self.stack[waiting as usize & (STACK - 1)] = self.cv;
        self.cv = self.key;
    }

    /// Replaces `cv` by the parent of the subtree waiting at `index` and `cv`.
    #[inline(always)]
    fn join(&mut self, index: u32, root: u32) {
        let left = &self.stack[index as usize & (STACK - 1)];
        for i in 0..4 {
            self.block[i] = u64::from(left[2 * i]) | u64::from(left[2 * i + 1]) << 32;
            self.block[i + 4] = u64::from(self.cv[2 * i]) | u64::from(self.cv[2 * i + 1]) << 32;
        }
        self.cv = self.key;
        compress(self, 0, BLOCK, PARENT | root);
    }
}

// Neither the key nor bytes of a credential may reach a log by way of a derive.
impl core::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hasher(..)")
    }
}

/// Which message word each of a round's 16 inputs is, round by round: the
/// BLAKE3 permutation applied again and again.
const SCHEDULE: [[usize; 16]; 7] = {
    const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut schedule = [[0; 16]; 7];
    let mut i = 0;
    while i < 16 {
        schedule[0][i] = i;
        i += 1;
    }
    let mut round = 1;
    while round < 7 {
        let mut i = 0;
        while i < 16 {
            schedule[round][i] = schedule[round - 1][PERMUTATION[i]];
            i += 1;
        }
        round += 1;
    }
    schedule
};

/// The compression function: replaces `hasher.cv`, reads `hasher.block`.
/// `counter` is the number of the chunk, `len` the bytes in the block.
///
/// A function of its own in the kernel too: it is some 3,000 instructions.
#[inline(never)]
fn compress(hasher: &mut Hasher, counter: u32, len: u32, flags: u32) {
    macro_rules! message {
        ($i:expr) => {
            (hasher.block[$i / 2] >> (32 * ($i % 2))) as u32
        };
    }
    let cv = &hasher.cv;
    let (mut v0, mut v1, mut v2, mut v3) = (cv[0], cv[1], cv[2], cv[3]);
    let (mut v4, mut v5, mut v6, mut v7) = (cv[4], cv[5], cv[6], cv[7]);
    let (mut v8, mut v9, mut v10, mut v11) = (IV[0], IV[1], IV[2], IV[3]);
    let (mut v12, mut v13, mut v14, mut v15) = (counter, 0, len, flags | KEYED_HASH);

    macro_rules! mix {
        ($a:ident $b:ident $c:ident $d:ident, $x:expr, $y:expr) => {
            $a = $a.wrapping_add($b).wrapping_add($x);
            $d = ($d ^ $a).rotate_right(16);
            $c = $c.wrapping_add($d);
            $b = ($b ^ $c).rotate_right(12);
            $a = $a.wrapping_add($b).wrapping_add($y);
            $d = ($d ^ $a).rotate_right(8);
            $c = $c.wrapping_add($d);
            $b = ($b ^ $c).rotate_right(7);
        };
    }
    macro_rules! round {
        ($r:literal) => {
            mix!(v0 v4 v8 v12, message!(SCHEDULE[$r][0]), message!(SCHEDULE[$r][1]));
            mix!(v1 v5 v9 v13, message!(SCHEDULE[$r][2]), message!(SCHEDULE[$r][3]));
            mix!(v2 v6 v10 v14, message!(SCHEDULE[$r][4]), message!(SCHEDULE[$r][5]));
            mix!(v3 v7 v11 v15, message!(SCHEDULE[$r][6]), message!(SCHEDULE[$r][7]));
            mix!(v0 v5 v10 v15, message!(SCHEDULE[$r][8]), message!(SCHEDULE[$r][9]));
            mix!(v1 v6 v11 v12, message!(SCHEDULE[$r][10]), message!(SCHEDULE[$r][11]));
            mix!(v2 v7 v8 v13, message!(SCHEDULE[$r][12]), message!(SCHEDULE[$r][13]));
            mix!(v3 v4 v9 v14, message!(SCHEDULE[$r][14]), message!(SCHEDULE[$r][15]));
        };
    }
    round!(0);
    round!(1);
    round!(2);
    round!(3);
    round!(4);
    round!(5);
    round!(6);

    hasher.cv = [
        v0 ^ v8,
        v1 ^ v9,
        v2 ^ v10,
        v3 ^ v11,
        v4 ^ v12,
        v5 ^ v13,
        v6 ^ v14,
        v7 ^ v15,
    ];
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Feeds `input` in pieces of the given sizes (the last one repeats), each at
    /// another place of its window.
    fn digest(key: &[u8; 32], input: &[u8], sizes: &[usize]) -> Digest {
        let mut window = Window::new();
        let mut hasher = Hasher::new(&KeyWords::new(key));
        let mut rest = input;
        let mut offset = 0;
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let piece = (*sizes.next().unwrap()).clamp(1, rest.len()).min(4000);
            offset = (offset + 13) % 90;
            let mut bytes = std::vec![0xaa; offset];
            bytes.extend_from_slice(&rest[..piece]);
            bytes.extend_from_slice(&[0x55; 6]);
            window.fill(&bytes);
            let mut at = offset as u32;
            let end = at + piece as u32;
            while at < end {
                let count = hasher.make_room().min(end - at);
                hasher.push(&window, at, count);
                at += count;
            }
            rest = &rest[piece..];
        }
        assert_eq!(hasher.taken() as usize, input.len());
        hasher.finish()
    }

    fn reference(key: &[u8; 32], input: &[u8]) -> [u8; 16] {
        *blake3::keyed_hash(key, input).as_bytes().first_chunk().unwrap()
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
