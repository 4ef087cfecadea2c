//! Pipelines of valid and denied requests, cut everywhere.

use std::{thread, time::Duration};

use anyhow::Result;
use token_agent_tests::raw::{Peer, Segment};

use super::{Attack, Front, place};

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "M-cuts",
        "a valid and a denied request, cut in two anywhere",
        |front, _| {
            let stream = [front.passed("GET", ""), front.denied("GET", "")].concat();
            everywhere(front, &stream, 5)
        },
    ),
    Attack::new(
        "M-body",
        "a request with a body and a denied one, cut in two anywhere",
        |front, _| {
            let post = front.passed("POST", "Content-Length: 20\r\n");
            let stream = [&post, &[b'b'; 20][..], &front.denied("GET", "")].concat();
            everywhere(front, &stream, 7)
        },
    ),
    Attack::new(
        "M-chunks",
        "a request with chunks and a denied one, cut in two anywhere",
        |front, _| {
            let post = front.passed("POST", "Transfer-Encoding: chunked\r\n");
            let chunks = b"5\r\nhello\r\nA;x=y\r\nhellohello\r\n0\r\nX: y\r\n\r\n";
            let stream = [&post, &chunks[..], &front.denied("GET", "")].concat();
            everywhere(front, &stream, 7)
        },
    ),
    Attack::new(
        "M-between",
        "a denied request between valid ones",
        |front, peer| {
            let (passed, denied) = (front.passed("GET", ""), front.denied("GET", ""));
            peer.data(0, &[&passed[..], &denied, &passed].concat())
                .send()
        },
    ),
    Attack::new(
        "M-bytes",
        "a valid and a denied request, byte by byte",
        |front, peer| {
            let stream = [front.passed("GET", ""), front.denied("GET", "")].concat();
            peer.deliver(&stream, 1, Duration::from_millis(300))
                .map(drop)
        },
    ),
    Attack::new(
        "M-blank",
        "a line end in a segment of its own between them",
        |front, peer| {
            let (passed, denied) = (front.passed("GET", ""), front.denied("GET", ""));
            let stream = [&passed[..], b"\r\n", &denied].concat();
            for part in [passed.len(), 1, 1, denied.len()]
                .iter()
                .scan(0, |at, length| {
                    let start = *at;
                    *at += length;
                    Some(start..*at)
                })
            {
                peer.data(place(part.start), &stream[part]).send()?;
            }
            Ok(())
        },
    ),
    Attack::new(
        "M-head",
        "an answer without a body, and a denied request",
        |front, peer| {
            peer.data(
                0,
                &[front.passed("HEAD", ""), front.denied("GET", "")].concat(),
            )
            .send()
        },
    ),
    Attack::new(
        "M-many",
        "a hundred valid requests and a denied one",
        |front, peer| {
            let stream = [front.passed("GET", "").repeat(100), front.denied("GET", "")].concat();
            peer.deliver(&stream, 1_460, Duration::from_millis(400))
                .map(drop)
        },
    ),
    Attack::new(
        "M-revoked",
        "a token that is revoked between two requests",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let of = |kind| super::request("GET", kind, front.id, &token, "");
            peer.deliver(&of("passed"), 1_460, Duration::from_secs(2))?;
            peer.settle()?;
            revoke()?;
            peer.deliver(&of("denied"), 1_460, Duration::from_millis(300))
                .map(drop)
        },
    ),
];

/// Cut in two at every so many bytes, in order and the other way round, each on a connection of its own.
fn everywhere(front: &Front<'_>, stream: &[u8], step: usize) -> Result<()> {
    let mut peers = Vec::new();
    for cut in (1..stream.len()).step_by(step) {
        for is_reversed in [false, true] {
            let mut peer: Peer = front.ground.wire.peer(front.server())?;
            peer.connect()?;
            let mut parts = [
                peer.data(0, &stream[..cut]),
                peer.data(place(cut), &stream[cut..]),
            ];
            if is_reversed {
                parts.reverse();
            }
            parts.iter().try_for_each(Segment::send)?;
            peers.push(peer);
        }
    }
    for peer in &mut peers {
        peer.wait(Duration::from_millis(5), |_| false)?;
    }
    thread::sleep(Duration::from_millis(300));
    Ok(())
}
