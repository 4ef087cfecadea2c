//! Packets of live traffic, by the kernel's statistics of programs, compared with empty programs
//! in the same places.

use anyhow::Result;
use token_agent_tests::{
    bpf::{Counting, Spent},
    host::{Nginx, Pair},
    raw::Wire,
};

use crate::{
    bulk,
    host::{self, ADDRESS, Hook, Programs, SMALL},
    request, wrk,
};

/// A way to make packets: what they are, and how.
struct Traffic {
    what: &'static str,
    is_request: bool,
    is_cut: bool,
    make: fn(&Scene<'_>) -> Result<()>,
}

const ALL: [Traffic; 5] = [
    Traffic {
        what: "allowed requests",
        is_request: true,
        is_cut: false,
        make: |scene| wrk::ask(scene.pair, scene.good, 2, 16).map(drop),
    },
    Traffic {
        what: "denied requests",
        is_request: true,
        is_cut: false,
        make: |scene| scene.send(scene.revoked, 100_000),
    },
    Traffic {
        what: "acknowledgments",
        is_request: false,
        is_cut: true,
        make: |scene| bulk::download(scene.pair, scene.good, 1 << 28),
    },
    Traffic {
        what: "bodies, 1,448 bytes",
        is_request: false,
        is_cut: true,
        make: |scene| bulk::upload(scene.pair, scene.good, 1 << 28).map(drop),
    },
    Traffic {
        what: "bodies, aggregated",
        is_request: false,
        is_cut: false,
        make: |scene| bulk::upload(scene.pair, scene.good, 1 << 30).map(drop),
    },
];

/// Hosts, programs, tokens.
struct Scene<'a> {
    pair: &'a Pair,
    programs: &'a Programs,
    good: &'a str,
    revoked: &'a str,
    is_guarded: bool,
}

/// What both programs of a scene took.
#[derive(Clone, Copy, Default)]
struct Both {
    guard: Spent,
    witness: Spent,
}

impl Scene<'_> {
    fn spent(&self) -> Result<Both> {
        Ok(Both {
            guard: self.programs.guard.spent()?,
            witness: self.programs.witness.spent()?,
        })
    }

    /// Makes traffic until so many packets have passed the guard.
    fn measure(&self, traffic: &Traffic, packets: u64) -> Result<Both> {
        let before = self.spent()?;
        loop {
            (traffic.make)(self)?;
            let now = self.spent()?;
            let both = Both {
                guard: now.guard.since(before.guard),
                witness: now.witness.since(before.witness),
            };
            if both.guard.runs >= packets {
                return Ok(both);
            }
        }
    }

    /// Sends a request again and again, on one connection, and does not mind what is answered.
    fn send(&self, token: &str, count: u32) -> Result<()> {
        let wire = Wire::open(self.pair)?;
        let mut peer = wire.peer(format!("{ADDRESS}:{SMALL}").parse()?)?;
        if self.is_guarded {
            peer.connect()?;
        }
        let segment = peer.data(0, request::get(token).as_bytes());
        for _ in 0..count {
            segment.send()?;
        }
        Ok(())
    }
}

/// Of what is no request so many times less is measured: a connection that is busy one way has few packets the other.
const LESS: u64 = 10;

/// Measures every kind of traffic on both hooks, requests over so many packets.
pub(crate) fn measure_all(requests: u64) -> Result<()> {
    println!(
        "live traffic: nanoseconds a packet by the kernel's statistics, {requests} requests and more, and a tenth of other packets,\n\
         over what an empty program in the same place takes; the witness sees what the server answers\n"
    );
    println!(
        "{:<24}{:>12}{:>12}{:>12}{:>12}",
        "", "guard", "(empty)", "witness", "(empty)"
    );
    for hook in Hook::ALL {
        println!("{}", hook.name());
        for traffic in &ALL {
            let packets = if traffic.is_request {
                requests
            } else {
                requests / LESS
            };
            let guarded = with_guard(hook, traffic, packets)?;
            let empty = without(hook, traffic, packets)?;
            let row = |spent: Spent, empty: Spent| {
                format!(
                    "{:>12.0}{:>12}",
                    spent.each() - empty.each(),
                    format!("({:.0})", empty.each())
                )
            };
            println!(
                "  {:<22}{}{}",
                traffic.what,
                row(guarded.guard, empty.guard),
                row(guarded.witness, empty.witness),
            );
        }
    }
    println!();
    Ok(())
}

fn with_guard(hook: Hook, traffic: &Traffic, packets: u64) -> Result<Both> {
    let pair = prepare(traffic)?;
    let _nginx = Nginx::silent(&pair.server, &[&format!("{ADDRESS}:{SMALL}")])?;
    bulk::serve(&pair)?;
    let agent = host::guard(&pair, hook)?;
    let (_, good) = agent.issue(&[])?;
    let (id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &id])?;
    let scene = Scene {
        pair: &pair,
        programs: &Programs::of(&agent, &pair, hook)?,
        good: &good,
        revoked: &revoked,
        is_guarded: true,
    };
    let _counting = Counting::start()?;
    scene.measure(traffic, packets)
}

/// The same packets, and empty programs.
fn without(hook: Hook, traffic: &Traffic, packets: u64) -> Result<Both> {
    let pair = prepare(traffic)?;
    let _nginx = Nginx::silent(&pair.server, &[&format!("{ADDRESS}:{SMALL}")])?;
    bulk::serve(&pair)?;
    let token = format!("tka_{}", "x".repeat(48));
    let scene = Scene {
        pair: &pair,
        programs: &Programs::empty(&pair, hook)?,
        good: &token,
        revoked: &token,
        is_guarded: false,
    };
    let _counting = Counting::start()?;
    scene.measure(traffic, packets)
}

fn prepare(traffic: &Traffic) -> Result<Pair> {
    let pair = Pair::new()?;
    if traffic.is_cut {
        host::cut_segments(&pair.client)?;
        host::cut_segments(&pair.server)?;
    }
    Ok(pair)
}
