//! Revoking tokens.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::SecretText;
use crate::{
    store::Revision,
    token::{RevokeReason, TokenId},
};

/// What to revoke: exactly one of `ids`, `secrets` and `all`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    #[serde(
        default,
        deserialize_with = "some",
        skip_serializing_if = "Option::is_none"
    )]
    pub ids: Option<Vec<TokenId>>,
    /// Also such as were never issued here.
    #[serde(
        default,
        deserialize_with = "some",
        skip_serializing_if = "Option::is_none"
    )]
    pub secrets: Option<Vec<SecretText>>,
    #[serde(default)]
    pub all: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RevokeReason>,
    /// Tell what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was revoked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RevokeAnswer {
    /// Tokens and secrets never issued here together; those revoked before do not count.
    pub count: usize,
    /// The tokens revoked by it.
    pub ids: Vec<TokenId>,
    /// The tokens that were revoked before.
    pub already: Vec<TokenId>,
    /// How many secrets never issued here were revoked by it.
    pub foreign: usize,
    pub revision: Revision,
    /// Whether the kernel judges by it: it holds the change, an interface is guarded, and a service enforced.
    pub enforced: bool,
    /// Whether they stay revoked when the power fails.
    pub durable: bool,
    /// Whether it was only told what would be done.
    pub dry_run: bool,
    /// Where the tokens are let pass nevertheless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A list that names something: one that came out empty by mistake is no success.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list = Option::<Vec<T>>::deserialize(deserializer)?;
    if list.as_ref().is_some_and(Vec::is_empty) {
        let wanted = "a list of at least one: there is nothing to revoke";
        return Err(D::Error::invalid_length(0, &wanted));
    }
    Ok(list)
}
