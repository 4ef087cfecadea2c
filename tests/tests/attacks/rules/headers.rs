//! Headers that make the server see another stream.

use anyhow::Result;
use token_agent_tests::raw::{
    Peer,
    flags::{ACK, FIN, PSH, SYN, URG},
};

use super::{Attack, Front, find, place};

const DESTINATION: u8 = 60;
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "R8-urgent",
        "an urgent byte in the middle",
        |front, peer| {
            let (stream, urgent) = with_urgent_byte(front);
            peer.data(0, &stream).urgent(urgent).send()
        },
    ),
    Attack::new(
        "R8-urgent-ack",
        "an urgent byte told of by an empty segment",
        |front, peer| {
            let (stream, urgent) = with_urgent_byte(front);
            peer.segment(ACK, 0, b"").urgent(urgent).send()?;
            peer.data(0, &stream).send()
        },
    ),
    Attack::new(
        "R8-urgent-third",
        "an urgent byte told of by the third packet",
        |front, peer| {
            peer.syn().send()?;
            peer.is_offered()?;
            let (stream, urgent) = with_urgent_byte(front);
            peer.segment(ACK, 0, b"").urgent(urgent).send()?;
            peer.data(0, &stream).send()
        },
    )
    .with_handshake(),
    Attack::new(
        "R8-urgent-probe",
        "an urgent byte told of by a probe",
        |front, peer| {
            let (stream, urgent) = with_urgent_byte(front);
            // In sequence the probe is one byte behind.
            peer.segment(ACK, -1, b"").urgent(urgent + 1).send()?;
            peer.data(0, &stream).send()
        },
    )
    .needs_a_guard(),
    Attack::new(
        "R8-urgent-apart",
        "an urgent byte told of by the segment before",
        |front, peer| {
            let (stream, urgent) = with_urgent_byte(front);
            peer.data(0, &stream[..10]).urgent(urgent).send()?;
            peer.data(10, &stream[10..]).send()
        },
    ),
    Attack::new(
        "R8-flags",
        "baits with every odd set of flags",
        |front, peer| {
            let decoy = front.decoy("GET", "");
            for flags in [
                0,
                PSH,
                FIN,
                SYN,
                SYN | FIN,
                SYN | ACK | PSH,
                URG,
                FIN | PSH | URG,
            ] {
                peer.data(0, &decoy).flags(flags).send()?;
            }
            in_two(front, peer)
        },
    ),
    Attack::new(
        "R8-fragments",
        "a head in fragments, the token in the second",
        |front, peer| {
            peer.data(0, &front.denied("GET", ""))
                .fragments(&[88, 120])
                .send()
        },
    ),
    Attack::new("R8-fragments-v6", "the same over IPv6", |front, peer| {
        peer.data(0, &front.denied("GET", ""))
            .fragments(&[88, 120])
            .send()
    })
    .ipv6(),
    Attack::new(
        "R8-chain",
        "more IPv6 extension headers than anyone uses",
        |front, peer| {
            let mut segment = peer.data(0, &front.denied("GET", ""));
            for _ in 0..14 {
                segment = segment.extension(DESTINATION, &PADDING);
            }
            segment.send()
        },
    )
    .ipv6(),
    Attack::new(
        "R8-tags",
        "more VLAN tags than anyone uses, all of no VLAN",
        |front, peer| {
            let mut segment = peer.data(0, &front.denied("GET", ""));
            for _ in 0..5 {
                segment = segment.tag(0x8100, 0);
            }
            segment.send()
        },
    )
    .needs_a_guard(),
    Attack::new("R8-tag", "two VLAN tags of no VLAN", |front, peer| {
        let segment = peer.data(0, &front.denied("GET", ""));
        segment.tag(0x88a8, 0).tag(0x8100, 0).send()
    }),
    Attack::new(
        "R8-options",
        "all the options there is room for",
        |front, peer| {
            peer.data(0, &front.denied("GET", ""))
                .ip_options(&[1; 40])
                .tcp_options(&[1; 40])
                .send()
        },
    ),
    Attack::new(
        "R8-trailer",
        "a valid token behind the packet's end",
        |front, peer| {
            let denied = front.denied("GET", "");
            let cut = find(&denied, "tka_");
            let trailer = format!("{}\r\n\r\n", front.ground.good);
            peer.data(0, &denied[..cut])
                .trailer(trailer.as_bytes())
                .send()?;
            peer.data(place(cut), &denied[cut..cut + 20]).send()?;
            peer.data(place(cut + 20), &denied[cut + 20..]).send()
        },
    ),
    Attack::new(
        "R8-header",
        "a valid request in the TCP options",
        |front, peer| {
            let denied = front.denied("GET", "");
            peer.data(0, &denied[..50])
                .tcp_options(b"GET / HTTP/1.1\r\n")
                .send()?;
            peer.data(50, &denied[50..]).send()
        },
    ),
];

/// A request of which the guard sees one token and the server, which takes out the
/// urgent byte, another before it. And the pointer to that byte from the stream's beginning.
fn with_urgent_byte(front: &Front<'_>) -> (Vec<u8>, u16) {
    let revoked = format!("Authorization!: Bearer {}\r\n", front.ground.revoked);
    let head = front.decoy("GET", "");
    let at = find(&head, "Authorization");
    let stream = [&head[..at], revoked.as_bytes(), &head[at..]].concat();
    let urgent = find(&stream, "!") + 1;
    (stream, u16::try_from(urgent).expect("a short stream"))
}

fn in_two(front: &Front<'_>, peer: &Peer) -> Result<()> {
    let denied = front.denied("GET", "");
    peer.data(0, &denied[..70]).send()?;
    peer.data(70, &denied[70..]).send()
}
