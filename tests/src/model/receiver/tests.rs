//! What Linux 6.18 made of overlaps, resets and the like, by the catalogue of attacks.

use super::*;
use crate::frame::{ACK, FIN, RST, SYN, URG};

const ISN: u32 = u32::MAX - 2;

/// A segment: where it starts in the stream, what it carries, and what else there is about it.
type Row<'a> = (i32, &'a str, u8);

const CORRUPT: u8 = 0x80;

/// What an application gets of these segments: the stream, and how it ended.
fn got(receiver: &mut dyn Receiver, segments: &[Row<'_>]) -> (String, Option<End>) {
    let mut out = Vec::new();
    let mut send = |segment: &Segment| {
        receiver.receive(segment, Time::ZERO, &mut out);
        out.pop()
    };
    let syn = Segment {
        sequence: ISN,
        flags: SYN,
        ..Segment::default()
    };
    let server = send(&syn).map_or(0, |packet| packet.sequence);
    for (at, payload, flags) in [(0, "", ACK)].iter().chain(segments) {
        send(&Segment {
            sequence: ISN.wrapping_add(1).wrapping_add_signed(*at),
            acknowledgment: server.wrapping_add(1),
            flags: flags & !CORRUPT,
            urgent: 3,
            payload: payload.as_bytes().to_vec(),
            is_corrupt: flags & CORRUPT != 0,
            ..Segment::default()
        });
    }
    let connection = receiver.connections().last().expect("it was accepted");
    let stream = String::from_utf8_lossy(&connection.stream).into_owned();
    (stream, connection.end)
}

#[test]
fn linux_does_as_the_catalogue_says() {
    let rows: [(&str, &[Row<'_>], &str, Option<End>); 16] = [
        (
            "A05",
            &[(5, "bbbbb", ACK), (5, "XXXXX", ACK), (0, "aaaaa", ACK)],
            "aaaaabbbbb",
            None,
        ),
        (
            "A07",
            &[(10, "bbbbb", ACK), (5, "XXXXXXX", ACK), (0, "aaaaa", ACK)],
            "aaaaaXXXXXXXbbb",
            None,
        ),
        (
            "A09",
            &[(5, "bbbbb", ACK), (0, "XXXXXXXX", ACK)],
            "XXXXXXXXbb",
            None,
        ),
        (
            "A14",
            &[(10, "ccccc", ACK), (5, "bbbbb", ACK), (0, "aaaaa", ACK)],
            "aaaaabbbbbccccc",
            None,
        ),
        (
            "A20",
            &[(0, "XXXXX", ACK | CORRUPT), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        ("A23", &[(0, "XXXXX", 0), (0, "aaaaa", ACK)], "aaaaa", None),
        (
            "A26",
            &[(0, "XXXXX", SYN | ACK), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        (
            "A28",
            &[(-1, "", RST | ACK), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        (
            "A29",
            &[(1, "", RST | ACK), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        (
            "A30",
            &[(0, "", RST | ACK), (0, "aaaaa", ACK)],
            "",
            Some(End::Reset),
        ),
        (
            "A31",
            &[(0, "", RST | ACK | CORRUPT), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        (
            "A33",
            &[(5, "", FIN | ACK), (0, "aaaaa", ACK)],
            "aaaaa",
            Some(End::Fin),
        ),
        (
            "A34",
            &[(100, "", FIN | ACK), (0, "aaaaa", ACK)],
            "aaaaa",
            None,
        ),
        ("A46", &[(-3, "XXXaaaaa", ACK)], "aaaaa", None),
        ("A65", &[(0, "aa!aa", URG | ACK)], "aaaa", None),
        (
            "A168",
            &[(0, "aaaaa", ACK), (5, "", RST | ACK)],
            "aaaaa",
            Some(End::Reset),
        ),
    ];
    for (case, segments, stream, end) in rows {
        let found = got(&mut Linux::new(Options::default()), segments);
        assert_eq!(found, (stream.to_owned(), end), "{case}");
    }
}

#[test]
fn smoltcp_lets_the_newest_win() {
    let mut host = Smol::new(65_535, 1);
    let segments = [(5, "bbbbb", ACK), (5, "XXXXX", ACK), (0, "aaaaa", ACK)];
    assert_eq!(got(&mut host, &segments), ("aaaaaXXXXX".to_owned(), None));
    let fin = [(0, "aaaaa", ACK), (5, "", ACK | FIN)];
    let ended = ("aaaaa".to_owned(), Some(End::Fin));
    assert_eq!(got(&mut Smol::new(65_535, 1), &fin), ended);
}

#[test]
fn what_there_is_no_room_for_is_dropped() {
    let mut host = Linux::new(Options {
        buffer: 5,
        ..Options::default()
    });
    got(&mut host, &[]);
    let mut out = Vec::new();
    host.act(&Action::Pause, Time::ZERO, &mut out);
    let mut segment = Segment {
        sequence: ISN.wrapping_add(1),
        acknowledgment: Options::default().isn + 1,
        flags: ACK,
        payload: b"aaaaa".to_vec(),
        ..Segment::default()
    };
    host.receive(&segment, Time::ZERO, &mut out);
    segment.sequence = segment.end();
    host.receive(&segment, Time::ZERO, &mut out);
    let last = out.last().expect("it answers");
    assert_eq!((last.acknowledgment, last.window), (segment.sequence, 0));
    host.act(&Action::Read, Time::ZERO, &mut out);
    host.receive(&segment, Time::ZERO, &mut out);
    assert_eq!(host.stream(), b"aaaaaaaaaa");
}
