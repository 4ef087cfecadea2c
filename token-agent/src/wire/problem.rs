//! Why a request was refused: `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};

/// The body of an answer that is no success.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: Code,
}

/// The stable word for a kind of problem.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not valid JSON, an unknown field, or a value that cannot be.
    BadRequest,
    /// Something broke.
    Internal,
    /// The kernel cannot be read or changed.
    Kernel,
    /// The kernel's map has no room for another token.
    NoRoom,
    /// The change is durable, but the kernel does not hold it.
    NotEnforced,
    /// No such path, or not with this method.
    NotFound,
    /// Whoever asks may not.
    NotPermitted,
    /// Too much is asked for at once.
    Overloaded,
    /// A token with such a lifetime is not issued.
    Policy,
    /// It took too long. It may happen nevertheless.
    Timeout,
    /// The request is too large.
    TooLarge,
    /// No service of this name.
    UnknownService,
    /// No token of this id.
    UnknownToken,
}

impl Problem {
    /// A problem; `detail` says what is wrong this time.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:token-agent:problem:{}", code.as_str()),
            title: code.title().into(),
            status: code.status(),
            detail: detail.into(),
            code,
        }
    }

    /// The path does not answer to the method, only to the `allowed` ones. The status says it all,
    /// so there is no kind of its own (RFC 9457, section 4.2.1).
    #[must_use]
    pub fn wrong_method(allowed: &str) -> Self {
        Self {
            kind: "about:blank".into(),
            title: "Method Not Allowed".into(),
            status: 405,
            detail: format!("the path does not answer to this method, only to {allowed}"),
            code: Code::NotFound,
        }
    }
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::Internal,
        Self::Kernel,
        Self::NoRoom,
        Self::NotEnforced,
        Self::NotFound,
        Self::NotPermitted,
        Self::Overloaded,
        Self::Policy,
        Self::Timeout,
        Self::TooLarge,
        Self::UnknownService,
        Self::UnknownToken,
    ];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Internal => "internal",
            Self::Kernel => "kernel",
            Self::NoRoom => "no_room",
            Self::NotEnforced => "not_enforced",
            Self::NotFound => "not_found",
            Self::NotPermitted => "not_permitted",
            Self::Overloaded => "overloaded",
            Self::Policy => "policy",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::UnknownService => "unknown_service",
            Self::UnknownToken => "unknown_token",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotPermitted => 403,
            Self::NotFound | Self::UnknownService | Self::UnknownToken => 404,
            Self::TooLarge => 413,
            Self::Policy => 422,
            Self::Internal | Self::Kernel | Self::NotEnforced => 500,
            Self::Overloaded => 503,
            Self::Timeout => 504,
            Self::NoRoom => 507,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be understood",
            Self::Internal => "The agent failed",
            Self::Kernel => "The kernel refused",
            Self::NoRoom => "There is no room for another token",
            Self::NotEnforced => "Stored, but not enforced",
            Self::NotFound => "There is nothing here",
            Self::NotPermitted => "Not permitted",
            Self::Overloaded => "Too much at once",
            Self::Policy => "The token's lifetime is not allowed",
            Self::Timeout => "It took too long",
            Self::TooLarge => "The request is too large",
            Self::UnknownService => "No such service",
            Self::UnknownToken => "No such token",
        }
    }
}
