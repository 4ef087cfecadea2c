//! From the first bytes of a frame to a TCP segment: Ethernet, VLAN tags, IPv4 or IPv6, TCP.
//!
//! Contract: never panics, never reads past `len`; a TCP segment that the
//! kernel could deliver to a local socket is either described exactly or
//! refused. What is refused here is dropped on a guarded interface, since it
//! might be for a guarded service.

pub mod options;
pub mod reset;
mod segment;

use self::options::Search;
pub use self::segment::{Segment, flag};
use crate::{abi::Address, words};

/// How many bytes of a frame are looked at: Ethernet, two VLAN tags, the longest
/// IPv4 or some IPv6 extension headers, TCP without options.
pub const HEADERS: usize = 128;

/// More than the bytes need: see [`words`].
const WORDS: usize = HEADERS / 8 + words::AHEAD;

/// How many VLAN tags are walked.
pub const VLAN_TAGS: usize = 2;

/// How many IPv6 extension headers are walked.
pub const IPV6_EXTENSIONS: usize = 8;

/// The start of a frame.
#[derive(Debug)]
#[repr(C)]
pub struct Headers {
    bytes: [u64; WORDS],
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

/// The first 24 bytes of a packet (RFC 791, section 3.1): version and header length, type of service, total
/// length, identification, flags and offset; time to live, protocol, checksum, source; destination and
/// what follows it.
#[derive(Clone, Copy)]
struct Ipv4([u64; 3]);

impl Ipv4 {
    #[inline(always)]
    const fn version(self) -> u8 {
        self.0[0] as u8 >> 4
    }

    /// The header's length, in bytes.
    #[inline(always)]
    const fn header(self) -> u32 {
        (self.0[0] as u32 & 15) * 4
    }

    /// The packet's length, in bytes.
    #[inline(always)]
    const fn total(self) -> u32 {
        ((self.0[0] >> 16) as u16).swap_bytes() as u32
    }

    /// Whether more fragments follow, or some went before.
    #[inline(always)]
    const fn is_fragment(self) -> bool {
        ((self.0[0] >> 48) as u16).swap_bytes() & 0x3fff != 0
    }

    #[inline(always)]
    const fn protocol(self) -> u8 {
        (self.0[1] >> 8) as u8
    }

    #[inline(always)]
    const fn source(self) -> Address {
        Address::ipv4((self.0[1] >> 32) as u32)
    }

    #[inline(always)]
    const fn destination(self) -> Address {
        Address::ipv4(self.0[2] as u32)
    }
}

const ETHERNET: u32 = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

/// How much the fields of IP headers can say. A kernel that aggregates more leaves them at 0 (BIG TCP); on a
/// link there is no such frame.
const LONGEST: u32 = 65_535;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// The bytes of a frame that [`plain`] looks at: Ethernet, IPv4 and TCP without tags and options.
pub const PLAIN: usize = 54;

/// Reads a frame of `len` bytes that holds a TCP segment in an IPv4 packet without VLAN tags and options, as most do;
/// false if it holds anything else, to be told by [`Headers::frame`]. `word` gives eight of its first [`PLAIN`]
/// bytes, as they lie in memory, from the given one on.
#[inline(always)]
#[must_use]
pub fn plain(word: impl Fn(usize) -> u64, len: u32, segment: &mut Segment) -> bool {
    const IP: u32 = ETHERNET;
    const TCP_AT: u32 = IP + 20;
    if !is_plain(&word) {
        return false;
    }
    let word = |i: u32| u64::from_le(word(i as usize));
    let ip = Ipv4([word(IP), word(IP + 8), word(IP + 16)]);
    let end = IP + ip.total();
    if end < TCP_AT + 20 || end > len {
        return false;
    }
    segment.network = IP;
    segment.flow.client = ip.source();
    segment.flow.server = ip.destination();
    segment.flow.zone = 0;
    segment.describe([word(TCP_AT), word(TCP_AT + 8)], TCP_AT, end)
}

/// The destination port of such a frame; `None` if it is another one.
#[inline(always)]
#[must_use]
pub fn plain_port(word: impl Fn(usize) -> u64) -> Option<u16> {
    is_plain(&word).then(|| ((ports(&word) >> 16) as u16).swap_bytes())
}

/// The same for the source port.
#[inline(always)]
#[must_use]
pub fn plain_source_port(word: impl Fn(usize) -> u64) -> Option<u16> {
    is_plain(&word).then(|| (ports(&word) as u16).swap_bytes())
}

/// Whether the frame holds a whole TCP segment in an IPv4 packet without tags and options.
#[inline(always)]
fn is_plain(word: impl Fn(usize) -> u64) -> bool {
    // EtherType, version and header length.
    const FIRST: u64 = u64::from_le_bytes([0, 0, 0, 0, 0xff, 0xff, 0xff, 0]);
    const IPV4: u64 = u64::from_le_bytes([0, 0, 0, 0, 0x08, 0x00, 0x45, 0]);
    // More fragments and offset, protocol.
    const SECOND: u64 = u64::from_le_bytes([0, 0, 0, 0, 0x3f, 0xff, 0, 0xff]);
    const WHOLE_TCP: u64 = u64::from_le_bytes([0, 0, 0, 0, 0, 0, 0, TCP]);
    u64::from_le(word(8)) & FIRST == IPV4 && u64::from_le(word(16)) & SECOND == WHOLE_TCP
}

/// Both ports, the source's in the lower half, each in network order.
#[inline(always)]
fn ports(word: impl Fn(usize) -> u64) -> u32 {
    (u64::from_le(word(32)) >> 16) as u32
}

impl Headers {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; WORDS] }
    }

    /// Where the frame's bytes go.
    #[inline(always)]
    pub const fn bytes_mut(&mut self) -> &mut [u64; WORDS] {
        &mut self.bytes
    }

    /// Puts the eight bytes in that stand at `at`, which is below [`HEADERS`].
    #[inline(always)]
    pub const fn put(&mut self, at: u32, bytes: u64) {
        words::set_unaligned(&mut self.bytes, at, 0, bytes);
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
    /// here. What it finds out, it leaves in `segment`.
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

    /// RFC 791, section 3.1.
    #[inline(always)]
    fn ipv4(&self, at: u32, len: u32, segment: &mut Segment) -> Frame {
        let ip = Ipv4([self.word(at), self.word(at + 8), self.word(at + 16)]);
        let header = ip.header();
        let total = match ip.total() {
            0 if len > at + LONGEST => len - at,
            total => total,
        };
        if at + 20 > len || ip.version() != 4 || header < 20 || total < header || at + total > len {
            return Frame::Unreadable;
        }
        if ip.protocol() != TCP {
            return Frame::Other;
        }
        segment.network = at;
        segment.flow.client = ip.source();
        segment.flow.server = ip.destination();
        if ip.is_fragment() {
            return Frame::Fragment;
        }
        self.tcp(at + header, at + total, segment)
    }

    /// RFC 8200, sections 3 and 4.
    #[inline(always)]
    fn ipv6(&self, at: u32, len: u32, segment: &mut Segment) -> Frame {
        // Version, traffic class, flow label, payload length, next header, hop limit.
        let first = self.word(at);
        let next = (first >> 48) as u8;
        let end = match u32::from(((first >> 32) as u16).swap_bytes()) {
            0 if len > at + 40 + LONGEST && self.is_long(next, at + 40, len) => len,
            payload => at + 40 + payload,
        };
        if at + 40 > len || (first as u8) >> 4 != 6 || end > len {
            return Frame::Unreadable;
        }
        segment.network = at;
        segment.flow.client = Address::from_words([self.word(at + 8), self.word(at + 16)]);
        segment.flow.server = Address::from_words([self.word(at + 24), self.word(at + 32)]);
        let mut next = next;
        let mut next_at = at + 40;
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

    /// Whether what follows an IPv6 header at `at` says that it takes up the rest of the frame: by a jumbo payload
    /// option (RFC 2675, section 2), or by nothing, as later kernels do.
    #[inline(always)]
    fn is_long(&self, next: u8, at: u32, len: u32) -> bool {
        /// Of a header that holds this option alone: its length, the option's type and length.
        const JUMBO: u32 = 0x04_c2_00;
        let word = self.word(at);
        let said = ((word >> 32) as u32).swap_bytes();
        next == TCP || next == HOP_BY_HOP && (word as u32) >> 8 == JUMBO && said == len - at
    }

    /// RFC 9293, section 3.1.
    #[inline(always)]
    fn tcp(&self, at: u32, end: u32, segment: &mut Segment) -> Frame {
        // The flags are the last thing read.
        if at + 20 > end || at + 14 > HEADERS as u32 {
            return Frame::Unreadable;
        }
        if segment.describe([self.word(at), self.word(at + 8)], at, end) {
            Frame::Tcp
        } else {
            Frame::Unreadable
        }
    }

    /// Begins to look for options of this kind in the segment's header; false if not all of it is here.
    #[inline(always)]
    #[must_use]
    pub const fn begin(&self, search: &mut Search, segment: &Segment, kind: u8) -> bool {
        search.begin(segment.options, segment.payload, kind);
        segment.payload <= HEADERS as u32
    }

    /// See [`Search::turn`].
    #[inline(always)]
    pub fn turn(&self, search: &mut Search) -> bool {
        search.turn(|at| self.word(at))
    }

    /// What to write over the first bytes of the option that was found, so that it means nothing;
    /// `None` if it is too short for that.
    #[inline(always)]
    #[must_use]
    pub fn neutral(&self, segment: &Segment, search: &Search) -> Option<[u8; 4]> {
        if search.len < 4 {
            return None;
        }
        let option = (self.word(search.found) as u32).to_le_bytes();
        let is_odd = (search.found - segment.options) % 2 == 1;
        Some(options::neutral(option, is_odd))
    }

    /// The eight bytes from `at` on, the first in the lowest bits.
    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        words::unaligned(&self.bytes, at, 0)
    }

    #[inline(always)]
    fn byte(&self, at: u32) -> u8 {
        self.word(at) as u8
    }

    #[inline(always)]
    fn be16(&self, at: u32) -> u16 {
        (self.word(at) as u16).swap_bytes()
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
