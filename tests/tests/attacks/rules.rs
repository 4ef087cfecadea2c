//! Attacks on the rules of the stream themselves, one by one (`ARCHITECTURE.md` has the rules).
//!
//! Each tries to have a request served whose target begins with `/denied`: it bears a revoked token, or one
//! that is revoked on the way. Without a guard it succeeds at some server, unless it says that it needs one.

mod allowed;
mod bait;
mod binding;
mod delivery;
mod forged;
mod framing;
mod headers;
mod mixes;
mod own_hosts;
mod positions;
mod proxied;
mod tables;
mod upgrades;
mod zones;

use std::{collections::BTreeSet, net::SocketAddr};

use anyhow::{Context as _, Result};
use token_agent_tests::{
    ground::{Ground, Way, each},
    host::Pair,
    raw::Peer,
    servers::{Door, Make},
};

/// An attack.
struct Attack {
    id: &'static str,
    what: &'static str,
    /// Whether it connects by itself.
    has_handshake: bool,
    is_ipv6: bool,
    /// Whether servers do what it wants if they get all of it.
    is_real: bool,
    steps: fn(&Front<'_>, &mut Peer) -> Result<()>,
}

impl Attack {
    const fn new(
        id: &'static str,
        what: &'static str,
        steps: fn(&Front<'_>, &mut Peer) -> Result<()>,
    ) -> Self {
        Self {
            id,
            what,
            has_handshake: false,
            is_ipv6: false,
            is_real: true,
            steps,
        }
    }

    const fn with_handshake(mut self) -> Self {
        self.has_handshake = true;
        self
    }

    const fn ipv6(mut self) -> Self {
        self.is_ipv6 = true;
        self
    }

    /// It is something only with a guard in the way, which it tries to confuse.
    const fn needs_a_guard(mut self) -> Self {
        self.is_real = false;
        self
    }
}

/// What an attack finds before it.
struct Front<'a> {
    ground: &'a Ground<'a>,
    id: &'static str,
    make: Make,
    is_ipv6: bool,
}

impl Front<'_> {
    fn server(&self) -> SocketAddr {
        let port = self.make.port(Door::Web);
        if self.is_ipv6 {
            SocketAddr::from(([0xfd77, 0, 0, 0, 0, 0, 0, 2], port))
        } else {
            SocketAddr::from(([10, 77, 0, 2], port))
        }
    }

    /// A request that may be served, with more header lines, each with its line end.
    fn passed(&self, method: &str, more: &str) -> Vec<u8> {
        request(method, "passed", self.id, &self.ground.good, more)
    }

    /// One that must not. With the same method and lines it is as long as the other.
    fn denied(&self, method: &str, more: &str) -> Vec<u8> {
        request(method, "denied", self.id, &self.ground.revoked, more)
    }

    /// The denied one with the valid token: whoever is served this was not deceived.
    fn decoy(&self, method: &str, more: &str) -> Vec<u8> {
        request(method, "denied", self.id, &self.ground.good, more)
    }

    /// A valid token of its own, and what revokes it.
    fn token(&self) -> Result<(String, impl FnOnce() -> Result<()>)> {
        self.token_for("1h")
    }

    /// The same, valid for so long.
    fn token_for(&self, lifetime: &str) -> Result<(String, impl FnOnce() -> Result<()>)> {
        let agent = self.ground.is_guarded().then(|| self.ground.agent());
        let (id, token) = match agent {
            Some(agent) => agent.issue(&["--ttl", lifetime])?,
            None => (String::new(), format!("tka_{}", "t".repeat(44))),
        };
        let revoke = move || agent.map_or(Ok(()), |agent| agent.tell(["revoke", &id]).map(drop));
        Ok((token, revoke))
    }
}

fn request(method: &str, kind: &str, id: &str, token: &str, more: &str) -> Vec<u8> {
    let begin = format!("{method} /{kind}-{id} HTTP/1.1\r\nHost: a\r\n");
    format!("{begin}Authorization: Bearer {token}\r\n{more}\r\n").into_bytes()
}

/// A place in a stream, of a length.
fn place(length: usize) -> i32 {
    i32::try_from(length).expect("a short stream")
}

/// Where `part` begins in `bytes`.
fn find(bytes: &[u8], part: &str) -> usize {
    bytes
        .windows(part.len())
        .position(|window| window == part.as_bytes())
        .expect("it is in there")
}

const ALL: [&[Attack]; 8] = [
    bait::ALL,
    binding::ALL,
    delivery::ALL,
    framing::ALL,
    headers::ALL,
    mixes::ALL,
    positions::ALL,
    upgrades::ALL,
];

/// Stands for an attack's id where the target does not tell it.
const UNKNOWN: &str = "?";

/// Tries them all; gives what was served against the rules: the attack's id, and all there is to say of it.
fn attempt<'a>(
    ground: &Ground<'_>,
    attacks: impl IntoIterator<Item = &'a Attack>,
) -> Result<Vec<(&'a str, String)>> {
    let attacks: Vec<_> = attacks.into_iter().collect();
    let jobs: Vec<_> = attacks
        .iter()
        .flat_map(|&attack| Make::ALL.map(|make| (attack, make)))
        .collect();
    let tried = each(&jobs, |&(attack, make)| -> Result<()> {
        let front = Front {
            ground,
            id: attack.id,
            make,
            is_ipv6: attack.is_ipv6,
        };
        let mut peer = ground.wire.peer(front.server())?;
        if !attack.has_handshake {
            peer.connect()?;
        }
        (attack.steps)(&front, &mut peer)?;
        peer.settle()
    });
    for ((attack, make), tried) in jobs.iter().zip(tried) {
        tried.with_context(|| format!("{} at {make:?}", attack.id))?;
    }
    let logs = ground.logs()?;
    let mut served = Vec::new();
    for make in Make::ALL {
        for entry in logs.all(make) {
            let denied = entry.request.split_once("/denied-");
            let is_denied = denied.is_some() && !entry.bears(&ground.good);
            if is_denied || entry.bears(&ground.revoked) {
                let id = denied.map_or("", |(_, id)| id);
                let attack = attacks.iter().find(|attack| id == attack.id);
                let (id, what) = attack.map_or((UNKNOWN, ""), |attack| (attack.id, attack.what));
                served.push((id, format!("{id} ({what}): {make:?} served {entry:?}")));
            }
        }
    }
    Ok(served)
}

fn fails(way: Way) -> Result<()> {
    let pair = way.pair()?;
    let ground = Ground::guarded(&pair, way)?;
    let served = attempt(&ground, ALL.into_iter().flatten())?;
    let served: Vec<_> = served.into_iter().map(|(_, served)| served).collect();
    assert!(served.is_empty(), "on {way}:\n{}", served.join("\n"));
    Ok(())
}

#[test]
fn all_fail_on_the_way_to_a_service() -> Result<()> {
    fails(Way::Service)
}

#[test]
fn all_fail_on_tc() -> Result<()> {
    fails(Way::Tc)
}

#[test]
fn all_fail_on_xdp() -> Result<()> {
    fails(Way::Xdp)
}

#[test]
fn all_succeed_without_a_guard() -> Result<()> {
    for pair in [Pair::new()?, Pair::bridged()?] {
        let ground = Ground::unguarded(&pair)?;
        let attacks = || ALL.into_iter().flatten();
        let served = attempt(&ground, attacks())?;
        let served: BTreeSet<_> = served.iter().map(|(id, _)| *id).collect();
        let real: Vec<_> = attacks()
            .filter(|attack| attack.is_real && !served.contains(attack.id))
            .map(|attack| attack.id)
            .collect();
        assert!(real.is_empty(), "nothing was served for {real:?}");
    }
    Ok(())
}
