//! What would become of a request.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::token::TokenId;

/// A request to be judged; it carries the token `id`, or `secret`, or none.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub service: String,
    pub method: String,
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TokenId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretText>,
    /// When the request comes; now if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// The verdict, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// `allow` or `deny`.
    pub verdict: Cow<'static, str>,
    pub reason: Cow<'static, str>,
    pub service: String,
    /// Routes are not judged in this version: always null.
    pub route: Option<String>,
    /// The token, if it is one of this agent's.
    pub id: Option<TokenId>,
    /// What the route asks for: always `token` in this version.
    pub requires: Cow<'static, str>,
    /// The status that stands for the reason; null for a packet no status answers.
    pub http_status: Option<u16>,
}
