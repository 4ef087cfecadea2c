extern crate std;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::abi::FlowKey;

fn ethernet(ethertype: u16, tags: &[u16]) -> Vec<u8> {
    let mut frame = std::vec![0; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn tcp(header: usize, flags: u32, payload: usize) -> Vec<u8> {
    let mut bytes = std::vec![0; header + payload];
    bytes[0..2].copy_from_slice(&4000u16.to_be_bytes());
    bytes[2..4].copy_from_slice(&8080u16.to_be_bytes());
    bytes[4..8].copy_from_slice(&0x0102_0304u32.to_be_bytes());
    bytes[12] = (header as u8 / 4) << 4;
    bytes[13] = flags as u8;
    bytes
}

fn ipv4(options: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; 20 + options];
    bytes[0] = 0x45 + options as u8 / 4;
    let total = (bytes.len() + body.len()) as u16;
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    bytes[9] = TCP;
    bytes[12..16].copy_from_slice(&[10, 0, 0, 1]);
    bytes[16..20].copy_from_slice(&[10, 0, 0, 2]);
    bytes.extend(body);
    bytes
}

/// `extensions`: type and whole length of each; a fragment header is always 8 bytes.
fn ipv6(extensions: &[(u8, usize)], body: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; 40];
    bytes[0] = 0x60;
    bytes[8..24].fill(1);
    bytes[24..40].fill(2);
    let mut next_field = 6;
    for &(kind, length) in extensions {
        bytes[next_field] = kind;
        next_field = bytes.len();
        let mut extension = std::vec![0; length];
        extension[1] = match kind {
            FRAGMENT => 0,
            AUTHENTICATION => length as u8 / 4 - 2,
            _ => length as u8 / 8 - 1,
        };
        bytes.extend(extension);
    }
    bytes[next_field] = TCP;
    bytes.extend(body);
    let length = (bytes.len() - 40) as u16;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn read(frame: &[u8]) -> (Frame, Segment) {
    let mut segment = Segment::NONE;
    let mut headers = Headers::new();
    // What is not the frame's must not matter.
    headers.bytes.fill(0x4141_4141_4141_4141);
    headers.fill(frame);
    let len = frame.len() as u32;
    let found = headers.frame(len, &mut segment);
    if frame.len() >= PLAIN {
        let word = |at: usize| words::unaligned(&headers.bytes, at as u32, 0).to_le();
        if let Some(port) = plain_port(word) {
            let is_same = found == Frame::Tcp && segment.flow.server_port == port;
            assert!(is_same || found == Frame::Unreadable, "{found:?}");
        }
        let mut at_once = Segment {
            flags: u32::MAX,
            ..Segment::NONE
        };
        at_once.flow.zone = 7;
        if plain(word, len, &mut at_once) {
            assert_eq!((found, segment), (Frame::Tcp, at_once));
        } else {
            let is_long = len > ETHERNET + LONGEST;
            assert!(plain_port(word).is_none() || found != Frame::Tcp || is_long);
        }
    }
    (found, segment)
}

fn segment(frame: &[u8]) -> Segment {
    let (frame, segment) = read(frame);
    assert_eq!(frame, Frame::Tcp);
    segment
}

#[test]
fn reads_ipv4_and_ipv6_behind_vlan_tags_and_options() {
    for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100], &[0x8100, 0x8100]] {
        for tcp_header in [20, 32, 60] {
            let body = tcp(tcp_header, flag::ACK, 7);
            for options in [0, 4, 40] {
                let mut frame = ethernet(ETHERTYPE_IPV4, tags);
                frame.extend(ipv4(options, &body));
                let payload = frame.len() - 7;
                // Ethernet pads short frames: not payload.
                frame.extend([0; 6]);
                let got = segment(&frame);
                assert_eq!(
                    got.flow.server.octets(),
                    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]
                );
                assert_eq!(got.flow.client.octets()[12..], [10, 0, 0, 1]);
                assert_eq!((got.flow.client_port, got.flow.server_port), (4000, 8080));
                assert_eq!(got.sequence, 0x0102_0304);
                assert_eq!((got.payload as usize, got.len), (payload, 7));
            }
            for extensions in [
                &[][..],
                &[(HOP_BY_HOP, 8)],
                &[(DESTINATION_OPTIONS, 24)],
                &[(HOP_BY_HOP, 8), (ROUTING, 8), (AUTHENTICATION, 12)],
            ] {
                let mut frame = ethernet(ETHERTYPE_IPV6, tags);
                frame.extend(ipv6(extensions, &body));
                let got = segment(&frame);
                assert_eq!(
                    (got.flow.client, got.flow.server),
                    (Address::new([1; 16]), Address::new([2; 16]))
                );
                assert_eq!((got.payload as usize, got.len), (frame.len() - 7, 7));
            }
        }
    }
}

#[test]
fn the_port_of_a_plain_segment_is_told_at_once() {
    let port = |frame: &[u8]| {
        let mut headers = Headers::new();
        headers.fill(frame);
        plain_port(|at| words::unaligned(&headers.bytes, at as u32, 0).to_le())
    };
    let segment = tcp(20, flag::ACK, 7);
    let frame = |tags: &[u16], options| {
        let mut frame = ethernet(ETHERTYPE_IPV4, tags);
        frame.extend(ipv4(options, &segment));
        frame
    };
    let plain = frame(&[], 0);
    assert_eq!(port(&plain), Some(8080));
    assert_eq!(port(&frame(&[0x8100], 0)), None);
    assert_eq!(port(&frame(&[], 4)), None);
    let mut ipv6_frame = ethernet(ETHERTYPE_IPV6, &[]);
    ipv6_frame.extend(ipv6(&[], &segment));
    assert_eq!(port(&ipv6_frame), None);
    for (at, bits, expected) in [
        (15, 0xff, Some(8080)), // type of service
        (20, 0x40, Some(8080)), // do not fragment
        (20, 0x20, None),       // more fragments
        (20, 0x1f, None),       // offset
        (21, 0xff, None),       // offset
        (22, 0xff, Some(8080)), // time to live
        (23, 0x01, None),       // protocol
        (36, 0x80, Some(0x9f90)),
        (37, 0x01, Some(8081)),
    ] {
        let mut frame = plain.clone();
        frame[at] ^= bits;
        assert_eq!(port(&frame), expected, "byte {at}");
    }
}

#[test]
fn refuses_what_it_cannot_read() {
    let body = tcp(20, flag::ACK, 7);
    let frame4 = |change: fn(&mut Vec<u8>)| {
        let mut packet = ipv4(0, &body);
        change(&mut packet);
        let mut frame = ethernet(ETHERTYPE_IPV4, &[]);
        frame.extend(packet);
        read(&frame).0
    };
    let frame6 = |extensions: &[(u8, usize)], change: fn(&mut Vec<u8>)| {
        let mut packet = ipv6(extensions, &body);
        change(&mut packet);
        let mut frame = ethernet(ETHERTYPE_IPV6, &[]);
        frame.extend(packet);
        read(&frame).0
    };
    // The client's own MAC address, in case one goes on reading where the bytes begin.
    let far6 = |mac: [u8; 6], extensions: &[(u8, usize)]| {
        let mut frame = ethernet(ETHERTYPE_IPV6, &[]);
        frame[6..12].copy_from_slice(&mac);
        frame.extend(ipv6(extensions, &body));
        read(&frame).0
    };
    let mut fragment = ethernet(ETHERTYPE_IPV6, &[]);
    fragment.extend(ipv6(&[(FRAGMENT, 8)], &body));
    assert_eq!(
        read(&fragment).1.flow,
        FlowKey {
            client: Address::new([1; 16]),
            server: Address::new([2; 16]),
            ..FlowKey::NONE
        }
    );
    for (what, got, expected) in [
        ("wrong version", frame4(|p| p[0] = 0x55), Frame::Unreadable),
        (
            "short header length",
            frame4(|p| {
                p[0] = 0x44;
                // What would be the data offset then.
                p[16 + 12] = 0x50;
            }),
            Frame::Unreadable,
        ),
        (
            "total beyond the frame",
            frame4(|p| p[3] += 1),
            Frame::Unreadable,
        ),
        (
            "total of zero",
            frame4(|p| p[2..4].fill(0)),
            Frame::Unreadable,
        ),
        (
            "UDP, total below the header",
            frame4(|p| {
                p[9] = UDP;
                p[3] = 19;
            }),
            Frame::Unreadable,
        ),
        ("truncated", frame4(|p| p.truncate(19)), Frame::Unreadable),
        (
            "data offset too small",
            frame4(|p| p[32] = 0x40),
            Frame::Unreadable,
        ),
        (
            "data offset too large",
            frame4(|p| p[32] = 0xf0),
            Frame::Unreadable,
        ),
        (
            "no room for TCP",
            frame4(|p| p[2..4].copy_from_slice(&[0, 39])),
            Frame::Unreadable,
        ),
        ("more fragments", frame4(|p| p[6] = 0x20), Frame::Fragment),
        ("later fragment", frame4(|p| p[7] = 1), Frame::Fragment),
        (
            "reserved and DF bits",
            frame4(|p| p[6] = 0xc0),
            frame4(|_| ()),
        ),
        ("UDP", frame4(|p| p[9] = 17), Frame::Other),
        (
            "UDP fragment",
            frame4(|p| {
                p[9] = 17;
                p[6] = 0x20;
            }),
            Frame::Other,
        ),
        (
            "v6 wrong version",
            frame6(&[], |p| p[0] = 0x40),
            Frame::Unreadable,
        ),
        (
            "v6 jumbo",
            frame6(&[], |p| p[4..6].fill(0)),
            Frame::Unreadable,
        ),
        (
            "v6 beyond the frame",
            frame6(&[], |p| p[5] += 1),
            Frame::Unreadable,
        ),
        (
            "v6 atomic fragment",
            frame6(&[(FRAGMENT, 8)], |_| ()),
            Frame::Fragment,
        ),
        (
            "v6 fragment of options",
            frame6(&[(FRAGMENT, 8), (DESTINATION_OPTIONS, 8)], |_| ()),
            Frame::Fragment,
        ),
        (
            "v6 fragment of UDP",
            frame6(&[(FRAGMENT, 8)], |p| p[40] = 17),
            Frame::Other,
        ),
        (
            "v6 chain past what is looked at",
            frame6(&[(DESTINATION_OPTIONS, 80)], |_| ()),
            Frame::Unreadable,
        ),
        (
            "v6 extension past what is looked at",
            far6(
                [UDP, 0, 0, 0, 0, 0],
                &[(DESTINATION_OPTIONS, 80), (DESTINATION_OPTIONS, 8)],
            ),
            Frame::Unreadable,
        ),
        (
            "v6 fragment header past what is looked at",
            far6(
                [UDP, 0, 0, 0, 0, 0],
                &[(DESTINATION_OPTIONS, 80), (FRAGMENT, 8)],
            ),
            Frame::Unreadable,
        ),
        (
            "v6 TCP partly past what is looked at",
            far6([0, 0, 0, 0, 0x50, 0x10], &[(DESTINATION_OPTIONS, 72)]),
            Frame::Unreadable,
        ),
        (
            "v6 chain of too many",
            frame6(&[(DESTINATION_OPTIONS, 8); 9], |_| ()),
            Frame::Unreadable,
        ),
        (
            "v6 extension past the end",
            frame6(&[(DESTINATION_OPTIONS, 8)], |p| {
                p[5] = 4;
                p[40] = UDP;
            }),
            Frame::Unreadable,
        ),
        (
            "v6 fragment header past the end",
            frame6(&[(FRAGMENT, 8)], |p| {
                p[5] = 4;
                p[40] = UDP;
            }),
            Frame::Unreadable,
        ),
        (
            "v6 chain past its end",
            frame6(&[(DESTINATION_OPTIONS, 8)], |p| p[41] = 200),
            Frame::Unreadable,
        ),
        (
            "v6 routed on",
            frame6(&[(ROUTING, 8)], |p| p[43] = 1),
            Frame::Unreadable,
        ),
        ("v6 UDP", frame6(&[], |p| p[6] = 17), Frame::Other),
    ] {
        assert_eq!(got, expected, "{what}");
    }
    assert_eq!(read(&ethernet(0x0806, &[])).0, Frame::Other);
    assert_eq!(read(&[0; 10]).0, Frame::Other);
    let mut tagged = ethernet(ETHERTYPE_IPV4, &[0x8100, 0x8100, 0x8100]);
    tagged.extend(ipv4(0, &body));
    assert_eq!(read(&tagged).0, Frame::Unreadable);
}

#[test]
fn knows_segments_that_change_the_stream() {
    use flag::{ACK, FIN, RST, SYN, URG};
    for (flags, len, bad) in [
        (SYN, 0, false),
        (SYN | ACK, 0, true),
        (ACK, 0, false),
        (ACK, 5, false),
        (ACK | FIN, 5, false),
        (RST, 0, false),
        (RST | ACK, 0, false),
        (FIN, 0, true),
        (SYN, 5, true),
        (SYN | ACK, 5, true),
        (SYN | FIN, 0, true),
        (SYN | RST, 0, true),
        (0, 5, true),
        (FIN, 5, true),
        (ACK | URG, 0, true),
        (ACK | URG, 5, true),
    ] {
        let mut frame = ethernet(ETHERTYPE_IPV4, &[]);
        frame.extend(ipv4(0, &tcp(20, flags, len)));
        assert_eq!(
            segment(&frame).is_bad(),
            bad,
            "flags {flags:#x}, {len} bytes"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_bytes_give_a_segment_inside_the_frame(
        mut frame in prop::collection::vec(any::<u8>(), 0..200),
        ethertype in prop::sample::select(&[ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN]),
        protocol in prop::sample::select(&[TCP, HOP_BY_HOP, ROUTING, FRAGMENT, 60, 51]),
    ) {
        if frame.len() > 30 {
            frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
            frame[20] = protocol;
            frame[23] = protocol;
        }
        if let (Frame::Tcp, segment) = read(&frame) {
            prop_assert!((segment.payload + segment.len) as usize <= frame.len());
        }
    }
}

/// A kernel's own aggregates, on their way out or in: their length is told by no field, or by an option.
#[test]
fn frames_longer_than_their_header_can_say() {
    let long = tcp(20, flag::ACK, 70_000);
    let frame4 = |change: fn(&mut Vec<u8>)| {
        let mut packet = ipv4(0, &long);
        packet[2..4].fill(0);
        change(&mut packet);
        [ethernet(ETHERTYPE_IPV4, &[]), packet].concat()
    };
    let frame6 = |extensions: &[(u8, usize)], change: fn(&mut Vec<u8>)| {
        let mut packet = ipv6(extensions, &long);
        packet[4..6].fill(0);
        change(&mut packet);
        [ethernet(ETHERTYPE_IPV6, &[]), packet].concat()
    };
    let jumbo = |packet: &mut Vec<u8>| {
        packet[42..44].copy_from_slice(&[0xc2, 4]);
        let length = packet.len() as u32 - 40;
        packet[44..48].copy_from_slice(&length.to_be_bytes());
    };
    let option = &[(HOP_BY_HOP, 8)];
    for (what, frame) in [
        ("v4", frame4(|_| ())),
        ("v6", frame6(&[], |_| ())),
        ("v6 with an option", frame6(option, jumbo)),
    ] {
        let (found, segment) = read(&frame);
        assert_eq!((found, segment.len), (Frame::Tcp, 70_000), "{what}");
    }
    for (what, frame) in [
        ("v4 that says something", frame4(|p| p[3] = 1)),
        ("v4 that is not long", frame4(|p| p.truncate(65_535))),
        ("v6 that says something", frame6(&[], |p| p[5] = 1)),
        ("v6 that is not long", frame6(&[], |p| p.truncate(65_575))),
        ("v6 with another option", frame6(option, |_| ())),
        (
            "v6 with two extensions",
            frame6(&[(DESTINATION_OPTIONS, 8)], |_| ()),
        ),
    ] {
        assert_eq!(read(&frame).0, Frame::Unreadable, "{what}");
    }
    let mut less = frame6(option, jumbo);
    less.push(0);
    assert_eq!(read(&less).0, Frame::Unreadable, "v6, cut short");
}

#[test]
fn a_segment_is_bad_by_its_flags_and_length() {
    for flags in 0..256 {
        for len in [0, 1, 1_460] {
            let segment = Segment {
                flags,
                len,
                ..Segment::NONE
            };
            let has = |flag| flags & flag != 0;
            let is_bad = has(flag::URG)
                || has(flag::SYN)
                    && (has(flag::FIN) || has(flag::RST) || has(flag::ACK) || len > 0)
                || !has(flag::ACK) && (has(flag::FIN) || len > 0)
                || has(flag::FIN) && has(flag::RST);
            assert_eq!(segment.is_bad(), is_bad, "flags {flags:#x}, {len} bytes");
        }
    }
}
