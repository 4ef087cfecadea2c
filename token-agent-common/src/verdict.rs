//! Token, policy and time in, decision out.

use bytemuck::{Pod, Zeroable};

use crate::reason::Reason;

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
        }
    }

    /// The services the token is for.
    #[inline(always)]
    #[must_use]
    pub const fn audience(&self) -> Audience {
        Audience(self.audience)
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
