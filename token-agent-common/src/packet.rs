//! From the first bytes of a frame to a TCP segment: Ethernet, VLAN tags, IPv4 or IPv6, TCP.
//!
//! Contract: never panics, never reads past `len`; a TCP segment that the
//! kernel could deliver to a local socket is either described exactly or
//! refused. What is refused here is dropped on a guarded interface, since it
//! might be for a guarded service.

use crate::abi::{Address, FlowKey};

/// How many bytes of a frame are looked at: Ethernet, two VLAN tags, the longest
/// IPv4 or some IPv6 extension headers, TCP without options.
pub const HEADERS: usize = 128;

/// How many VLAN tags are walked.
pub const VLAN_TAGS: usize = 2;

/// How many IPv6 extension headers are walked.
pub const IPV6_EXTENSIONS: usize = 8;

/// TCP flags (RFC 9293, section 3.1).
pub mod flag {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const FIN: u32 = 1 << 0;
    pub const SYN: u32 = 1 << 1;
    pub const RST: u32 = 1 << 2;
    pub const ACK: u32 = 1 << 4;
    pub const URG: u32 = 1 << 5;
}

/// The start of a frame.
#[derive(Debug)]
#[repr(C)]
pub struct Headers {
    bytes: [u64; HEADERS / 8],
}

/// What a frame is to the guard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Frame {
    /// No TCP over IP: none of the guard's business.
    Other,
    /// A TCP segment.
    Tcp,
    /// A fragment of TCP, or what may be one: only its addresses can be told.
    Fragment,
    /// IP that cannot be read far enough to know that it is not for a guarded service.
    Unreadable,
}

/// A TCP segment on its way to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Segment {
    /// From whom to whom.
    pub flow: FlowKey,
    /// Sequence number of the first payload byte (or of the SYN).
    pub sequence: u32,
    /// Where the payload starts in the frame.
    pub payload: u32,
    /// Length of the payload in bytes.
    pub len: u32,
    /// See [`flag`].
    pub flags: u32,
}

impl Segment {
    /// No segment.
    pub const NONE: Self = Self {
        flow: FlowKey {
            client: [0; 16],
            server: [0; 16],
            client_port: 0,
            server_port: 0,
        },
        sequence: 0,
        payload: 0,
        len: 0,
        flags: 0,
    };

    /// Whether the segment could make the server see another stream than the
    /// guard: urgent data (RFC 6093), data on a SYN or without ACK, flags that
    /// exclude each other.
    #[inline(always)]
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        let syn = self.flags & flag::SYN != 0;
        let ends = self.flags & (flag::FIN | flag::RST) != 0;
        self.flags & flag::URG != 0
            || syn && (ends || self.len > 0)
            || self.len > 0 && self.flags & flag::ACK == 0
    }

    /// Whether the segment opens a connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_syn(&self) -> bool {
        self.flags & flag::SYN != 0
    }
}

const ETHERNET: u32 = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

impl Headers {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; HEADERS / 8],
        }
    }

    /// Where the frame's bytes go.
    #[inline(always)]
    pub const fn bytes_mut(&mut self) -> &mut [u64; HEADERS / 8] {
        &mut self.bytes
    }

    /// Copies the start of `frame` in.
    pub fn fill(&mut self, frame: &[u8]) {
        for (word, chunk) in self.bytes.iter_mut().zip(frame.chunks(8)) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            *word = u64::from_ne_bytes(eight);
        }
    }

    /// Reads a frame of `len` bytes, of which the first [`HEADERS`] (or all) are
    /// here. What it finds out, it leaves in `segment`; the rest of that is zero.
    #[inline(always)]
    pub fn frame(&self, len: u32, segment: &mut Segment) -> Frame {
        *segment = Segment::NONE;
        let mut ethertype = self.be16(12);
        let mut at = ETHERNET;
        for _ in 0..VLAN_TAGS {
            if ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ {
                ethertype = self.be16(at + 2);
                at += 4;
            }
        }
        if at > len {
            // Too short to be anything.
            return Frame::Other;
        }
        match ethertype {
            ETHERTYPE_IPV4 => self.ipv4(at, len, segment),
            ETHERTYPE_IPV6 => self.ipv6(at, len, segment),
            ETHERTYPE_VLAN | ETHERTYPE_QINQ => Frame::Unreadable,
            _ => Frame::Other,
        }
    }

    #[inline(always)]
    fn ipv4(&self, at: u32, len: u32, segment: &mut Segment) -> Frame {
        let start = self.byte(at);
        let header = u32::from(start & 15) * 4;
        let total = u32::from(self.be16(at + 2));
        if at + 20 > len || start >> 4 != 4 || header < 20 || total < header || at + total > len {
            return Frame::Unreadable;
        }
        if self.byte(at + 9) != TCP {
            return Frame::Other;
        }
        segment.flow.client = ipv4_mapped(self.be32(at + 12));
        segment.flow.server = ipv4_mapped(self.be32(at + 16));
        // More fragments, or an offset.
        if self.be16(at + 6) & 0x3fff != 0 {
            return Frame::Fragment;
        }
        self.tcp(at + header, at + total, segment)
    }

    #[inline(always)]
    fn ipv6(&self, at: u32, len: u32, segment: &mut Segment) -> Frame {
        let end = at + 40 + u32::from(self.be16(at + 4));
        if at + 40 > len || self.byte(at) >> 4 != 6 || end > len {
            return Frame::Unreadable;
        }
        let mut next = self.byte(at + 6);
        let mut next_at = at + 40;
        self.address(at + 8, &mut segment.flow.client);
        self.address(at + 24, &mut segment.flow.server);
        let mut walked = 0;
        loop {
            match next {
                TCP => break,
                HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION_OPTIONS => {}
                FRAGMENT => {
                    return match self.byte(next_at) {
                        _ if next_at + 8 > end || next_at + 8 > HEADERS as u32 => Frame::Unreadable,
                        UDP | ICMPV6 => Frame::Other,
                        _ => Frame::Fragment,
                    };
                }
                _ => return Frame::Other,
            }
            if walked == IPV6_EXTENSIONS || next_at + 8 > end || next_at + 8 > HEADERS as u32 {
                return Frame::Unreadable;
            }
            // A routing header with segments left: the destination is another (RFC 8200, section 4.4).
            if next == ROUTING && self.byte(next_at + 3) != 0 {
                return Frame::Unreadable;
            }
            let length = u32::from(self.byte(next_at + 1));
            let bytes = if next == AUTHENTICATION {
                (length + 2) * 4
            } else {
                (length + 1) * 8
            };
            next = self.byte(next_at);
            next_at += bytes;
            walked += 1;
        }
        self.tcp(next_at, end, segment)
    }

    #[inline(always)]
    fn tcp(&self, at: u32, end: u32, segment: &mut Segment) -> Frame {
        // The flags are the last thing read.
        if at + 20 > end || at + 14 > HEADERS as u32 {
            return Frame::Unreadable;
        }
        let header = u32::from(self.byte(at + 12) >> 4) * 4;
        if header < 20 || at + header > end {
            return Frame::Unreadable;
        }
        segment.flow.client_port = self.be16(at);
        segment.flow.server_port = self.be16(at + 2);
        segment.sequence = self.be32(at + 4);
        segment.payload = at + header;
        segment.len = end - at - header;
        segment.flags = u32::from(self.byte(at + 13));
        Frame::Tcp
    }

    #[inline(always)]
    fn byte(&self, at: u32) -> u8 {
        let at = at as usize & (HEADERS - 1);
        (u64::from_le(self.bytes[at / 8]) >> (at % 8 * 8)) as u8
    }

    #[inline(always)]
    fn be16(&self, at: u32) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    #[inline(always)]
    fn be32(&self, at: u32) -> u32 {
        u32::from(self.be16(at)) << 16 | u32::from(self.be16(at + 2))
    }

    #[inline(always)]
    fn address(&self, at: u32, address: &mut Address) {
        for (i, quarter) in address.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            *quarter = self.be32(at + i as u32 * 4).to_be_bytes();
        }
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self::new()
    }
}

#[inline(always)]
const fn ipv4_mapped(address: u32) -> Address {
    let [a, b, c, d] = address.to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[cfg(test)]
mod tests;
