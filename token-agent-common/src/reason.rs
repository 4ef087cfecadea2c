//! Why a request was allowed or denied: the one enum behind counters, metric labels, events and CLI words.

/// The outcome of judging one request or packet.
///
/// The discriminant indexes the kernel's counters and travels in events, so an
/// existing one never changes its number; new ones are appended.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Reason {
    /// The token is valid for this service, now.
    Allowed = 0,
    /// The route asks for no token.
    Public = 1,
    /// The request carries no credential.
    Missing = 2,
    /// The request is not strict HTTP/1.x.
    Malformed = 3,
    /// The credential has characters no token has, or none at all.
    MalformedToken = 4,
    /// The request carries more than one credential.
    DuplicateCredential = 5,
    /// No such token.
    Unknown = 6,
    /// The token was revoked.
    Revoked = 7,
    /// The token was replaced by a newer one and its grace is over.
    Superseded = 8,
    /// The token's lifetime is over.
    Expired = 9,
    /// The token is older than the service or its owner accepts.
    MaxAge = 10,
    /// The token's lifetime has not begun.
    NotYetValid = 11,
    /// The token was issued for other services.
    WrongService = 12,
    /// The token lacks a scope the route asks for.
    InsufficientScope = 13,
    /// No rule on this path covers the method.
    MethodNotCovered = 14,
    /// The path could be read in more than one way.
    NoncanonicalPath = 15,
    /// The request head is longer than the guard accepts.
    HeadTooLong = 16,
    /// The credential is longer than the guard accepts.
    CredentialTooLong = 17,
    /// HTTP/2 or another protocol the guard does not judge.
    UnsupportedProtocol = 18,
    /// The source sent too many bad tokens.
    Throttled = 19,
    /// The agent has been silent for longer than the service tolerates.
    Stale = 20,
    /// Data on a connection the guard has no record of.
    NoFlow = 21,
    /// The connection is older than the guard.
    OldConnection = 22,
    /// Deciding bytes arrived before the bytes in front of them.
    OutOfOrder = 23,
    /// Another processor was judging the same connection.
    Busy = 24,
    /// A retransmission carried other bytes than the original.
    ChangedRetransmission = 25,
    /// A retransmission of bytes that were not kept for comparison.
    Unrepeatable = 26,
    /// A judged head was not delivered in time.
    Undelivered = 27,
    /// The server acknowledged bytes that did not pass the guard.
    UnguardedPath = 28,
    /// A packet that could make the server see another stream.
    BadPacket = 29,
    /// A protocol upgrade that is not allowed.
    UpgradeRefused = 30,
    /// This version cannot judge it.
    Undecided = 31,
    /// Monitor mode lost track of the stream and judges it no longer.
    Unjudged = 32,
    /// A table of connections, or of what is kept of them, has no room.
    TableFull = 33,
    /// The server answered before the body it was asked about; how it reads what follows is unknown.
    AnsweredEarly = 34,
}

impl Reason {
    /// Every reason, in the order of the discriminants.
    pub const ALL: [Self; 35] = [
        Self::Allowed,
        Self::Public,
        Self::Missing,
        Self::Malformed,
        Self::MalformedToken,
        Self::DuplicateCredential,
        Self::Unknown,
        Self::Revoked,
        Self::Superseded,
        Self::Expired,
        Self::MaxAge,
        Self::NotYetValid,
        Self::WrongService,
        Self::InsufficientScope,
        Self::MethodNotCovered,
        Self::NoncanonicalPath,
        Self::HeadTooLong,
        Self::CredentialTooLong,
        Self::UnsupportedProtocol,
        Self::Throttled,
        Self::Stale,
        Self::NoFlow,
        Self::OldConnection,
        Self::OutOfOrder,
        Self::Busy,
        Self::ChangedRetransmission,
        Self::Unrepeatable,
        Self::Undelivered,
        Self::UnguardedPath,
        Self::BadPacket,
        Self::UpgradeRefused,
        Self::Undecided,
        Self::Unjudged,
        Self::TableFull,
        Self::AnsweredEarly,
    ];

    /// How many reasons there are: the width of a row of counters.
    pub const COUNT: usize = Self::ALL.len();

    /// The word users see: metric label, event field, CLI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Public => "public",
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::MalformedToken => "malformed_token",
            Self::DuplicateCredential => "duplicate_credential",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::MaxAge => "max_age",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongService => "wrong_service",
            Self::InsufficientScope => "insufficient_scope",
            Self::MethodNotCovered => "method_not_covered",
            Self::NoncanonicalPath => "noncanonical_path",
            Self::HeadTooLong => "head_too_long",
            Self::CredentialTooLong => "credential_too_long",
            Self::UnsupportedProtocol => "unsupported_protocol",
            Self::Throttled => "throttled",
            Self::Stale => "stale",
            Self::NoFlow => "no_flow",
            Self::OldConnection => "old_connection",
            Self::OutOfOrder => "out_of_order",
            Self::Busy => "busy",
            Self::ChangedRetransmission => "changed_retransmission",
            Self::Unrepeatable => "unrepeatable",
            Self::Undelivered => "undelivered",
            Self::UnguardedPath => "unguarded_path",
            Self::BadPacket => "bad_packet",
            Self::UpgradeRefused => "upgrade_refused",
            Self::Undecided => "undecided",
            Self::Unjudged => "unjudged",
            Self::TableFull => "table_full",
            Self::AnsweredEarly => "answered_early",
        }
    }

    /// What follows from the reason.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Allowed | Self::Public => Verdict::Allow,
            Self::Missing
            | Self::Malformed
            | Self::MalformedToken
            | Self::DuplicateCredential
            | Self::Unknown
            | Self::Revoked
            | Self::Superseded
            | Self::Expired
            | Self::MaxAge
            | Self::NotYetValid
            | Self::WrongService
            | Self::InsufficientScope
            | Self::MethodNotCovered
            | Self::NoncanonicalPath
            | Self::HeadTooLong
            | Self::CredentialTooLong
            | Self::UnsupportedProtocol
            | Self::Throttled
            | Self::Stale
            | Self::NoFlow
            | Self::OldConnection
            | Self::OutOfOrder
            | Self::Busy
            | Self::ChangedRetransmission
            | Self::Unrepeatable
            | Self::Undelivered
            | Self::UnguardedPath
            | Self::BadPacket
            | Self::UpgradeRefused
            | Self::Undecided
            | Self::Unjudged
            | Self::TableFull
            | Self::AnsweredEarly => Verdict::Deny,
        }
    }

    /// The reason with this discriminant, if there is one.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        if (code as usize) < Self::COUNT {
            Some(Self::ALL[code as usize])
        } else {
            None
        }
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Allow or deny.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// The request may reach the application.
    Allow,
    /// The request may not reach the application.
    Deny,
}

impl Verdict {
    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

// `ALL` lists every variant at the index of its discriminant.
const _: () = {
    let mut i = 0;
    while i < Reason::COUNT {
        assert!(Reason::ALL[i] as usize == i);
        i += 1;
    }
};
