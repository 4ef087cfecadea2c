//! The PROXY protocol's header before the first request.

use std::time::Duration;

use anyhow::{Result, ensure};
use token_agent_tests::{
    ground::{Ground, Way, each},
    host::Pair,
    raw::Peer,
    servers::{Door, Make},
};

use super::{Attack, Front, attempt, place};

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 1111 80\r\n";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 1111 80\r\n";
const V1_UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Those that ask for it.
const MAKES: [Make; 2] = [Make::Haproxy, Make::Nginx];

/// A header of version 2, with a command, over TCP and IPv4, with so many bytes of other content.
fn v2(command: u8, more: usize) -> Vec<u8> {
    let length = u16::try_from(12 + more).expect("a short header");
    let mut header = SIGNATURE.to_vec();
    header.extend([0x20 | command, 0x11]);
    header.extend(length.to_be_bytes());
    header.extend([192, 0, 2, 1, 192, 0, 2, 2, 4, 87, 0, 80]);
    if more > 0 {
        // One field, of no known kind.
        let length = u16::try_from(more - 3).expect("a short field");
        header.push(0xe0);
        header.extend(length.to_be_bytes());
        header.resize(header.len() + more - 3, b'\n');
    }
    header
}

const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const ALL: &[Attack] = &[
    Attack::new(
        "P-v1",
        "a header of version 1, and a request",
        |front, _| in_cuts(front, &[V1, &front.denied("GET", "")].concat()),
    ),
    Attack::new(
        "P-v2",
        "a header of version 2, and a request",
        |front, _| {
            in_cuts(
                front,
                &[&v2(PROXY, 300)[..], &front.denied("GET", "")].concat(),
            )
        },
    ),
    Attack::new(
        "P-second",
        "a header, a valid request and another",
        |front, _| {
            let (passed, denied) = (front.passed("GET", ""), front.denied("GET", ""));
            in_cuts(front, &[V1, &passed, &denied].concat())
        },
    ),
    Attack::new(
        "P-bait",
        "a bait of a longer header than comes",
        |front, _| {
            let denied = front.denied("GET", "");
            let mut peer = connect(front)?;
            peer.data(0, &v2(PROXY, denied.len())[..28])
                .bad_checksum()
                .send()?;
            let header = v2(PROXY, 0);
            peer.data(0, &header).send()?;
            peer.data(place(header.len()), &denied).send()?;
            peer.settle()
        },
    ),
    Attack::new(
        "P-twice",
        "a header, another in its place, and a request",
        |front, _| {
            let mut peer = connect(front)?;
            peer.data(0, &v2(PROXY, 100)).bad_checksum().send()?;
            peer.data(0, &[V1, &front.denied("GET", "")].concat())
                .send()?;
            peer.settle()
        },
    ),
    Attack::new("P-none", "no header", |front, _| {
        in_cuts(front, &front.denied("GET", ""))
    })
    .needs_a_guard(),
    Attack::new(
        "P-long",
        "a header of version 1 that is too long",
        |front, _| {
            let header = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
            in_cuts(
                front,
                &[header.as_bytes(), &front.denied("GET", "")].concat(),
            )
        },
    )
    .needs_a_guard(),
];

fn connect(front: &Front<'_>) -> Result<Peer> {
    let mut peer = front.ground.wire.peer(front.make.address(Door::Proxy))?;
    peer.connect()?;
    Ok(peer)
}

/// Whole and in small pieces.
fn in_cuts(front: &Front<'_>, bytes: &[u8]) -> Result<()> {
    for cut in [1_460, 5] {
        let mut peer = connect(front)?;
        peer.deliver(bytes, cut, Duration::from_millis(300))?;
        peer.settle()?;
    }
    Ok(())
}

#[test]
fn all_fail_behind_a_header() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded(&pair, way)?;
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
        let is_served = served.iter().any(|(id, _)| *id == attack.id);
        ensure!(!attack.is_real || is_served, "{} is not served", attack.id);
    }
    Ok(())
}

/// How many of two requests are answered behind each honest header, which these servers want in one piece.
fn answers(ground: &Ground<'_>) -> Result<Vec<(String, usize)>> {
    let headers = [
        V1.to_vec(),
        V1_IPV6.to_vec(),
        V1_UNKNOWN.to_vec(),
        v2(PROXY, 0),
        v2(PROXY, 400),
        v2(LOCAL, 0),
    ];
    let request = super::request("GET", "passed", "proxied", &ground.good, "");
    let mut jobs = Vec::new();
    for header in &headers {
        for make in MAKES {
            for cut in [1_460, 5, 1] {
                jobs.push((header, make, cut));
            }
        }
    }
    each(&jobs, |&(header, make, cut)| -> Result<_> {
        let mut peer = ground.wire.peer(make.address(Door::Proxy))?;
        peer.connect()?;
        // Then the first one comes with it.
        let with = if cut > request.len() {
            &request[..]
        } else {
            &[]
        };
        let begin = [&header[..], with].concat();
        let rest = request.repeat(2).split_off(with.len());
        peer.deliver(&begin, 1_460, Duration::from_secs(3))?;
        peer.deliver(&rest, cut, Duration::from_secs(3))?;
        peer.settle()?;
        let text = String::from_utf8_lossy(peer.received()).into_owned();
        let name = format!(
            "\"{}\" and cuts of {cut} at {make:?}",
            header.escape_ascii()
        );
        Ok((name, text.matches("HTTP/1.1 200").count()))
    })
    .into_iter()
    .collect()
}

#[test]
fn honest_headers_pass() -> Result<()> {
    let pair = Pair::new()?;
    let expected = answers(&Ground::unguarded(&pair)?)?;
    let most = expected.iter().filter(|(_, count)| *count == 2).count();
    ensure!(
        most > expected.len() / 2,
        "even without a guard: {expected:?}"
    );
    for way in Way::ALL {
        let pair = way.pair()?;
        let got = answers(&Ground::guarded(&pair, way)?)?;
        for ((name, expected), (_, got)) in expected.iter().zip(got) {
            ensure!(
                got == *expected,
                "{name} on {way}: {got} answers, without a guard {expected}"
            );
        }
    }
    Ok(())
}
