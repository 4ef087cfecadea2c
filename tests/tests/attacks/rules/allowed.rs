//! Upgrades and tunnels where the service allows them: only what the server agrees to is opaque.

use anyhow::{Result, ensure};
use token_agent_tests::{
    client::Client,
    ground::{Ground, Guard, Way},
    host::{PATIENCE, Pair},
    servers::{Door, Make},
};

use super::{
    Attack, attempt, place,
    upgrades::{SHORT, WEBSOCKET},
};

const ALLOW: &str = "upgrade = [\"websocket\"]\nconnect = \"allow\"";

const ALL: &[Attack] = &[
    Attack::new(
        "U-ignored",
        "an upgrade the server ignores, and then a request",
        |front, peer| {
            peer.deliver(&front.passed("GET", WEBSOCKET), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new(
        "U-at-once",
        "an upgrade and a request in one segment",
        |front, peer| {
            peer.data(
                0,
                &[front.passed("GET", WEBSOCKET), front.denied("GET", "")].concat(),
            )
            .send()
        },
    ),
    Attack::new(
        "U-next",
        "an upgrade, and a request before the answer",
        |front, peer| {
            let upgrade = front.passed("GET", WEBSOCKET);
            peer.data(0, &upgrade).send()?;
            peer.data(place(upgrade.len()), &front.denied("GET", ""))
                .send()
        },
    ),
    Attack::new(
        "U-half",
        "an upgrade and half of a request, the rest after the answer",
        |front, peer| {
            let denied = front.denied("GET", "");
            let begin = [&front.passed("GET", WEBSOCKET), &denied[..60]].concat();
            peer.deliver(&begin, 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&denied[60..], 1_460, SHORT).map(drop)
        },
    ),
    Attack::new(
        "U-body",
        "an upgrade with a body, and then a request",
        |front, peer| {
            let more = format!("{WEBSOCKET}Content-Length: 5\r\n");
            let begin = [&front.passed("POST", &more), &b"hello"[..]].concat();
            peer.deliver(&begin, 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new(
        "U-second",
        "an upgrade behind another request, and then a request",
        |front, peer| {
            peer.deliver(&front.passed("GET", ""), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.passed("GET", WEBSOCKET), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new(
        "U-h2c",
        "an upgrade to HTTP/2, and then a request",
        |front, peer| {
            let more = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
            peer.deliver(&front.passed("GET", more), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new(
        "U-bait",
        "a bait that asks for an upgrade, a request that does not, and another",
        |front, peer| {
            let bait = front.passed("GET", WEBSOCKET);
            let plain = front.passed("GET", &WEBSOCKET.replace("Upgrade:", "X-Grade:"));
            peer.data(0, &bait).bad_checksum().send()?;
            peer.data(0, &plain).send()?;
            peer.settle()?;
            peer.data(place(plain.len()), &front.denied("GET", ""))
                .send()
        },
    ),
    Attack::new(
        "U-connect",
        "a tunnel the server refuses, and then a request",
        |front, peer| {
            let good = &front.ground.good;
            let connect =
                format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\n\r\n");
            peer.deliver(connect.as_bytes(), 1_460, SHORT)?;
            peer.settle()?;
            peer.deliver(&front.denied("GET", ""), 1_460, SHORT)
                .map(drop)
        },
    ),
    Attack::new(
        "U-connect-at-once",
        "the same in one segment",
        |front, peer| {
            let good = &front.ground.good;
            let connect =
                format!("CONNECT a:80 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\n\r\n");
            peer.data(0, &[connect.into_bytes(), front.denied("GET", "")].concat())
                .send()
        },
    ),
];

fn guard(way: Way) -> Guard<'static> {
    Guard {
        way,
        web: ALLOW,
        ..Guard::default()
    }
}

#[test]
fn all_fail_where_upgrades_are_allowed() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded_as(&pair, &guard(way))?;
        let served = attempt(&ground, ALL)?;
        let served: Vec<_> = served.into_iter().map(|(_, served)| served).collect();
        assert!(served.is_empty(), "on {way}:\n{}", served.join("\n"));
    }
    Ok(())
}

#[test]
fn all_succeed_without_a_guard() -> Result<()> {
    let pair = Pair::new()?;
    let served = attempt(&Ground::unguarded(&pair)?, ALL)?;
    for attack in ALL {
        ensure!(
            served.iter().any(|(id, _)| *id == attack.id),
            "{} is not served",
            attack.id
        );
    }
    Ok(())
}

/// E32: frames that look like requests, and come back as they are.
#[test]
fn websocket_frames_are_opaque() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded_as(&pair, &guard(way))?;
        let mut client = Client::connect(&pair.client, Make::Node.address(Door::Web))?;
        client.send(&super::request(
            "GET",
            "passed",
            "E32",
            &ground.good,
            WEBSOCKET,
        ))?;
        ensure!(client.answer(PATIENCE)? == 101, "no upgrade on {way}");
        let mut frames = b"\x82\x7e\xff\xff\0\r\n\r\n".to_vec();
        for _ in 0..300 {
            frames.extend(super::request("GET", "denied", "E32", &ground.revoked, ""));
        }
        client.send(&frames[..100])?;
        client.send(&frames[100..])?;
        let echo = client.read_exactly(frames.len(), PATIENCE)?;
        ensure!(echo == frames, "on {way} the frames came back otherwise");
    }
    Ok(())
}
