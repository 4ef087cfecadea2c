//! What goes into the store and what comes out of it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use token_agent_common::digest::Digest;

use crate::token::{FamilyId, Lifetime, OwnerName, Purpose, RevokeReason, TokenId};

/// Counts the committed changes of a store; 0 for a new one.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A token to be issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewToken {
    /// Its public name.
    pub id: TokenId,
    /// Its rotation family.
    pub family: FamilyId,
    /// What is kept of its secret.
    pub digest: Digest,
    /// Who answers for it.
    pub owner: OwnerName,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is valid, a repeated name counting once; empty: at every service.
    pub services: Vec<String>,
    /// When it was issued; kept in whole seconds.
    pub issued_at: Timestamp,
    /// When it is valid.
    pub lifetime: Lifetime,
}

/// A token as the store holds it. Times are whole seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Its public name.
    pub id: TokenId,
    /// Its rotation family.
    pub family: FamilyId,
    /// What is kept of its secret.
    pub digest: Digest,
    /// Who answers for it.
    pub owner: OwnerName,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is valid; empty: at every service.
    pub services: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The first moment it is valid.
    pub not_before: Timestamp,
    /// The first moment it is valid no more.
    pub expires_at: Timestamp,
    /// The change that issued it.
    pub issued_revision: Revision,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Why, where that was said.
    pub revoke_reason: Option<RevokeReason>,
}

impl Token {
    /// What the token is worth at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at <= now {
            TokenState::Expired
        } else if self.not_before > now {
            TokenState::Pending
        } else {
            TokenState::Active
        }
    }
}

/// What a token is worth at some moment. Revoked outranks expired.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// Valid.
    Active,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Pending,
    /// Revoked, whatever its times say.
    Revoked,
}

impl TokenState {
    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for TokenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many tokens are in which state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// [`TokenState::Active`].
    pub active: u64,
    /// [`TokenState::Expired`].
    pub expired: u64,
    /// [`TokenState::Pending`].
    pub pending: u64,
    /// [`TokenState::Revoked`].
    pub revoked: u64,
}

/// Which tokens to list; the default is all of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Only this owner's.
    pub owner: Option<OwnerName>,
    /// Only those valid at this service: issued for it, or for every one.
    pub service: Option<String>,
    /// Only those in this state.
    pub state: Option<TokenState>,
    /// Only active and pending ones that expire within this time, the soonest first.
    pub expiring_within: Option<Duration>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// One entry of what the kernel must hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Enforced {
    /// The digest of the secret.
    pub digest: Digest,
    /// The first moment the secret is valid; for a foreign one, when it was revoked.
    pub not_before: Timestamp,
    /// The first moment it is valid no more; for a foreign one, when its revocation may be forgotten.
    pub expires_at: Timestamp,
    /// Whether it is denied whatever its times say; always so for a foreign one.
    pub revoked: bool,
    /// Where it is valid; empty: at every service.
    pub services: Vec<String>,
}

/// What an operation changed, for the kernel to follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The store's revision afterwards; unchanged where nothing was to be done.
    pub revision: Revision,
    /// Entries that are new or different.
    pub upserts: Vec<Enforced>,
    /// Digests to be forgotten.
    pub removals: Vec<Digest>,
}

/// What a revocation did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revoked {
    /// The tokens revoked by it.
    pub ids: Vec<TokenId>,
    /// The tokens that were revoked before; they keep their first time and reason.
    pub already: Vec<TokenId>,
    /// How many secrets never issued here were revoked by it.
    pub foreign: usize,
    /// What the kernel must follow.
    pub change: Change,
}
