//! Upgrades and tunnels, where a service allows none.

use super::Attack;

pub(super) const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(super) const ALL: &[Attack] = &[
    Attack::new(
        "R9-ignored",
        "an upgrade the server ignores, and then a request",
        |front, peer| {
            let upgrade = front.passed("GET", WEBSOCKET);
            peer.deliver(&upgrade, 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new("R9-at-once", "the same in one segment", |front, peer| {
        peer.data(
            0,
            &[front.passed("GET", WEBSOCKET), front.denied("GET", "")].concat(),
        )
        .send()
    }),
    Attack::new("R9-body", "an upgrade with a body", |front, peer| {
        let more = format!("{WEBSOCKET}Content-Length: 5\r\n");
        let upgrade = front.passed("POST", &more);
        peer.data(
            0,
            &[&upgrade, &b"hello"[..], &front.denied("GET", "")].concat(),
        )
        .send()
    }),
    Attack::new(
        "R9-second",
        "an upgrade that is not the first request",
        |front, peer| {
            let upgrade = front.passed("GET", WEBSOCKET);
            peer.data(
                0,
                &[front.passed("GET", ""), upgrade, front.denied("GET", "")].concat(),
            )
            .send()
        },
    ),
    Attack::new("R9-h2c", "an upgrade to HTTP/2", |front, peer| {
        let more =
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
        peer.data(
            0,
            &[front.passed("GET", more), front.denied("GET", "")].concat(),
        )
        .send()
    }),
    Attack::new("R9-two", "an upgrade to this or that", |front, peer| {
        let more = "Connection: Upgrade\r\nUpgrade: websocket, foo\r\nUpgrade: h2c\r\n";
        peer.data(
            0,
            &[front.passed("GET", more), front.denied("GET", "")].concat(),
        )
        .send()
    }),
    Attack::new(
        "R9-connect",
        "a tunnel the server does not make",
        |front, peer| {
            let connect = format!(
                "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
                front.ground.good
            );
            peer.data(0, &[connect.into_bytes(), front.denied("GET", "")].concat())
                .send()
        },
    ),
    Attack::new(
        "R9-expect",
        "an expectation that is refused, and a body that is a request",
        |front, peer| {
            let denied = front.denied("GET", "");
            let more = format!(
                "Expect: 100-continue, foo\r\nContent-Length: {}\r\n",
                denied.len()
            );
            peer.deliver(&front.passed("POST", &more), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&denied, 1_460, SHORT).map(drop)
        },
    )
    .needs_a_guard(),
];

pub(super) const SHORT: std::time::Duration = std::time::Duration::from_millis(300);
