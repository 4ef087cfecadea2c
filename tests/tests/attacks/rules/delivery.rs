//! What passed and is not received yet; ends; and what is left of what was denied.

use std::{thread, time::Duration};

use token_agent_tests::raw::flags::{ACK, FIN, PSH};

use super::{Attack, place, request};

/// Longer than a head may have passed and not be received.
const LONG: Duration = Duration::from_millis(2_200);

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "R4-hole",
        "a head behind a hole, which is filled when its token is revoked",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let head = request("GET", "denied", front.id, &token, "");
            peer.data(0, &head[..1]).bad_checksum().send()?;
            peer.data(1, &head[1..]).send()?;
            revoke()?;
            thread::sleep(LONG);
            peer.data(0, &head[..1]).send()
        },
    ),
    Attack::new(
        "R4-kept",
        "the same, with probes and repetitions in between",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let head = request("GET", "denied", front.id, &token, "");
            peer.data(0, &head[..1]).bad_checksum().send()?;
            peer.data(1, &head[1..]).send()?;
            revoke()?;
            for _ in 0..8 {
                peer.pause(LONG / 8)?;
                peer.segment(ACK, -1, b"").send()?;
                peer.data(1, &head[1..]).send()?;
            }
            peer.data(0, &head[..1]).send()
        },
    ),
    Attack::new(
        "R4-expired",
        "a head behind a hole, which is filled when its token has expired",
        |front, peer| {
            let (token, _) = front.token_for("2s")?;
            let head = request("GET", "denied", front.id, &token, "");
            let cut = head.len() / 2;
            peer.data(0, &head[..cut]).bad_checksum().send()?;
            peer.data(place(cut), &head[cut..]).send()?;
            thread::sleep(LONG + LONG / 2);
            peer.data(0, &head[..cut]).send()
        },
    ),
    Attack::new(
        "R4-second",
        "the second of two requests behind a hole in the first",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let passed = front.passed("GET", "");
            let denied = request("GET", "denied", front.id, &token, "");
            peer.data(0, &passed[..9]).bad_checksum().send()?;
            peer.data(9, &passed[9..]).send()?;
            peer.data(place(passed.len()), &denied).send()?;
            revoke()?;
            thread::sleep(LONG);
            peer.data(0, &passed[..9]).send()
        },
    ),
    Attack::new(
        "R4-begun",
        "a head begun before its token is revoked, and ended after",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let head = request("GET", "denied", front.id, &token, "");
            let cut = head.len() - 2;
            peer.data(0, &head[..cut]).send()?;
            peer.pause(Duration::from_millis(50))?;
            revoke()?;
            peer.data(place(cut), &head[cut..]).send()
        },
    ),
    Attack::new(
        "R5-fin",
        "a head without its end, and a FIN with it",
        |front, peer| {
            let denied = front.denied("GET", "");
            peer.data(0, &denied[..denied.len() - 2]).and(FIN).send()
        },
    ),
    Attack::new(
        "R5-fin-alone",
        "the same, and the FIN behind it",
        |front, peer| {
            let denied = front.denied("GET", "");
            let end = denied.len() - 2;
            peer.data(0, &denied[..end]).send()?;
            peer.fin(place(end)).send()
        },
    ),
    Attack::new(
        "R5-fin-first",
        "the same, and the FIN before it",
        |front, peer| {
            let denied = front.denied("GET", "");
            let end = denied.len() - 2;
            peer.fin(place(end)).send()?;
            peer.data(0, &denied[..end]).send()
        },
    ),
    Attack::new(
        "R5-fin-data",
        "a FIN with the last bytes of a head without its end",
        |front, peer| {
            let denied = front.denied("GET", "");
            let end = denied.len() - 2;
            peer.data(0, &denied[..end - 10]).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.data(place(end - 10), &denied[end - 10..end])
                .and(FIN)
                .send()
        },
    ),
    Attack::new(
        "R5-fin-denied",
        "a FIN where the denied end of a head would be",
        |front, peer| {
            let denied = front.denied("GET", "");
            let end = denied.len() - 2;
            peer.data(0, &denied[..end]).send()?;
            peer.data(place(end), &denied[end..])
                .bad_checksum()
                .send()?;
            peer.fin(place(end)).send()
        },
    ),
    Attack::new(
        "R5-line",
        "nothing but a request line, and a FIN",
        |front, peer| {
            let line = format!("GET /denied-{}\r\n", front.id);
            peer.data(0, line.as_bytes()).and(FIN).send()
        },
    ),
    Attack::new(
        "R5-spoilt-fin",
        "a FIN with a bad checksum, and a request behind it",
        |front, peer| {
            let passed = front.passed("GET", "");
            let end = place(passed.len());
            peer.data(0, &passed).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.fin(end).bad_checksum().send()?;
            let denied = front.denied("GET", "");
            peer.data(end, &denied[..60]).send()?;
            peer.data(end + 60, &denied[60..]).send()
        },
    ),
    Attack::new("R5-spoilt-rst", "the same with a RST", |front, peer| {
        let passed = front.passed("GET", "");
        let end = place(passed.len());
        peer.data(0, &passed).send()?;
        peer.pause(Duration::from_millis(50))?;
        peer.rst(end).bad_checksum().send()?;
        let denied = front.denied("GET", "");
        peer.data(end, &denied[..60]).send()?;
        peer.data(end + 60, &denied[60..]).send()
    }),
    Attack::new(
        "R6-split",
        "two requests at once, the second again, and then the first",
        |front, peer| {
            let (passed, denied) = (front.passed("GET", ""), front.denied("GET", ""));
            peer.data(0, &[&passed[..], &denied].concat())
                .bad_checksum()
                .send()?;
            peer.data(place(passed.len()), &denied).send()?;
            peer.data(0, &passed).send()
        },
    ),
    Attack::new(
        "R6-last",
        "the end of a denied head, in every way",
        |front, peer| {
            let denied = front.denied("GET", "");
            let end = denied.len() - 2;
            peer.data(0, &denied[..40]).send()?;
            peer.data(40, &denied[40..end]).send()?;
            peer.data(place(end), b"\r\n").and(FIN).send()?;
            peer.data(place(end), b"\r").send()?;
            peer.data(place(end + 1), b"\n").send()?;
            peer.data(place(end - 1), b"\n\r").send()?;
            peer.data(place(end - 1), b"\n\r\n")
                .flags(PSH | ACK | FIN)
                .send()
        },
    ),
    Attack::new("R6-bytes", "a denied head, byte by byte", |front, peer| {
        let denied = front.denied("GET", "");
        peer.deliver(&denied, 1, Duration::from_millis(300))
            .map(drop)
    }),
    Attack::new(
        "R4-body",
        "a head behind a hole in the body before it",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let denied = request("GET", "denied", front.id, &token, "");
            let stream = [&post, &[b'b'; 100][..], &denied].concat();
            let (hole, rest) = (place(post.len()), place(post.len() + 50));
            peer.data(0, &post).send()?;
            peer.data(hole, &[b'b'; 50]).bad_checksum().send()?;
            peer.data(rest, &stream[post.len() + 50..]).send()?;
            revoke()?;
            thread::sleep(LONG);
            peer.data(hole, &[b'b'; 50]).send()
        },
    ),
    Attack::new("R4-chunk", "the same with a chunk", |front, peer| {
        let (token, revoke) = front.token()?;
        let post = front.passed("POST", "Transfer-Encoding: chunked\r\n");
        let denied = request("GET", "denied", front.id, &token, "");
        let body = [b"64\r\n", &[b'c'; 100][..], b"\r\n0\r\n\r\n", &denied].concat();
        let hole = place(post.len());
        peer.data(0, &post).send()?;
        peer.data(hole, &body[..60]).bad_checksum().send()?;
        peer.data(hole + 60, &body[60..]).send()?;
        revoke()?;
        thread::sleep(LONG);
        peer.data(hole, &body[..60]).send()
    }),
    Attack::new(
        "R4-renewed",
        "a head behind a hole, and others on both sides of it that come later",
        |front, peer| {
            let (token, revoke) = front.token()?;
            let passed = front.passed("GET", "");
            let denied = request("GET", "denied", front.id, &token, "");
            let (first, second) = (place(passed.len()), place(passed.len() + denied.len()));
            // Neither the first nor the beginning of the second is received.
            peer.data(0, &passed).bad_checksum().send()?;
            peer.data(first, &denied[..9]).bad_checksum().send()?;
            peer.data(first + 9, &denied[9..]).send()?;
            revoke()?;
            let mut last = second;
            for _ in 0..4 {
                peer.pause(Duration::from_millis(800))?;
                peer.data(last, &passed).send()?;
                last += place(passed.len());
                peer.data(0, &passed).send()?;
            }
            peer.data(first, &denied[..9]).send()
        },
    ),
    Attack::new(
        "R5-body",
        "a FIN with a bad checksum within a body, which goes on",
        |front, peer| {
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let stream = [&post, &[b'b'; 100][..], &front.denied("GET", "")].concat();
            let cut = post.len() + 50;
            peer.data(0, &stream[..cut]).send()?;
            peer.fin(place(cut)).bad_checksum().send()?;
            peer.data(place(cut), &stream[cut..cut + 80]).send()?;
            peer.data(place(cut + 80), &stream[cut + 80..]).send()
        },
    ),
    Attack::new(
        "R5-body-ahead",
        "a FIN ahead within a body, and another end of it",
        |front, peer| {
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let stream = [&post, &[b'b'; 100][..], &front.denied("GET", "")].concat();
            let end = stream.len() - 2;
            peer.data(0, &post).send()?;
            peer.fin(place(post.len() + 60)).bad_checksum().send()?;
            peer.data(place(post.len()), &stream[post.len()..end])
                .and(FIN)
                .send()
        },
    ),
];
