//! Attacks on servers whose network is set otherwise.

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    ground::{Ground, Way, set},
    host::Pair,
    raw::{FAST_OPEN, MPTCP, Peer, fast_open, mptcp_capable},
    servers::{Door, Make},
};

use super::{Attack, attempt, place};

const WITH_COOKIES: &[Attack] = &[
    Attack::new(
        "R1-cookies",
        "two beginnings, and a bait that binds the other one",
        |front, peer| {
            // One stream's body is the other's beginning.
            let bait = front.passed("POST", "Content-Length: 10000\r\n");
            peer.syn().send()?;
            peer.is_offered()?;
            peer.restart(place(bait.len()));
            peer.syn().send()?;
            peer.is_offered()?;
            peer.take_up(0)?;
            peer.ack().bad_checksum().send()?;
            peer.data(0, &bait).bad_checksum().send()?;
            peer.take_up(1)?;
            peer.ack().send()?;
            peer.data(0, &front.denied("GET", "")).send()
        },
    )
    .with_handshake(),
    Attack::new(
        "R1-cookies-many",
        "more beginnings than are kept",
        |front, peer| {
            for _ in 0..6 {
                peer.syn().send()?;
                peer.is_offered()?;
                peer.restart(1_000);
            }
            peer.take_up(0)?;
            peer.ack().send()?;
            let denied = front.denied("GET", "");
            peer.data(0, &denied[..60]).send()?;
            peer.data(60, &denied[60..]).send()
        },
    )
    .with_handshake(),
];

/// With a variable of the server's network set.
fn with(pair: Pair, variable: &str, value: &str) -> Result<Pair> {
    set(&pair, variable, value)?;
    Ok(pair)
}

#[test]
fn syn_cookies() -> Result<()> {
    let with_cookies = |pair| with(pair, "ipv4/tcp_syncookies", "2");
    {
        let pair = with_cookies(Pair::new()?)?;
        let ground = Ground::unguarded(&pair)?;
        let served = attempt(&ground, WITH_COOKIES)?;
        for attack in WITH_COOKIES {
            ensure!(
                served.iter().any(|(id, _)| *id == attack.id),
                "{} is not served",
                attack.id
            );
        }
    }
    for way in Way::ALL {
        let pair = with_cookies(way.pair()?)?;
        let ground = Ground::guarded(&pair, way)?;
        let served = attempt(&ground, WITH_COOKIES)?;
        ensure!(served.is_empty(), "on {way}: {served:?}");
    }
    Ok(())
}

/// What the server answers to a SYN that asks for something, and whether a plain request then is served.
fn ask(ground: &Ground<'_>, port: u16, option: &[u8], kind: u8) -> Result<bool> {
    let mut peer: Peer = ground.wire.peer(([10, 77, 0, 2], port).into())?;
    peer.connect_with(option)?;
    let is_granted = peer
        .offers()
        .last()
        .is_some_and(|offer| offer.option(kind).is_some());
    let request = super::request("GET", "passed", "asked", &ground.good, "");
    // Multipath TCP would need its options on the data, too.
    if !is_granted || kind != MPTCP {
        peer.deliver(&request, 1_460, std::time::Duration::from_secs(5))?;
        peer.settle()?;
        ensure!(peer.is_answered(), "the request is not answered");
    }
    Ok(is_granted)
}

/// TCP Fast Open would bring data on a SYN, and Multipath TCP data on another connection.
#[test]
fn what_evades_the_guard_is_not_granted() -> Result<()> {
    let with_fast_open = |pair| with(pair, "ipv4/tcp_fastopen", "3");
    // Behind other options, too, as far as there is room.
    let hidden = [vec![1; 36], mptcp_capable()].concat();
    let questions = [
        (
            "a Fast Open cookie",
            Make::Python.port(Door::Web),
            fast_open(b""),
            FAST_OPEN,
        ),
        (
            "Multipath TCP",
            Door::Web.multipath_listener(),
            mptcp_capable(),
            MPTCP,
        ),
        (
            "Multipath TCP, hidden",
            Door::Web.multipath_listener(),
            hidden,
            MPTCP,
        ),
    ];
    {
        let pair = with_fast_open(Pair::new()?)?;
        let ground = Ground::unguarded(&pair)?;
        for (what, port, option, kind) in &questions {
            ensure!(
                ask(&ground, *port, option, *kind)?,
                "the server knows no {what}"
            );
        }
    }
    let mut granted = Vec::new();
    for way in Way::ALL {
        let pair = with_fast_open(way.pair()?)?;
        let ground = Ground::guarded(&pair, way)?;
        for (what, port, option, kind) in &questions {
            if ask(&ground, *port, option, *kind).with_context(|| format!("{what} on {way}"))? {
                granted.push(format!("{what} on {way}"));
            }
        }
    }
    ensure!(granted.is_empty(), "granted: {granted:?}");
    Ok(())
}
