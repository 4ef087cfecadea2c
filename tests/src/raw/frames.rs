//! From a segment to its frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Segment, checksum};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;
const FRAGMENT: u8 = 44;

impl Segment {
    /// The frames it goes in: one, if it is not in fragments.
    pub(super) fn frames(&self) -> Vec<Vec<u8>> {
        let segment = self.segment();
        let mut packets: Vec<_> = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => self
                .fragments_of(&segment)
                .map(|part| self.ipv4(from, to, &part))
                .collect(),
            (IpAddr::V6(from), IpAddr::V6(to)) => self
                .fragments_of(&segment)
                .map(|part| self.ipv6(from, to, &part))
                .collect(),
            _ => panic!("both ends are of one family"),
        };
        if self.ip.is_first_only {
            packets.truncate(1);
        }
        if self.ip.is_reversed {
            packets.reverse();
        }
        let protocol = if self.to.is_ipv4() { IPV4 } else { IPV6 };
        packets
            .into_iter()
            .map(|packet| self.frame(protocol, &packet))
            .collect()
    }

    fn segment(&self) -> Vec<u8> {
        let tcp = &self.tcp;
        let words = u8::try_from(5 + tcp.options.len() / 4).expect("few options");
        let mut segment = Vec::with_capacity(60 + self.payload.len());
        segment.extend(self.from.port().to_be_bytes());
        segment.extend(self.to.port().to_be_bytes());
        segment.extend(tcp.sequence.to_be_bytes());
        segment.extend(tcp.acknowledged.to_be_bytes());
        segment.push(tcp.header_words.unwrap_or(words) << 4 | tcp.reserved);
        segment.push(tcp.flags);
        segment.extend(tcp.window.to_be_bytes());
        segment.extend([0, 0]);
        segment.extend(tcp.urgent.to_be_bytes());
        segment.extend(&tcp.options);
        segment.extend(&self.payload);
        let sum = checksum::tcp(self.from, self.to, &segment);
        let sum = if tcp.has_bad_checksum { !sum } else { sum };
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
        segment
    }

    fn fragments_of<'a>(&self, segment: &'a [u8]) -> impl Iterator<Item = Fragment<'a>> {
        let cuts = &self.ip.cuts;
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([segment.len()]);
        let parts: Vec<_> = starts.zip(ends).collect();
        let is_whole = parts.len() == 1;
        parts.into_iter().map(move |(start, end)| Fragment {
            offset: u16::try_from(start).expect("a packet's length"),
            has_more: end < segment.len(),
            is_whole,
            bytes: &segment[start..end],
        })
    }

    fn ipv4(&self, from: Ipv4Addr, to: Ipv4Addr, part: &Fragment<'_>) -> Vec<u8> {
        let ip = &self.ip;
        let words = 5 + ip.options.len() / 4;
        let length = u16::try_from(4 * words + part.bytes.len()).expect("a packet's length");
        let words = ip
            .header_words
            .unwrap_or_else(|| u8::try_from(words).expect("few options"));
        let mut packet = vec![0x40 | words, ip.tos];
        packet.extend(ip.length.unwrap_or(length).to_be_bytes());
        packet.extend(self.identification().to_be_bytes()[2..].iter());
        let flags = if part.is_whole {
            0x4000
        } else {
            u16::from(part.has_more) << 13
        };
        packet.extend((flags | (part.offset / 8)).to_be_bytes());
        packet.extend([ip.ttl, TCP, 0, 0]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(&ip.options);
        let sum = checksum::internet(&[&packet]);
        let sum = if ip.has_bad_checksum { !sum } else { sum };
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(part.bytes);
        packet
    }

    fn ipv6(&self, from: Ipv6Addr, to: Ipv6Addr, part: &Fragment<'_>) -> Vec<u8> {
        let ip = &self.ip;
        let mut headers = ip.extensions.clone();
        if !part.is_whole {
            let mut content = (part.offset | u16::from(part.has_more))
                .to_be_bytes()
                .to_vec();
            content.extend(self.identification().to_be_bytes());
            headers.push((FRAGMENT, content));
        }
        // From the last: each names what follows it.
        let (first, rest) = headers.into_iter().rev().fold(
            (TCP, part.bytes.to_vec()),
            |(next, rest), (kind, content)| {
                let eights = u8::try_from(content.len() / 8).expect("a short header");
                (kind, [&[next, eights][..], &content, &rest].concat())
            },
        );
        let length = u16::try_from(rest.len()).expect("a packet's length");
        let mut packet = vec![0x60 | ip.tos >> 4, ip.tos << 4, 0, 0];
        packet.extend(ip.length.unwrap_or(length).to_be_bytes());
        packet.extend([first, ip.ttl]);
        packet.extend(from.octets());
        packet.extend(to.octets());
        packet.extend(rest);
        packet
    }

    fn frame(&self, protocol: u16, packet: &[u8]) -> Vec<u8> {
        let ethernet = &self.ethernet;
        let mut frame = [ethernet.destination, ethernet.source].concat();
        for (protocol, content) in &ethernet.tags {
            frame.extend(protocol.to_be_bytes());
            frame.extend(content.to_be_bytes());
        }
        if ethernet.is_snap {
            let length = u16::try_from(8 + packet.len()).expect("a frame's length");
            frame.extend(length.to_be_bytes());
            frame.extend([0xaa, 0xaa, 3, 0, 0, 0]);
        }
        frame.extend(protocol.to_be_bytes());
        frame.extend(packet);
        frame.extend(&ethernet.trailer);
        frame
    }

    /// The same for all fragments of a segment.
    fn identification(&self) -> u32 {
        self.tcp.sequence ^ u32::from(self.from.port())
    }
}

/// A part of what follows the IP header, or all of it.
struct Fragment<'a> {
    offset: u16,
    has_more: bool,
    is_whole: bool,
    bytes: &'a [u8],
}
