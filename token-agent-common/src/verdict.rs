//! Token, policy and time in, decision out.

use bytemuck::{Pod, Zeroable};

use crate::{digest::Digest, reason::Reason};

/// The state of a token, apart from its times.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum TokenState {
    /// Valid between its times.
    Active = 0,
    /// Revoked for good.
    Revoked = 1,
}

/// What the kernel knows of one token: the value in the map of tokens.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct TokenEntry {
    /// Nanoseconds since the Unix epoch.
    not_before: u64,
    /// Nanoseconds since the Unix epoch.
    expires_at: u64,
    audience: u32,
    state: u32,
    /// Ties the other fields to the token; see [`TokenEntry::sealed`].
    seal: u64,
}

/// Which services a token is for: [`Audience::EVERY`], or the number of a set of services.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Audience(u32);

impl Audience {
    /// Every service.
    pub const EVERY: Self = Self(0);

    /// The set of services with this number, from 1.
    #[must_use]
    pub const fn set(number: core::num::NonZeroU32) -> Self {
        Self(number.get())
    }

    /// The number, 0 for every service.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl TokenEntry {
    /// A token valid from `not_before` until before `expires_at`, both in
    /// nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn new(
        not_before: u64,
        expires_at: u64,
        audience: Audience,
        state: TokenState,
    ) -> Self {
        Self {
            not_before,
            expires_at,
            audience: audience.0,
            state: state as u32,
            seal: 0,
        }
    }

    /// The entry as it stands in the map, for the token with this digest.
    ///
    /// An element of a hash map can be given to another key while a program
    /// reads it. Then what was read is another token's entry, or parts of two,
    /// and its seal does not fit: the kernel has no other way to know.
    #[must_use]
    pub const fn sealed(self, digest: &Digest) -> Self {
        Self {
            seal: self.expected_seal(digest),
            ..self
        }
    }

    /// The entry as it was before it was sealed for this token, or another one if it was not.
    #[must_use]
    pub const fn unsealed(self, digest: &Digest) -> Self {
        Self {
            seal: self.seal ^ self.expected_seal(digest),
            ..self
        }
    }

    /// Whether the entry is whole and this token's.
    #[inline(always)]
    #[must_use]
    pub const fn is_sealed_for(&self, digest: &Digest) -> bool {
        self.seal == self.expected_seal(digest)
    }

    /// Different for two entries that differ in one field.
    #[inline(always)]
    const fn expected_seal(&self, digest: &Digest) -> u64 {
        let rest = self.audience as u64 | (self.state as u64) << 32;
        digest.first_word()
            ^ self.not_before
            ^ self.expires_at.rotate_left(21)
            ^ rest.rotate_left(42)
    }

    /// The services the token is for.
    #[inline(always)]
    #[must_use]
    pub const fn audience(&self) -> Audience {
        Audience(self.audience)
    }

    /// Whether the decision at `now` also holds for the second that follows: a clock
    /// that is behind by less will do.
    #[inline(always)]
    #[must_use]
    pub const fn is_settled(&self, now: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        // What is past is far ahead in this arithmetic.
        self.not_before.wrapping_sub(now) > SECOND && self.expires_at.wrapping_sub(now) > SECOND
    }

    /// The decision at `now`, in nanoseconds since the Unix epoch, for a service
    /// that is or is not `in_audience`.
    ///
    /// Revoked comes before expired: whoever revoked a token wants to see that it worked.
    #[inline(always)]
    #[must_use]
    pub const fn judge(&self, now: u64, in_audience: bool) -> Reason {
        if self.state != TokenState::Active as u32 {
            Reason::Revoked
        } else if now >= self.expires_at {
            Reason::Expired
        } else if now < self.not_before {
            Reason::NotYetValid
        } else if !in_audience {
            Reason::WrongService
        } else {
            Reason::Allowed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_one_token_and_the_whole_entry() {
        let [mine, other] = [1, 2].map(|byte| Digest::from_bytes([byte; 16]));
        let entry = TokenEntry::new(10, 20, Audience(3), TokenState::Active);
        let sealed = entry.sealed(&mine);
        assert!(sealed.is_sealed_for(&mine));
        assert!(!sealed.is_sealed_for(&other));
        assert_eq!(sealed.unsealed(&mine), entry);
        assert_ne!(sealed.unsealed(&other), entry);
        assert!(!entry.is_sealed_for(&mine));
        for torn in [
            TokenEntry {
                not_before: 11,
                ..sealed
            },
            TokenEntry {
                expires_at: 21,
                ..sealed
            },
            TokenEntry {
                audience: 2,
                ..sealed
            },
            TokenEntry {
                state: TokenState::Revoked as u32,
                ..sealed
            },
        ] {
            assert!(!torn.is_sealed_for(&mine), "{torn:?}");
        }
    }

    #[test]
    fn what_changes_within_a_second_is_not_settled() {
        const SECOND: u64 = 1_000_000_000;
        let (start, end) = (100 * SECOND, 200 * SECOND);
        let entry = TokenEntry::new(start, end, Audience::EVERY, TokenState::Active);
        for change in [start, end] {
            assert!(entry.is_settled(change - SECOND - 1) && entry.is_settled(change + 1));
            for now in [change - SECOND, change - SECOND / 2, change - 1, change] {
                assert!(!entry.is_settled(now), "at {now}");
            }
        }
    }

    #[test]
    fn times_are_exact_and_revocation_comes_first() {
        let active = TokenEntry::new(10, 20, Audience::EVERY, TokenState::Active);
        let revoked = TokenEntry::new(10, 20, Audience::EVERY, TokenState::Revoked);
        for (now, in_audience, reason) in [
            (9, true, Reason::NotYetValid),
            (10, true, Reason::Allowed),
            (19, true, Reason::Allowed),
            (19, false, Reason::WrongService),
            (20, true, Reason::Expired),
            (20, false, Reason::Expired),
            (u64::MAX, true, Reason::Expired),
        ] {
            assert_eq!(active.judge(now, in_audience), reason, "at {now}");
            assert_eq!(revoked.judge(now, in_audience), Reason::Revoked, "at {now}");
        }
    }
}
