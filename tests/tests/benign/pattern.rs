//! Bodies that are like themselves nowhere, and full of what must not be read as a request.

use token_agent_tests::model::random::Random;

/// A body of a known length, block by block.
pub(crate) struct Pattern {
    block: Vec<u8>,
    number: u64,
    left: u64,
}

/// How long its blocks are.
const BLOCK: usize = 1 << 16;

impl Pattern {
    /// The body of this length and seed, with `bait` in it.
    pub(crate) fn new(seed: u64, length: u64, bait: &str) -> Self {
        let mut random = Random::new(seed);
        let mut block: Vec<u8> = (0..BLOCK / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        for place in (1_000..BLOCK - bait.len()).step_by(8_000) {
            block[place..place + bait.len()].copy_from_slice(bait.as_bytes());
        }
        Self {
            block,
            number: 0,
            left: length,
        }
    }

    /// The next block; none at the end.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        if self.left == 0 {
            return None;
        }
        self.number += 1;
        self.block[..8].copy_from_slice(&self.number.to_le_bytes());
        let length = self.left.min(BLOCK as u64);
        self.left -= length;
        self.block.get(..usize::try_from(length).ok()?)
    }

    /// All of what is left.
    pub(crate) fn whole(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(block) = self.next() {
            all.extend_from_slice(block);
        }
        all
    }
}
