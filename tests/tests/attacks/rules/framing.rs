//! Where one request ends and the next begins, beyond the catalogue.

use std::time::Duration;

use super::{Attack, place};

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "B21",
        "HTTP/2, without having asked for it",
        |front, peer| {
            let mut headers = vec![0x82, 0x86];
            // Literals without indexing: the path, an authority, the credential.
            let path = format!("/denied-{}", front.id);
            let credential = format!("Bearer {}", front.ground.revoked);
            for (index, value) in [(4, path.as_str()), (1, "a")] {
                headers.push(index);
                literal(&mut headers, value);
            }
            headers.push(0);
            literal(&mut headers, "authorization");
            literal(&mut headers, &credential);
            let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
            stream.extend([
                0,
                0,
                u8::try_from(headers.len()).unwrap_or(u8::MAX),
                1,
                5,
                0,
                0,
                0,
                1,
            ]);
            stream.extend(headers);
            peer.deliver(&stream, 1_460, Duration::from_millis(300))?;
            peer.pause(Duration::from_millis(300))
        },
    ),
    Attack::new(
        "B21-cut",
        "the same, cut within its preface",
        |front, peer| {
            let passed = front.passed("GET", "");
            peer.data(0, b"PRI * HT").send()?;
            peer.data(8, b"TP/2.0\r\n\r\nSM\r\n\r\n").send()?;
            peer.data(24, &[passed, front.denied("GET", "")].concat())
                .send()
        },
    )
    .needs_a_guard(),
    Attack::new("F-09", "a request of HTTP/0.9", |front, peer| {
        let line = format!("GET /denied-{}\r\n", front.id);
        peer.data(0, line.as_bytes()).send()
    }),
    Attack::new(
        "F-09-second",
        "the same behind a valid one",
        |front, peer| {
            let line = format!("GET /denied-{}\r\n", front.id);
            peer.data(0, &[front.passed("GET", ""), line.into_bytes()].concat())
                .send()
        },
    ),
    Attack::new(
        "F-tls",
        "the beginning of TLS, and then a request",
        |front, peer| {
            let hello = [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0];
            peer.data(0, &hello).send()?;
            peer.data(10, &front.denied("GET", "")).send()
        },
    )
    .needs_a_guard(),
    Attack::new(
        "F-blank",
        "nothing but line ends, and then a request",
        |front, peer| {
            let blank = b"\r\n".repeat(3);
            peer.data(0, &blank).send()?;
            peer.data(place(blank.len()), &front.denied("GET", ""))
                .send()
        },
    ),
    Attack::new(
        "F-huge",
        "a body longer than numbers are, and then a request",
        |front, peer| {
            let length = format!("Content-Length: {}\r\n", 1_u128 << 64);
            peer.data(
                0,
                &[front.passed("POST", &length), front.denied("GET", "")].concat(),
            )
            .send()
        },
    )
    .needs_a_guard(),
    Attack::new(
        "F-long-chunk",
        "a chunk longer than numbers are, and then a request",
        |front, peer| {
            let head = front.passed("POST", "Transfer-Encoding: chunked\r\n");
            let size = b"10000000000000005\r\nhello\r\n0\r\n\r\n";
            peer.data(0, &[&head, &size[..], &front.denied("GET", "")].concat())
                .send()
        },
    )
    .needs_a_guard(),
    Attack::new(
        "F-trailer",
        "a credential in a trailer, and then a request",
        |front, peer| {
            let head = front.passed("POST", "Transfer-Encoding: chunked\r\n");
            let end = format!(
                "0\r\nAuthorization: Bearer {}\r\n\r\n",
                front.ground.revoked
            );
            peer.data(
                0,
                &[head, end.into_bytes(), front.denied("GET", "")].concat(),
            )
            .send()
        },
    ),
    Attack::new(
        "F-underscore",
        "a valid token, and a revoked one under a name with an underscore",
        |front, peer| {
            let more = format!("X_API_Key: {}\r\n", front.ground.revoked);
            peer.data(0, &front.decoy("GET", &more)).send()
        },
    )
    .needs_a_guard(),
];

/// A string of HPACK, as it is.
fn literal(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).expect("a short text"));
    bytes.extend(text.bytes());
}
