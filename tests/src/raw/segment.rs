//! A segment to be sent, as right or as wrong as it is asked to be.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;

use super::{flags::URG, wire::Link};

/// A TCP segment in a frame. It is right in every way until told otherwise.
#[derive(Clone, Debug)]
#[must_use = "it is not sent yet"]
pub struct Segment {
    link: Arc<Link>,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ethernet: Ethernet,
    pub(super) ip: Ip,
    pub(super) tcp: Tcp,
    pub(super) payload: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Ethernet {
    pub(super) source: [u8; 6],
    pub(super) destination: [u8; 6],
    /// Protocol and content of each VLAN tag, outermost first.
    pub(super) tags: Vec<(u16, u16)>,
    /// In an IEEE 802.3 frame with LLC and SNAP instead.
    pub(super) is_snap: bool,
    pub(super) trailer: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Ip {
    pub(super) ttl: u8,
    pub(super) tos: u8,
    pub(super) options: Vec<u8>,
    pub(super) header_words: Option<u8>,
    /// What the length field says instead of the truth.
    pub(super) length: Option<u16>,
    pub(super) has_bad_checksum: bool,
    /// Kind and content (all but the first two bytes) of IPv6 extension headers.
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    /// Where it is cut into fragments, in bytes of what follows the IP header.
    pub(super) cuts: Vec<usize>,
    pub(super) is_reversed: bool,
    pub(super) is_first_only: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Tcp {
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    pub(super) reserved: u8,
    pub(super) header_words: Option<u8>,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) has_bad_checksum: bool,
    pub(super) options: Vec<u8>,
}

impl Segment {
    pub(super) fn new(link: Arc<Link>, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Self {
        Self {
            from,
            to,
            ethernet: Ethernet {
                source: link.client,
                destination: link.server,
                tags: Vec::new(),
                is_snap: false,
                trailer: Vec::new(),
            },
            ip: Ip {
                ttl: 64,
                tos: 0,
                options: Vec::new(),
                header_words: None,
                length: None,
                has_bad_checksum: false,
                extensions: Vec::new(),
                cuts: Vec::new(),
                is_reversed: false,
                is_first_only: false,
            },
            tcp: Tcp {
                sequence: 0,
                acknowledged: 0,
                flags: 0,
                reserved: 0,
                header_words: None,
                window: u16::MAX,
                urgent: 0,
                has_bad_checksum: false,
                options: Vec::new(),
            },
            payload: payload.to_vec(),
            link,
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// If the interface does not take it.
    pub fn send(&self) -> Result<()> {
        self.frames()
            .iter()
            .try_for_each(|frame| self.link.send(frame))
    }

    /// With these flags and no others.
    pub fn flags(mut self, flags: u8) -> Self {
        self.tcp.flags = flags;
        self
    }

    /// With these flags besides.
    pub fn and(mut self, flags: u8) -> Self {
        self.tcp.flags |= flags;
        self
    }

    /// Acknowledges so many bytes more than arrived.
    pub fn acknowledging(mut self, more: i32) -> Self {
        self.tcp.acknowledged = self.tcp.acknowledged.wrapping_add_signed(more);
        self
    }

    /// With these numbers: its own, and the one it acknowledges.
    pub fn numbers(mut self, sequence: u32, acknowledged: u32) -> Self {
        self.tcp.sequence = sequence;
        self.tcp.acknowledged = acknowledged;
        self
    }

    /// Moves it in the stream.
    pub fn later(mut self, by: i32) -> Self {
        self.tcp.sequence = self.tcp.sequence.wrapping_add_signed(by);
        self
    }

    /// With this window, unscaled.
    pub fn window(mut self, window: u16) -> Self {
        self.tcp.window = window;
        self
    }

    /// With the URG flag and this pointer: one more than the urgent byte's place in the segment.
    pub fn urgent(self, pointer: u16) -> Self {
        self.urgent_pointer(pointer).and(URG)
    }

    /// With this urgent pointer and no flag.
    pub fn urgent_pointer(mut self, pointer: u16) -> Self {
        self.tcp.urgent = pointer;
        self
    }

    /// With these four reserved bits, of which the lowest is AE.
    pub fn reserved(mut self, bits: u8) -> Self {
        self.tcp.reserved = bits;
        self
    }

    /// With a TCP header that claims to have so many words.
    pub fn tcp_words(mut self, words: u8) -> Self {
        self.tcp.header_words = Some(words);
        self
    }

    /// With more TCP options, of whole words.
    pub fn tcp_options(mut self, options: &[u8]) -> Self {
        self.tcp.options.extend(options);
        self
    }

    /// Without TCP options.
    pub fn no_tcp_options(mut self) -> Self {
        self.tcp.options.clear();
        self
    }

    /// With a TCP checksum that is wrong.
    pub fn bad_checksum(mut self) -> Self {
        self.tcp.has_bad_checksum = true;
        self
    }

    /// With an IPv4 header checksum that is wrong.
    pub fn bad_ip_checksum(mut self) -> Self {
        self.ip.has_bad_checksum = true;
        self
    }

    /// With this time to live.
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ip.ttl = ttl;
        self
    }

    /// With this type of service or traffic class.
    pub fn tos(mut self, tos: u8) -> Self {
        self.ip.tos = tos;
        self
    }

    /// With IPv4 options, of whole words.
    pub fn ip_options(mut self, options: &[u8]) -> Self {
        self.ip.options = options.to_vec();
        self
    }

    /// With an IPv4 header that claims to have so many words.
    pub fn ip_words(mut self, words: u8) -> Self {
        self.ip.header_words = Some(words);
        self
    }

    /// With an IP header that claims this length.
    pub fn ip_length(mut self, length: u16) -> Self {
        self.ip.length = Some(length);
        self
    }

    /// With one more IPv6 extension header: its kind, and all of it but its first two bytes.
    pub fn extension(mut self, kind: u8, content: &[u8]) -> Self {
        assert!((content.len() + 2).is_multiple_of(8), "of eights of bytes");
        self.ip.extensions.push((kind, content.to_vec()));
        self
    }

    /// In fragments, cut at these places behind the IP header.
    pub fn fragments(mut self, cuts: &[usize]) -> Self {
        self.ip.cuts = cuts.to_vec();
        self
    }

    /// The first fragment only.
    pub fn only_first(mut self) -> Self {
        self.ip.is_first_only = true;
        self
    }

    /// The last fragment first.
    pub fn reversed(mut self) -> Self {
        self.ip.is_reversed = true;
        self
    }

    /// With a VLAN tag inside those it has: its protocol and its content.
    pub fn tag(mut self, protocol: u16, content: u16) -> Self {
        self.ethernet.tags.push((protocol, content));
        self
    }

    /// In an IEEE 802.3 frame with LLC and SNAP.
    pub fn snap(mut self) -> Self {
        self.ethernet.is_snap = true;
        self
    }

    /// To this Ethernet address.
    pub fn to_ethernet(mut self, address: [u8; 6]) -> Self {
        self.ethernet.destination = address;
        self
    }

    /// With these bytes behind the packet.
    pub fn trailer(mut self, bytes: &[u8]) -> Self {
        self.ethernet.trailer = bytes.to_vec();
        self
    }
}
