//! What is tried out: the interface of a guard that watches both directions of a connection.

use serde::{Deserialize, Serialize};

use super::segment::{Segment, ServerPacket, Time};

/// A guard of one client's port: everything between it and the server goes through here.
pub trait Guard {
    /// Forgets everything: what comes next is of another simulation.
    fn reset(&mut self);

    /// A segment comes from the client, or from who says so.
    fn client(&mut self, segment: &Segment, policy: &Policy, now: Time) -> Verdict;

    /// A packet comes from the server.
    fn server(&mut self, packet: &ServerPacket, policy: &Policy, now: Time) -> Verdict;

    /// How often it went which way, since it was made: by name, those included that it never went, for finding out
    /// what the simulation does not reach.
    fn transitions(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
}

/// What becomes of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is gone.
    Drop,
    /// This goes on in its place.
    Rewrite(Segment),
    /// It is gone, and this goes back to where it came from.
    Answer(Segment),
}

/// Which tokens are valid when, and what the service allows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// When [`ENDING`] is revoked; never if `None`.
    pub ends: Option<Time>,
    /// Whether a first request may upgrade the connection to `websocket`.
    pub websocket: bool,
    /// How many pages a guard has to keep bytes on, if it is short of them. Without any it keeps nothing.
    pub pages: Option<u32>,
}

/// A token that is valid.
pub const GOOD: &str = "GOODTOKEN.a";
/// Another one.
pub const OTHER: &str = "GOODTOKEN.b";
/// A token that was revoked before the simulation's start.
pub const REVOKED: &str = "REVOKEDTO.c";
/// A token that is valid until it is revoked in the midst; see [`Policy::ends`].
pub const ENDING: &str = "ENDINGTOK.d";

/// All tokens there are, of the same length, so that one fits in another's place.
pub const TOKENS: [&str; 4] = [GOOD, OTHER, REVOKED, ENDING];

impl Policy {
    /// Whether a request with this token may be served at that time.
    #[must_use]
    pub fn allows(&self, token: &[u8], now: Time) -> bool {
        let is = |one: &str| token == one.as_bytes();
        is(GOOD) || is(OTHER) || is(ENDING) && self.ends.is_none_or(|end| now < end)
    }
}
