//! Tokens: issuing, listing, showing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SecretText, Span};
use crate::{
    store::{Revision, Token, TokenState},
    token::{FamilyId, KeyId, OwnerName, Purpose, RevokeReason, TokenId},
};

/// A token wished for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    pub owner: OwnerName,
    pub purpose: Purpose,
    /// Where it is to be valid; none: at every service.
    #[serde(default)]
    pub services: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// A new token: the one time its secret is told.
#[derive(Debug, Deserialize, Serialize)]
pub struct Issued {
    pub token: SecretText,
    #[serde(flatten)]
    pub record: TokenRecord,
}

/// What is told of a token wherever one is told of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenRecord {
    pub id: TokenId,
    pub family: FamilyId,
    pub owner: OwnerName,
    pub purpose: Purpose,
    /// Always empty in this version.
    pub scopes: Vec<String>,
    /// Empty: every service.
    pub services: Vec<String>,
    pub issued_at: Timestamp,
    pub not_before: Timestamp,
    pub expires_at: Timestamp,
    /// Always null in this version.
    pub supersedes: Option<TokenId>,
    /// The change that issued it.
    pub revision: Revision,
}

/// A token as `show` and `list` tell it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenDetail {
    #[serde(flatten)]
    pub record: TokenRecord,
    pub state: TokenState,
    /// Not counted in this version: always null.
    pub uses: Option<u64>,
    /// Not noted in this version: always null.
    pub last_used_at: Option<Timestamp>,
    /// When it ends or ended, revoked or expired.
    pub effective_expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoke_reason: Option<RevokeReason>,
    /// Always null in this version.
    pub superseded_by: Option<TokenId>,
    pub key_id: KeyId,
}

/// Which tokens to list.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TokenState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiring: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Tokens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Listing {
    pub tokens: Vec<TokenDetail>,
}

impl From<Token> for TokenRecord {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            family: token.family,
            owner: token.owner,
            purpose: token.purpose,
            scopes: Vec::new(),
            services: token.services,
            issued_at: token.issued_at,
            not_before: token.not_before,
            expires_at: token.expires_at,
            supersedes: None,
            revision: token.issued_revision,
        }
    }
}

impl TokenDetail {
    /// What is told of `token` at `now`; `key_id` names the key of its digest.
    #[must_use]
    pub fn new(token: Token, now: Timestamp, key_id: KeyId) -> Self {
        let ends = token
            .revoked_at
            .map_or(token.expires_at, |revoked| revoked.min(token.expires_at));
        Self {
            state: token.state(now),
            uses: None,
            last_used_at: None,
            effective_expires_at: ends,
            revoked_at: token.revoked_at,
            revoke_reason: token.revoke_reason.clone(),
            superseded_by: None,
            key_id,
            record: token.into(),
        }
    }
}
