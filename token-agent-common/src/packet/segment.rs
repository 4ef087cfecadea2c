//! A TCP segment, and what its flags mean.

use crate::abi::FlowKey;

/// TCP flags (RFC 9293, section 3.1).
pub mod flag {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const FIN: u32 = 1 << 0;
    pub const SYN: u32 = 1 << 1;
    pub const RST: u32 = 1 << 2;
    pub const ACK: u32 = 1 << 4;
    pub const URG: u32 = 1 << 5;
}

/// A TCP segment on its way to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Segment {
    /// From whom to whom.
    pub flow: FlowKey,
    /// Sequence number of the first payload byte (or of the SYN).
    pub sequence: u32,
    /// The next sequence number its sender waits for.
    pub acknowledgment: u32,
    /// Where the payload starts in the frame.
    pub payload: u32,
    /// Length of the payload in bytes.
    pub len: u32,
    /// See [`flag`].
    pub flags: u32,
    /// Where the options start in the frame; they end where the payload starts.
    pub options: u32,
    /// Where the IP header starts.
    pub network: u32,
}

impl Segment {
    /// No segment.
    pub const NONE: Self = Self {
        flow: FlowKey::NONE,
        sequence: 0,
        acknowledgment: 0,
        payload: 0,
        len: 0,
        flags: 0,
        options: 0,
        network: 0,
    };

    /// Whether the segment could make the server see another stream than the
    /// guard: urgent data (RFC 6093), data on a SYN or without ACK, flags that
    /// exclude each other.
    #[inline(always)]
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        const TELLING: u32 = flag::URG | flag::ACK | flag::RST | flag::SYN | flag::FIN;
        if self.flags & TELLING == flag::ACK {
            return false;
        }
        self.has(flag::URG)
            || self.has(flag::SYN) && (self.has(flag::FIN | flag::RST | flag::ACK) || self.len > 0)
            || (self.len > 0 || self.has(flag::FIN)) && !self.has(flag::ACK)
            || self.has(flag::FIN) && self.has(flag::RST)
    }

    /// Fills in what the first 16 bytes of a TCP header tell (RFC 9293, section 3.1), which stands at `at` of a frame
    /// and whose segment ends at `end`: ports and sequence number; acknowledgment number, data offset, flags, window.
    /// False if the header does not fit in.
    #[inline(always)]
    pub(super) const fn describe(&mut self, words: [u64; 2], at: u32, end: u32) -> bool {
        let [first, second] = words;
        let header = (second >> 36) as u32 % 16 * 4;
        if header < 20 || at + header > end {
            return false;
        }
        self.flow.client_port = (first as u16).swap_bytes();
        self.flow.server_port = ((first >> 16) as u16).swap_bytes();
        self.sequence = ((first >> 32) as u32).swap_bytes();
        self.acknowledgment = (second as u32).swap_bytes();
        self.options = at + 20;
        self.payload = at + header;
        self.len = end - at - header;
        self.flags = (second >> 40) as u32 & 0xff;
        true
    }

    /// Whether it has any of these flags.
    #[inline(always)]
    const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Whether its sender sends nothing after it.
    #[inline(always)]
    #[must_use]
    pub const fn finishes(&self) -> bool {
        self.flags & flag::FIN != 0
    }

    /// Whether it bears nothing and ends nothing.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0 && !self.has(flag::FIN | flag::RST)
    }

    /// Whether it acknowledges something.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledges(&self) -> bool {
        self.flags & flag::ACK != 0
    }

    /// Turns a server's segment round: its flow is then that of the client's segments.
    #[inline(always)]
    pub const fn turn_round(&mut self) {
        let FlowKey {
            client,
            server,
            client_port,
            server_port,
            ..
        } = self.flow;
        self.flow.client = server;
        self.flow.server = client;
        self.flow.client_port = server_port;
        self.flow.server_port = client_port;
    }

    /// Whether the connection is over with it, and nothing is sent again.
    #[inline(always)]
    #[must_use]
    pub const fn resets(&self) -> bool {
        self.flags & flag::RST != 0
    }

    /// Whether the segment opens a connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_syn(&self) -> bool {
        self.flags & flag::SYN != 0
    }
}
