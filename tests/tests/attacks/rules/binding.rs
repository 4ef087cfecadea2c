//! Whose connection it is, and which one.

use std::time::Duration;

use anyhow::Result;
use token_agent_tests::raw::{
    Peer, Segment,
    flags::{ACK, FIN, PSH, RST, SYN},
};

use super::{Attack, Front, find, place};

pub(super) const ALL: &[Attack] = &[
    Attack::new("R1-syn", "a SYN within a head", |front, peer| {
        within_head(front, peer, |peer, place| {
            vec![peer.segment(SYN, place, b"")]
        })
    }),
    Attack::new(
        "R1-syn-ahead",
        "a SYN ahead within the window",
        |front, peer| {
            within_head(front, peer, |peer, place| {
                vec![peer.segment(SYN, place + 1_000, b"")]
            })
        },
    ),
    Attack::new(
        "R1-syn-behind",
        "the connection's own SYN again",
        |front, peer| within_head(front, peer, |peer, _| vec![peer.syn()]),
    ),
    Attack::new("R1-syn-ack", "a SYN-ACK from the client", |front, peer| {
        within_head(front, peer, |peer, place| {
            vec![peer.segment(SYN | ACK, place, b"")]
        })
    }),
    Attack::new("R1-rst-ahead", "a RST one byte ahead", |front, peer| {
        within_head(front, peer, |peer, place| vec![peer.rst(place + 1)])
    }),
    Attack::new(
        "R1-rst-spoilt",
        "a RST with a bad checksum",
        |front, peer| {
            within_head(front, peer, |peer, place| {
                vec![peer.rst(place).bad_checksum()]
            })
        },
    ),
    Attack::new(
        "R1-rst-syn",
        "a RST and a SYN, both with bad checksums",
        |front, peer| {
            within_head(front, peer, |peer, place| {
                let syn = peer.segment(SYN, place - 1, b"");
                vec![peer.rst(place).bad_checksum(), syn.bad_checksum()]
            })
        },
    ),
    Attack::new("R1-fin-ahead", "a FIN far ahead", |front, peer| {
        within_head(front, peer, |peer, place| vec![peer.fin(place + 5_000)])
    }),
    Attack::new(
        "R1-fin-spoilt",
        "a FIN with a bad checksum",
        |front, peer| {
            within_head(front, peer, |peer, place| {
                vec![peer.fin(place).bad_checksum()]
            })
        },
    ),
    Attack::new(
        "R1-close",
        "a FIN and a RST that acknowledge all, with bad checksums",
        |front, peer| {
            within_head(front, peer, |peer, place| {
                let fin = peer.segment(FIN | ACK | PSH, place, b"").bad_checksum();
                let rst = peer.segment(RST | ACK, place + 1, b"").bad_checksum();
                vec![fin, rst]
            })
        },
    ),
    Attack::new(
        "R1-reuse",
        "a new connection in what was the old one's body",
        |front, peer| {
            body_begun(front, peer)?;
            peer.restart(-300);
            peer.connect()?;
            send_in_two(front, peer)
        },
    ),
    Attack::new(
        "R1-same",
        "a new connection with the old one's numbers",
        |front, peer| {
            let begun = body_begun(front, peer)?;
            peer.restart(begun);
            peer.connect()?;
            send_in_two(front, peer)
        },
    ),
    Attack::new(
        "R1-early",
        "data before the SYN-ACK can be known",
        |front, peer| {
            peer.syn().send()?;
            peer.data(0, &front.decoy("GET", ""))
                .acknowledging(12_345)
                .send()?;
            peer.is_offered()?;
            peer.ack().send()?;
            send_in_two(front, peer)
        },
    )
    .with_handshake(),
    Attack::new(
        "R1-shifted",
        "a bait that binds another beginning",
        |front, peer| {
            // Of the numbers that the guard saw in this SYN the server never heard.
            peer.syn().later(-200).bad_checksum().send()?;
            peer.connect()?;
            let bait = front.passed("POST", "Content-Length: 1000\r\n");
            peer.data(-200, &bait).bad_checksum().send()?;
            send_in_two(front, peer)
        },
    )
    .with_handshake(),
    Attack::new("R1-third", "a bait on the third packet", |front, peer| {
        peer.syn().send()?;
        peer.is_offered()?;
        peer.data(0, &front.decoy("GET", ""))
            .bad_checksum()
            .send()?;
        peer.ack().send()?;
        send_in_two(front, peer)
    })
    .with_handshake(),
    Attack::new("R1-none", "a connection that is none", |front, peer| {
        peer.data(0, &front.denied("GET", "")).send()
    })
    .with_handshake()
    .needs_a_guard(),
    Attack::new(
        "R1-close-again",
        "a RST with a bad checksum, and the beginning once more",
        |front, peer| {
            let denied = front.denied("GET", "");
            let cut = find(&denied, "tka_") + 48;
            peer.data(0, &denied[..cut]).send()?;
            peer.pause(Duration::from_millis(20))?;
            peer.rst(place(cut)).bad_checksum().send()?;
            peer.segment(ACK, 0, b"").send()?;
            peer.data(0, &front.decoy("GET", "")).send()
        },
    ),
];

/// Something within a denied head, right before its last four bytes.
fn within_head(
    front: &Front<'_>,
    peer: &mut Peer,
    what: fn(&Peer, i32) -> Vec<Segment>,
) -> Result<()> {
    let denied = front.denied("GET", "");
    let cut = denied.len() - 4;
    peer.data(0, &denied[..cut]).send()?;
    peer.pause(Duration::from_millis(20))?;
    for segment in what(peer, place(cut)) {
        segment.send()?;
    }
    peer.data(place(cut), &denied[cut..]).send()
}

/// A connection that ended in a body: how far it was.
fn body_begun(front: &Front<'_>, peer: &mut Peer) -> Result<i32> {
    let post = front.passed("POST", "Content-Length: 1000000\r\n");
    peer.data(0, &post).send()?;
    peer.data(place(post.len()), &[b'b'; 100]).send()?;
    peer.pause(Duration::from_millis(50))?;
    let end = place(post.len() + 100);
    peer.rst(end).send()?;
    peer.pause(Duration::from_millis(20))?;
    Ok(end)
}

/// A denied request, whole and then in two pieces.
fn send_in_two(front: &Front<'_>, peer: &Peer) -> Result<()> {
    let denied = front.denied("GET", "");
    let cut = denied.len() / 2;
    peer.data(0, &denied[..cut]).send()?;
    peer.data(place(cut), &denied[cut..]).send()
}
