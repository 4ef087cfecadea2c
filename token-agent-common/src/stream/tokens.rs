//! The tokens of requests that passed and that the server has not acknowledged.
//!
//! A head that passed can wait on its way for as long as its sender likes, behind something
//! that the server did not take. So its token is judged again from time to time, until the
//! server has it.

use core::hint::black_box;

use crate::digest::Digest;

/// How many different tokens are kept: clients seldom have more than one.
const TOKENS: usize = 4;

/// Some tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Tokens {
    digests: [Digest; TOKENS],
    /// How many there are; more than are kept if there was no room.
    count: u64,
}

impl Tokens {
    /// None.
    pub const NONE: Self = Self {
        digests: [Digest::NONE; TOKENS],
        count: 0,
    };

    /// An upper bound on how many there are, if all were kept.
    pub const MAX: u32 = TOKENS as u32;

    /// Forgets all.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.count = 0;
    }

    /// Whether all that were added are here.
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.count <= TOKENS as u64
    }

    /// Adds one.
    #[inline(always)]
    pub fn add(&mut self, digest: &Digest) {
        for i in 0..TOKENS {
            if (i as u64) < self.count && self.digests[i] == *digest {
                return;
            }
        }
        if self.count < TOKENS as u64 {
            // The compiler must not find the mask needless: the kernel's verifier needs it.
            self.digests[black_box(self.count as usize) & (TOKENS - 1)] = *digest;
        }
        if self.is_whole() {
            self.count += 1;
        }
    }

    /// Adds those of `others`.
    #[inline(always)]
    pub fn add_all(&mut self, others: &Self) {
        for i in 0..TOKENS {
            if (i as u64) < others.count {
                self.add(&others.digests[i]);
            }
        }
        if !others.is_whole() {
            self.count = others.count;
        }
    }

    /// The one with that number, if there is one.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Digest> {
        if u64::from(number) < self.count && (number as usize) < TOKENS {
            Some(&self.digests[black_box(number as usize) & (TOKENS - 1)])
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_kept_once() {
        let token = |i| Digest::from_bytes([i; 16]);
        let mut tokens = Tokens::NONE;
        for i in [1, 2, 1, 3, 2] {
            tokens.add(&token(i));
        }
        let mut others = Tokens::NONE;
        others.add(&token(4));
        others.add(&token(1));
        tokens.add_all(&others);
        let kept: [_; 5] = core::array::from_fn(|i| tokens.get(i as u32).copied());
        assert_eq!(
            kept,
            [Some(1), Some(2), Some(3), Some(4), None].map(|i| i.map(token))
        );
        assert!(tokens.is_whole());
        tokens.add(&token(5));
        assert!(!tokens.is_whole());
        others.add_all(&tokens);
        assert!(!others.is_whole());
        others.clear();
        assert!(others.is_whole() && others.get(0).is_none());
    }
}
