//! The server's TCP, as references: segments go in, packets come out, and the
//! application reads a stream.

mod connection;
mod kernel;
mod linux;
mod loose;
mod reassembly;
mod smol;
mod wire;

pub use connection::{Connection, End};
pub use kernel::Kernel;
pub use linux::{Linux, Options};
pub use loose::{Choices, Loose};
pub use reassembly::Coalescing;
pub use smol::Smol;

use serde::{Deserialize, Serialize};

use super::segment::{Segment, ServerPacket, Time};

/// A server's TCP with one listening socket, spoken to by one client from one port.
pub trait Receiver {
    /// Takes what the guard has let pass.
    fn receive(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>);

    /// Does what is due by now.
    fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>);

    /// The application does something with the newest connection; nothing if there is none.
    fn act(&mut self, action: &Action, now: Time, out: &mut Vec<ServerPacket>);

    /// The connections that were accepted, the newest last.
    fn connections(&self) -> &[Connection];

    /// What the application has read of the newest connection.
    fn stream(&self) -> &[u8] {
        self.connections()
            .last()
            .map_or(&[], |connection| &connection.stream)
    }

    /// Whether the newest connection has ended, in the client's direction at least.
    fn is_closed(&self) -> bool {
        self.connections()
            .last()
            .is_some_and(|connection| connection.end.is_some())
    }
}

/// What an application does with its socket.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Action {
    /// Reads all there is, after it was [`Pause`](Self::Pause)d, and goes on doing so.
    Read,
    /// Reads no more for the time being.
    Pause,
    /// Writes this.
    Write(Vec<u8>),
    /// Says that it will write no more, and reads on.
    Shutdown,
    /// Closes its socket.
    Close,
    /// Closes it at once (`SO_LINGER` with zero).
    Abort,
}

#[cfg(test)]
mod tests;
