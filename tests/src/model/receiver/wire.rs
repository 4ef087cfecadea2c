//! Segments as packets of IPv4, and back.

use std::net::Ipv4Addr;

use crate::model::segment::Segment;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const PORT: u16 = 8080;

const HEADER: usize = 20;

/// A packet from the client, from that port of its.
pub(super) fn build(segment: &Segment, client_port: u16) -> Vec<u8> {
    let tcp_len = HEADER + segment.options.len() + segment.payload.len();
    let total = u16::try_from(HEADER + tcp_len).expect("it fits in a packet");
    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend([0x45, 0]);
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(CLIENT.octets());
    packet.extend(SERVER.octets());
    let checksum = !sum(&packet, 0);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());

    packet.extend(client_port.to_be_bytes());
    packet.extend(PORT.to_be_bytes());
    packet.extend(segment.sequence.to_be_bytes());
    packet.extend(segment.acknowledgment.to_be_bytes());
    let words = (HEADER + segment.options.len()) / 4;
    packet.extend([(words as u8) << 4, segment.flags]);
    packet.extend(segment.window.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(segment.urgent.to_be_bytes());
    packet.extend(&segment.options);
    packet.extend(&segment.payload);
    // The pseudo header: addresses, protocol, length.
    let mut checksum = !sum(&packet[12..], 6 + tcp_len as u32);
    if segment.is_corrupt {
        checksum ^= 0x5555;
    }
    packet[HEADER + 16..HEADER + 18].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// The port of the client that a packet is for, if it is TCP over IPv4.
pub(super) fn client_port(packet: &[u8]) -> Option<u16> {
    let is_tcp = packet.first()? >> 4 == 4 && *packet.get(9)? == 6;
    let tcp = packet.get(usize::from(packet[0] & 15) * 4..)?;
    let port = tcp.get(2..)?.first_chunk()?;
    is_tcp.then_some(u16::from_be_bytes(*port))
}

/// A segment of the server, out of a whole packet.
pub(super) fn parse(packet: &[u8]) -> Segment {
    let tcp = &packet[usize::from(packet[0] & 15) * 4..];
    let be16 = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    let be32 = |at: usize| u32::from(be16(at)) << 16 | u32::from(be16(at + 2));
    let header = usize::from(tcp[12] >> 4) * 4;
    Segment {
        sequence: be32(4),
        acknowledgment: be32(8),
        flags: tcp[13],
        window: be16(14),
        urgent: be16(18),
        options: tcp[HEADER..header].to_vec(),
        payload: tcp[header..].to_vec(),
        is_corrupt: false,
    }
}

/// The ones' complement sum of RFC 1071.
fn sum(bytes: &[u8], start: u32) -> u16 {
    let mut sum = start;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
