//! Tables that are full, and floods.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use token_agent_tests::{
    ground::{Ground, Guard, Way},
    raw::Peer,
    servers::{Door, Make},
};

use super::{attempt, bait, place, request};

/// Small, so that it is soon full.
const FLOWS: &str = "max_flows = 1024";
const BUFFERS: &str = "unacked_buffers = 64";

fn guard(way: Way, datapath: &str) -> Guard<'_> {
    Guard {
        way,
        datapath,
        ..Guard::default()
    }
}

/// Sends a request on a connection that stands; whether it is answered.
fn is_served(ground: &Ground<'_>, peer: &mut Peer) -> Result<bool> {
    let before = peer.received().len();
    let bytes = request("GET", "passed", "table", &ground.good, "");
    peer.deliver(&bytes, 1_460, Duration::from_secs(3))?;
    peer.wait(Duration::from_secs(3), |peer| {
        peer.received().len() > before
    })
}

fn connect(ground: &Ground<'_>) -> Result<Peer> {
    let mut peer = ground.wire.peer(Make::Nginx.address(Door::Web))?;
    peer.connect()?;
    Ok(peer)
}

/// D01: who only knocks takes nobody's place.
#[test]
fn a_flood_of_syns_harms_no_one() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded_as(&pair, &guard(way, FLOWS))?;
        let mut before = connect(&ground)?;
        ensure!(
            is_served(&ground, &mut before)?,
            "not even before, on {way}"
        );
        for _ in 0..5_000 {
            let peer = ground.wire.peer(Make::Node.address(Door::Web))?;
            peer.syn().send()?;
        }
        ensure!(
            is_served(&ground, &mut before)?,
            "who was there before, on {way}"
        );
        for _ in 0..20 {
            let mut after = connect(&ground)?;
            ensure!(is_served(&ground, &mut after)?, "who comes after, on {way}");
        }
    }
    Ok(())
}

/// D02: connections of one source, each with a head begun, leave room for those of others.
#[test]
fn one_source_does_not_fill_the_table() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded_as(&pair, &guard(way, FLOWS))?;
        let mut before = connect(&ground)?;
        ensure!(
            is_served(&ground, &mut before)?,
            "not even before, on {way}"
        );
        let mut peers = Vec::new();
        for port in 0..1_500 {
            let client = SocketAddr::from(([10, 78, 200, 1], 20_000 + port));
            let mut peer = ground.wire.peer_at(client, Make::Nginx.address(Door::Web));
            peer.connect()?;
            peer.data(0, b"GET /passed HTTP/1.1\r\nHost: a").send()?;
            peers.push(peer);
        }
        ensure!(
            is_served(&ground, &mut before)?,
            "who was there before, on {way}"
        );
        for _ in 0..20 {
            let mut after = connect(&ground)?;
            ensure!(is_served(&ground, &mut after)?, "who comes after, on {way}");
        }
    }
    Ok(())
}

/// D12: islands of a byte each take no room, and no one else's.
#[test]
fn islands_harm_no_one() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded(&pair, way)?;
        let mut peers = Vec::new();
        for _ in 0..5 {
            let peer = connect(&ground)?;
            for island in 0..4_000 {
                peer.data(2 * island + 1, b"X").send()?;
            }
            peers.push(peer);
        }
        let mut other = connect(&ground)?;
        ensure!(is_served(&ground, &mut other)?, "on {way}");
    }
    Ok(())
}

/// When there is no room to keep what was not acknowledged, baits work no better, and whole requests no worse.
#[test]
fn full_buffers_open_nothing() -> Result<()> {
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded_as(&pair, &guard(way, BUFFERS))?;
        let mut peers = Vec::new();
        let head = request("GET", "passed", "begun", &ground.good, "");
        for _ in 0..200 {
            let peer = connect(&ground)?;
            peer.data(0, &head[..head.len() / 2])
                .bad_checksum()
                .send()?;
            peers.push(peer);
        }
        let served = attempt(&ground, bait::ALL)?;
        let served: Vec<_> = served.into_iter().map(|(_, served)| served).collect();
        ensure!(served.is_empty(), "on {way}:\n{}", served.join("\n"));
        let mut honest = connect(&ground)?;
        honest.data(0, &head).send()?;
        honest.settle()?;
        ensure!(honest.is_answered(), "a whole request on {way}");
        ensure!(place(peers.len()) == 200, "they are kept that long");
    }
    Ok(())
}
