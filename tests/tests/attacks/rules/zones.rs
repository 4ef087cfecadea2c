//! Two cables between client and server: one beside the guard, and one with the same addresses as the other,
//! where link-local ones mean something on each of them only.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Result, ensure};
use token_agent_tests::{
    ground::{Ground, Guard, Way},
    host::{Pair, run},
    raw::Wire,
    servers::{Door, Make},
};

use super::place;

/// The client's and the server's address on both cables.
const CLIENT: &str = "fe80::a";
const SERVER: &str = "fe80::b";

/// Lays another cable, and gives both ends of both of them the same addresses.
fn second_cable(pair: &Pair) -> Result<Wire> {
    let ip = |mut command: Command, args: &str| run(command.args(args.split(' '))).map(drop);
    pair.lay("eth1")?;
    for interface in ["eth0", "eth1"] {
        let wire = Wire::open_on(pair, interface)?;
        let client = wire.ethernet().map(|byte| format!("{byte:02x}")).join(":");
        ip(
            pair.server.command("ip"),
            &format!("-6 addr add {SERVER}/64 dev {interface} nodad"),
        )?;
        ip(
            pair.server.command("ip"),
            &format!("-6 neigh replace {CLIENT} lladdr {client} dev {interface} nud permanent"),
        )?;
    }
    Wire::open_on(pair, "eth1")
}

/// A connection on one cable hides one on the other: to the guard its handshake, and its first request,
/// would be part of a body.
fn one_hides_the_other(ground: &Ground<'_>, other: &Wire) -> Result<bool> {
    let server: SocketAddr = format!("[{SERVER}]:{}", Make::Nginx.port(Door::Web)).parse()?;
    let client: SocketAddr = format!("[{CLIENT}]:41000").parse()?;
    let head = |kind, more: &str| super::request("POST", kind, "R11-zones", &ground.good, more);
    // The server must have sent more than the numbers of its two SYN-ACKs are apart.
    let ahead = head("passed", "Content-Length: 0\r\n").repeat(400);
    let upload = head("passed", "Content-Length: 1000000\r\n");
    let mut cover = ground.wire.peer_at(client, server);
    let mut hidden = other.peer_at(client, server);
    hidden.restart(place(ahead.len() + upload.len()));
    cover.syn().send()?;
    hidden.syn().send()?;
    ensure!(cover.is_offered()? && hidden.is_offered()?, "no SYN-ACKs");
    cover.ack().send()?;
    cover.deliver(&ahead, 1_400, Duration::from_secs(5))?;
    cover.pause(Duration::from_millis(300))?;
    cover.deliver(&upload, 1_400, Duration::from_secs(1))?;
    let denied = super::request("GET", "denied", "R11-zones", &ground.revoked, "");
    hidden.ack().send()?;
    hidden.data(0, &denied).send()?;
    hidden.settle()?;
    let logs = ground.logs()?;
    let is_served = logs.all_revoked(Make::Nginx).next().is_some();
    Ok(is_served)
}

#[test]
fn addresses_of_a_link_are_told_apart() -> Result<()> {
    {
        let pair = Pair::new()?;
        let other = second_cable(&pair)?;
        let ground = Ground::unguarded(&pair)?;
        ensure!(
            one_hides_the_other(&ground, &other)?,
            "it is served to nobody"
        );
    }
    for way in Way::ALL {
        let pair = way.pair()?;
        let other = second_cable(&pair)?;
        let guard = Guard {
            way,
            interfaces: &["eth0", "eth1"],
            ..Guard::default()
        };
        let ground = Ground::guarded_as(&pair, &guard)?;
        ensure!(
            !one_hides_the_other(&ground, &other)?,
            "R11-zones on {way}: a revoked request was served"
        );
    }
    Ok(())
}

/// What came past the guard is not completed by what passes it.
fn half_goes_another_way(ground: &Ground<'_>, other: &Wire) -> Result<bool> {
    let mut peer = ground.wire.peer(Make::Nginx.address(Door::Web))?;
    peer.connect()?;
    let denied = super::request("GET", "denied", "R7-path", &ground.revoked, "");
    let (begin, end) = denied.split_at(denied.len() - 4);
    let beside = other.twin(&peer);
    beside.data(0, begin).send()?;
    peer.wait(Duration::from_millis(300), |peer| {
        peer.has_acked(begin.len())
    })?;
    ensure!(peer.has_acked(begin.len()), "the other way leads nowhere");
    peer.data(place(begin.len()), end).send()?;
    peer.settle()?;
    Ok(ground.logs()?.all_revoked(Make::Nginx).next().is_some())
}

#[test]
fn a_path_past_the_guard_completes_nothing() -> Result<()> {
    {
        let pair = Pair::new()?;
        let other = second_cable(&pair)?;
        let ground = Ground::unguarded(&pair)?;
        ensure!(
            half_goes_another_way(&ground, &other)?,
            "it is served to nobody"
        );
    }
    for way in Way::ALL {
        let pair = way.pair()?;
        let other = second_cable(&pair)?;
        let ground = Ground::guarded(&pair, way)?;
        ensure!(
            !half_goes_another_way(&ground, &other)?,
            "R7-path on {way}: a revoked request was served"
        );
    }
    Ok(())
}
