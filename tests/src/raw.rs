//! A TCP peer made by hand: it sends the frames a test asks for, however wrong, and no others.
//!
//! A [`Wire`] is one end of a [`Pair`](crate::host::Pair)'s cable. Each [`Peer`] on it has an address of its
//! own that belongs to no kernel: the server reaches it by a route over the client
//! host, whose kernel neither answers for it nor resets what it does not know.
//!
//! ```no_run
//! # use token_agent_tests::{host::Pair, raw::Wire};
//! # fn main() -> anyhow::Result<()> {
//! let pair = Pair::new()?;
//! let wire = Wire::open(&pair)?;
//! let mut peer = wire.peer("10.77.0.2:8080".parse()?)?;
//! peer.connect()?;
//! peer.data(0, b"XXXXX").bad_checksum().send()?;
//! peer.data(5, b"bbbbb").send()?;
//! peer.data(0, b"aaaaa").send()?;
//! # Ok(())
//! # }
//! ```

mod arrived;
mod checksum;
mod frames;
mod honest;
mod options;
mod peer;
mod segment;
mod socket;
mod wire;

pub use arrived::Arrived;
pub use options::{FAST_OPEN, MPTCP, TIMESTAMPS, fast_open, mptcp_capable, timestamps};
pub use peer::{End, Peer};
pub use segment::Segment;
pub(crate) use socket::{ethernet, listen};
pub use wire::Wire;

/// TCP's flags.
pub mod flags {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// A beginning.
    pub const SYN: u8 = 0x02;
    /// A broken end.
    pub const RST: u8 = 0x04;
    /// To be handed on at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// Congestion was experienced.
    pub const ECE: u8 = 0x40;
    /// The congestion window was reduced.
    pub const CWR: u8 = 0x80;
}
