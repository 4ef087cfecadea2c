//! A sender who speaks as the server: where the guard's host forwards, what comes in can go out again by the same
//! interface, and its source can be the service.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    ground::{HOOKS, set},
    host::{Agent, Nginx, Pair, wait_for},
    raw::{
        Peer, Wire,
        flags::{ACK, RST, SYN},
    },
    request::request,
};

const PORT: u16 = 8080;

/// A service that the guard's host forwards to, by way of the interface that is guarded.
struct Scene<'a> {
    wire: &'a Wire,
    server: SocketAddr,
    good: String,
    revoked: String,
}

impl Scene<'_> {
    fn passed(&self, more: &str) -> String {
        request("POST", "passed", &self.good, more)
    }

    fn denied(&self, more: &str) -> String {
        request("POST", "denied", &self.revoked, more)
    }

    /// A segment of the server's, as the peer would have it: the last number is what it acknowledges of the peer's stream.
    fn forge(&self, peer: &Peer, flags: u8, sequence: u32, acknowledged: u32) -> Result<()> {
        let forger = self.wire.peer_at(self.server, peer.address());
        let forged = forger.segment(flags, 0, b"");
        forged.numbers(sequence, acknowledged).send()
    }

    /// Both of the server's numbers behind the handshake.
    fn numbers(peer: &Peer) -> Result<(u32, u32)> {
        let offer = peer.offers().last().context("no SYN-ACK")?;
        Ok((offer.sequence, offer.acknowledged))
    }
}

/// What the server does not have is said to be acknowledged, so that it may be repeated otherwise.
fn acknowledge(scene: &Scene<'_>) -> Result<()> {
    let mut peer = scene.wire.peer(scene.server)?;
    peer.connect()?;
    let (sequence, first) = Scene::numbers(&peer)?;
    let (passed, denied) = (scene.passed(""), scene.denied(""));
    ensure!(passed.len() == denied.len(), "one is longer");
    peer.data(0, passed.as_bytes()).bad_checksum().send()?;
    let end = first.wrapping_add(u32::try_from(passed.len())?);
    scene.forge(&peer, ACK, sequence.wrapping_add(1), end)?;
    peer.pause(std::time::Duration::from_millis(200))?;
    peer.data(0, denied.as_bytes()).send()?;
    peer.settle()
}

/// In the middle of a body, the server is said to offer another connection.
fn offer(scene: &Scene<'_>) -> Result<()> {
    let mut peer = scene.wire.peer(scene.server)?;
    peer.connect()?;
    let (sequence, first) = Scene::numbers(&peer)?;
    let body = scene.passed("Content-Length: 1000\r\n");
    let denied = scene.denied("");
    let head = scene.passed(&format!("Content-Length: {}\r\n", body.len()));
    peer.data(0, head.as_bytes()).send()?;
    peer.pause(std::time::Duration::from_millis(200))?;
    let next = i32::try_from(head.len())?;
    // One whose numbers are near is none while the server has this one.
    scene.forge(&peer, RST, sequence.wrapping_add(1), 0)?;
    // To the guard a connection begins here, with a body that is the next request.
    scene.forge(&peer, SYN | ACK, sequence, first.wrapping_add_signed(next))?;
    peer.pause(std::time::Duration::from_millis(200))?;
    peer.data(next, (body + &denied).as_bytes()).send()?;
    peer.settle()
}

fn served(scene: &Scene<'_>, nginx: &Nginx) -> Result<bool> {
    let mut last = scene.wire.peer(scene.server)?;
    last.connect()?;
    last.data(0, request("GET", "last", &scene.good, "").as_bytes())
        .send()?;
    last.settle()?;
    // What came before was logged before.
    wait_for("nginx to log", || {
        Ok(nginx.requests().iter().any(|line| line.contains("last")))
    })?;
    Ok(nginx.requests().iter().any(|line| line.contains("denied")))
}

type Attack = fn(&Scene<'_>) -> Result<()>;

#[test]
fn who_speaks_as_the_server_is_not_heard() -> Result<()> {
    let attacks: [(&str, Attack); 2] = [("an acknowledgment", acknowledge), ("an offer", offer)];
    let mut wrong = Vec::new();
    for (hook, is_own) in HOOKS
        .into_iter()
        .flat_map(|hook| [(hook, false), (hook, true)])
    {
        for (what, attack) in attacks {
            let pair = Pair::new()?;
            let container = pair.container()?;
            // Of IPv6 packets with a source of its own a host forwards what comes in, too.
            set(&pair, "ipv6/conf/all/forwarding", "1")?;
            let (host, server) = if is_own {
                (&pair.server, format!("[{}]:{PORT}", Pair::SERVER[1]))
            } else {
                (&container, format!("{}:{PORT}", Pair::CONTAINER))
            };
            let nginx = Nginx::start(host, &[&server])?;
            let agent = Agent::start(
                &pair.server,
                &format!(
                    "[datapath]\ninterfaces = [\"eth0\"]\nhook = \"{hook}\"\n\
                     [[service]]\nname = \"web\"\nlisten = [\"{server}\"]\n"
                ),
            )?;
            let (_, good) = agent.issue(&[])?;
            let (id, revoked) = agent.issue(&[])?;
            agent.tell(["revoke", &id])?;
            let wire = Wire::open(&pair)?;
            let scene = Scene {
                wire: &wire,
                server: server.parse()?,
                good,
                revoked,
            };
            attack(&scene)?;
            if served(&scene, &nginx)? {
                wrong.push(format!(
                    "{what} on {hook} at {server}: a revoked request was served"
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
