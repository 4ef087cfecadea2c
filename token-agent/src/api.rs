//! The control API: HTTP/1.1 and JSON over a unix socket.
//!
//! ```text
//! socket -> server -> peer -> routes -> body -> (agent)
//! (bind)    (caps)    (who)   (paths)   (JSON)
//! ```
//!
//! Anything that is no success is told as a problem (RFC 9457) with a stable code.

mod body;
mod peer;
mod problem;
mod routes;
mod server;
mod socket;
#[cfg(test)]
mod tests;

pub use peer::Gatekeeper;
pub use routes::{control, metrics};
pub use server::{Limits, Shutdown, serve_control, serve_metrics};
pub use socket::{ControlSocket, SocketError, probe};
