//! A bait passes the guard and not the server's kernel; then the same range comes with other bytes.

use std::time::Duration;

use anyhow::Result;
use token_agent_tests::raw::{Peer, Segment, timestamps};

use super::{Attack, Front, find, place};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "R3-cuts",
        "a bait in one piece, the rest in many",
        |front, peer| {
            let bait = front.decoy("GET", "");
            peer.data(0, &bait).bad_checksum().send()?;
            in_pieces(peer, &front.denied("GET", ""), 7)
        },
    ),
    Attack::new(
        "R3-one",
        "a bait in many pieces, the rest in one",
        |front, peer| {
            for (number, piece) in front.decoy("GET", "").chunks(7).enumerate() {
                peer.data(place(7 * number), piece).bad_checksum().send()?;
            }
            peer.data(0, &front.denied("GET", "")).send()
        },
    ),
    Attack::new(
        "R3-left",
        "a byte before the bait, and one behind it",
        |front, peer| {
            let bait = front.decoy("GET", "");
            peer.data(0, &bait).bad_checksum().send()?;
            let more = [b"X", &front.denied("GET", "")[..], b"\r\n"].concat();
            peer.data(-1, &more).send()
        },
    ),
    Attack::new(
        "R3-middle",
        "a bait behind what was received",
        |front, peer| {
            let (bait, denied) = (front.decoy("GET", ""), front.denied("GET", ""));
            let cut = find(&denied, "tka_");
            peer.data(0, &denied[..cut]).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.data(place(cut), &bait[cut..]).bad_checksum().send()?;
            peer.data(place(cut), &denied[cut..]).send()
        },
    ),
    Attack::new(
        "R3-shifted",
        "a bait, and pieces that overlap each other",
        |front, peer| {
            let (bait, denied) = (front.decoy("GET", ""), front.denied("GET", ""));
            peer.data(0, &bait).bad_checksum().send()?;
            let middle = denied.len() / 2;
            peer.data(0, &denied[..middle]).send()?;
            peer.data(place(middle - 20), &denied[middle - 20..]).send()
        },
    ),
    Attack::new("R3-end", "a bait of the last bytes only", |front, peer| {
        // As the guard sees it, the head ends before the token.
        let denied = front.denied("GET", "");
        let cut = find(&denied, "Authorization");
        let credential = format!("Authorization: Bearer {}\r\n\r\n", front.ground.good);
        peer.data(0, &denied[..cut]).send()?;
        peer.data(place(cut), credential.as_bytes())
            .bad_checksum()
            .send()?;
        let rest = &denied[cut..];
        peer.data(place(cut), &rest[..40]).send()?;
        peer.data(place(cut + 40), &rest[40..]).send()
    }),
    Attack::new(
        "R3-length",
        "a bait with another Content-Length",
        |front, peer| {
            let post =
                |length: &str| front.passed("POST", &format!("Content-Length: {length}\r\n"));
            peer.data(0, &post("999")).bad_checksum().send()?;
            peer.data(0, &post("005")).send()?;
            let rest = [b"hello", &front.denied("GET", "")[..]].concat();
            peer.data(place(post("005").len()), &rest).send()
        },
    ),
    Attack::new(
        "R3-length-cut",
        "the same, where the rest comes in pieces",
        |front, peer| {
            let post =
                |length: &str| front.passed("POST", &format!("Content-Length: {length}\r\n"));
            peer.data(0, &post("999")).bad_checksum().send()?;
            let rest = [&post("005"), &b"hello"[..], &front.denied("GET", "")].concat();
            in_pieces(peer, &rest, 41)
        },
    ),
    Attack::new(
        "R3-length-late",
        "the same, where the bait is only the number",
        |front, peer| {
            let post =
                |length: &str| front.passed("POST", &format!("Content-Length: {length}\r\n"));
            let (bait, real) = (post("999"), post("005"));
            let cut = find(&real, "005");
            peer.data(0, &real[..cut]).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.data(place(cut), &bait[cut..]).bad_checksum().send()?;
            peer.data(place(cut), &real[cut..]).send()?;
            let rest = [b"hello", &front.denied("GET", "")[..]].concat();
            peer.data(place(real.len()), &rest).send()
        },
    ),
    Attack::new(
        "R3-chunk",
        "a bait with another chunk size",
        |front, peer| {
            let head = front.passed("POST", "Transfer-Encoding: chunked\r\n");
            peer.data(0, &head).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.data(place(head.len()), b"3e7\r\n")
                .bad_checksum()
                .send()?;
            let rest = [b"005\r\nhello\r\n0\r\n\r\n", &front.denied("GET", "")[..]].concat();
            peer.data(place(head.len()), &rest[..5]).send()?;
            peer.data(place(head.len() + 5), &rest[5..]).send()
        },
    ),
    Attack::new(
        "R3-long",
        "a bait longer than anything that is kept",
        |front, peer| {
            let filler = format!("X: {}\r\n", "p".repeat(1_000)).repeat(12);
            let (bait, denied) = (front.decoy("GET", &filler), front.denied("GET", &filler));
            for (number, piece) in bait.chunks(1_400).enumerate() {
                peer.data(place(1_400 * number), piece)
                    .bad_checksum()
                    .send()?;
            }
            in_pieces(peer, &denied, 1_300)
        },
    ),
    Attack::new(
        "R3-stamps",
        "a bait with an old timestamp",
        |front, peer| {
            peer.connect_with(&Peer::usual_options())?;
            let bait = peer.data(0, &front.decoy("GET", "")).no_tcp_options();
            bait.tcp_options(&timestamps(1, 0)).send()?;
            in_pieces(peer, &front.denied("GET", ""), 60)
        },
    )
    .with_handshake(),
    Attack::new(
        "R3-old-ack",
        "a bait that acknowledges what is long past",
        |front, peer| two_pieces(front, peer, |bait| bait.acknowledging(-200_000)),
    ),
    Attack::new(
        "R3-new-ack",
        "a bait that acknowledges what was never sent",
        |front, peer| two_pieces(front, peer, |bait| bait.acknowledging(1)),
    ),
    Attack::new(
        "R3-signed",
        "a bait with a signature no one asked for",
        |front, peer| {
            // Where the kernel knows RFC 2385; else the bait is served.
            let signature = [&[19, 18][..], &[7; 16], &[1, 1]].concat();
            peer.data(0, &front.decoy("GET", ""))
                .tcp_options(&signature)
                .send()?;
            in_pieces(peer, &front.denied("GET", ""), 60)
        },
    )
    .needs_a_guard(),
    Attack::new("R3-no-ack", "a bait without the ACK flag", |front, peer| {
        two_pieces(front, peer, |bait| bait.flags(0))
    }),
    Attack::new(
        "R3-other-host",
        "a bait for another Ethernet address",
        |front, peer| two_pieces(front, peer, |bait| bait.to_ethernet([2, 0, 0, 0, 0, 0x77])),
    ),
    Attack::new(
        "R3-vlan",
        "a bait in a VLAN the server is not in",
        |front, peer| two_pieces(front, peer, |bait| bait.tag(0x8100, 5)),
    ),
    Attack::new(
        "R3-ip-option",
        "a bait with a broken IPv4 option",
        |front, peer| two_pieces(front, peer, |bait| bait.ip_options(&[7, 0, 4, 0])),
    ),
    Attack::new(
        "R3-short",
        "a bait whose IP length ends in the TCP header",
        |front, peer| two_pieces(front, peer, |bait| bait.ip_length(30)),
    ),
    Attack::new(
        "R3-too-long",
        "a bait whose IP length is beyond the frame",
        |front, peer| two_pieces(front, peer, |bait| bait.ip_length(1_400)),
    ),
    Attack::new(
        "R3-discard",
        "a bait with an IPv6 option that asks to be discarded",
        |front, peer| {
            two_pieces(front, peer, |bait| {
                bait.extension(HOP_BY_HOP, &[0x5e, 4, 0, 0, 0, 0])
            })
        },
    )
    .ipv6(),
    Attack::new(
        "R3-route",
        "a bait with an IPv6 route that is not at its end",
        |front, peer| {
            let route = [&[0, 1, 0, 0, 0, 0][..], &[0xfd; 16]].concat();
            peer.data(0, &front.decoy("GET", ""))
                .extension(ROUTING, &route)
                .send()?;
            in_pieces(peer, &front.denied("GET", ""), 60)
        },
    )
    .ipv6(),
    Attack::new(
        "R3-fragment",
        "a bait of which only the first fragment comes",
        |front, peer| {
            // Cut far behind its end it would be whole: the rest is a fragment of nothing.
            let bait = peer.data(0, &front.decoy("GET", ""));
            bait.fragments(&[64]).only_first().send()?;
            in_pieces(peer, &front.denied("GET", ""), 60)
        },
    ),
    Attack::new(
        "R3-pieces",
        "a bait with many chunks, of which one is the last when it comes again",
        |front, peer| {
            // As long as a chunk and its size is the end of the body and a request.
            let head = front.passed("POST", "Transfer-Encoding: chunked\r\n");
            let denied = front.denied("GET", "");
            let end = [b"0\r\n\r\n", &denied[..]].concat();
            let chunk = |size: usize| format!("{size:04x}\r\n{}\r\n", "c".repeat(size));
            let length = end.len() - chunk(0).len();
            let bait = [head.clone(), chunk(length).repeat(7).into_bytes()].concat();
            let real = [head, chunk(length).repeat(5).into_bytes(), end].concat();
            peer.data(0, &bait).bad_checksum().send()?;
            peer.data(0, &real[..700]).send()?;
            peer.data(700, &real[700..]).send()
        },
    ),
    Attack::new(
        "R3-ancient",
        "a bait that acknowledges what was received long ago",
        |front, peer| {
            // The server has sent more than a window since then.
            let many = front.passed("GET", "").repeat(900);
            peer.deliver(&many, 1_400, Duration::from_secs(2))?;
            peer.settle()?;
            let place = peer.acked()?.cast_signed();
            let back = -i32::try_from(peer.received().len())?;
            let bait = peer.data(place, &front.decoy("GET", ""));
            bait.acknowledging(back).send()?;
            let denied = front.denied("GET", "");
            peer.data(place, &denied[..90]).send()?;
            peer.data(place + 90, &denied[90..]).send()
        },
    ),
];

/// A bait that the server ignores for this reason, and then the rest in two pieces.
fn two_pieces(front: &Front<'_>, peer: &Peer, spoil: fn(Segment) -> Segment) -> Result<()> {
    spoil(peer.data(0, &front.decoy("GET", ""))).send()?;
    let denied = front.denied("GET", "");
    in_pieces(peer, &denied, denied.len() / 2 + 10)
}

/// One piece behind the other.
fn in_pieces(peer: &Peer, bytes: &[u8], length: usize) -> Result<()> {
    bytes
        .chunks(length)
        .enumerate()
        .try_for_each(|(number, piece)| peer.data(place(length * number), piece).send())
}
