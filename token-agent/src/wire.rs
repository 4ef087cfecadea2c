//! What goes over the control socket: the requests and answers of `/v1`.
//!
//! The API and the command line share these types, so the names a script sees
//! are written down once. Requests refuse unknown fields; answers may gain some.

mod actor;
mod event;
mod explain;
mod mode;
mod problem;
mod revoke;
mod secret;
mod span;
mod status;
#[cfg(test)]
mod tests;
mod token;

use serde::Serialize;

pub use actor::Actor;
pub use event::{Event, EventKind, EventQuery};
pub use explain::{ExplainRequest, Explanation};
pub use mode::{ModeAnswer, ModeRequest, ModeWord};
pub use problem::{Code, Problem};
pub use revoke::{RevokeAnswer, RevokeRequest};
pub use secret::SecretText;
pub use span::Span;
pub use status::{
    InterfaceStatus, MapStatus, OlderConnections, Override, Revisions, ServiceStatus, Status,
    Tokens,
};
pub use token::{IssueRequest, Issued, ListQuery, Listing, TokenDetail, TokenRecord};

/// The version of every JSON object the command line prints.
pub const SCHEMA_VERSION: u32 = 1;

/// An object as the command line prints it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Document<T> {
    schema_version: u32,
    #[serde(flatten)]
    body: T,
}

impl<T> Document<T> {
    /// Wraps `body`.
    pub const fn new(body: T) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            body,
        }
    }
}
