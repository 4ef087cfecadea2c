//! Packets of live traffic, by the kernel's statistics of programs, compared with empty programs
//! in the same places.

use std::fmt;

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
    /// The processors of the client and of the server, if it matters which they are.
    places: Option<[usize; 2]>,
    make: fn(&Scene<'_>) -> Result<()>,
}

const ALL: [Traffic; 6] = [
    Traffic {
        what: "allowed, on one CPU",
        is_request: true,
        is_cut: false,
        places: Some([0, 0]),
        make: |scene| wrk::ask(scene.pair, scene.good, 1, 16).map(drop),
    },
    Traffic {
        what: "allowed, between two",
        is_request: true,
        is_cut: false,
        places: Some([0, 1]),
        make: |scene| wrk::ask(scene.pair, scene.good, 1, 16).map(drop),
    },
    Traffic {
        what: "denied requests",
        is_request: true,
        is_cut: false,
        places: None,
        make: |scene| scene.send(scene.revoked, 100_000),
    },
    Traffic {
        what: "acknowledgments",
        is_request: false,
        is_cut: true,
        places: None,
        make: |scene| bulk::download(scene.pair, scene.good, 1 << 28),
    },
    Traffic {
        what: "bodies, 1,448 bytes",
        is_request: false,
        is_cut: true,
        places: None,
        make: |scene| bulk::upload(scene.pair, scene.good, 1 << 28).map(drop),
    },
    Traffic {
        what: "bodies, aggregated",
        is_request: false,
        is_cut: false,
        places: None,
        make: |scene| bulk::upload(scene.pair, scene.good, 1 << 30).map(drop),
    },
];

impl Traffic {
    /// Whether the machine has the processors.
    fn is_possible(&self) -> bool {
        self.places
            .is_none_or(|places| places.into_iter().all(host::has))
    }
}

/// Hosts, programs, tokens.
struct Scene<'a> {
    pair: &'a Pair,
    programs: &'a Programs,
    good: &'a str,
    revoked: &'a str,
    is_guarded: bool,
}

/// What both programs of a scene took, each time that traffic was made.
#[derive(Default)]
struct Samples {
    guard: Vec<Spent>,
    witness: Vec<Spent>,
}

/// Nanoseconds a packet, of several samples.
#[derive(Clone, Copy)]
struct Summary {
    median: f64,
    least: f64,
}

impl Summary {
    fn of(samples: &[Spent]) -> Self {
        let mut each: Vec<_> = samples.iter().map(|spent| spent.each()).collect();
        each.sort_by(f64::total_cmp);
        Self {
            median: each[each.len() / 2],
            least: each[0],
        }
    }

    /// What is more than an empty program takes.
    fn over(self, empty: Self) -> Self {
        Self {
            median: self.median - empty.median,
            least: self.least - empty.least,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.0} ({:.0})", self.median, self.least))
    }
}

impl Scene<'_> {
    /// Makes traffic until so many packets have passed the guard.
    fn measure(&self, traffic: &Traffic, packets: u64) -> Result<Samples> {
        let client = traffic.places.map(|[client, _]| client);
        let mut samples = Samples::default();
        let mut runs = 0;
        while runs < packets {
            let before = (self.programs.guard.spent()?, self.programs.witness.spent()?);
            host::on(client, || (traffic.make)(self))?;
            let guard = self.programs.guard.spent()?.since(before.0);
            runs += guard.runs;
            samples.guard.push(guard);
            samples
                .witness
                .push(self.programs.witness.spent()?.since(before.1));
        }
        Ok(samples)
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

/// Of fewer packets, as the handshakes of connections on which every request is denied, a figure says nothing.
const FEW: u64 = 1_000;

/// Measures every kind of traffic on both hooks whose name has `only` in it, requests over so many packets.
pub(crate) fn measure_all(requests: u64, only: &str) -> Result<()> {
    println!(
        "live traffic: nanoseconds a packet by the kernel's statistics, median (minimum) of samples, {requests} requests and\n\
         more, and a tenth of other packets; over what an empty program in the same place takes, which is told behind it;\n\
         the witness sees what the server answers\n"
    );
    println!(
        "{:<24}{:>14}{:>12}{:>14}{:>12}",
        "", "guard", "empty", "witness", "empty"
    );
    for hook in Hook::ALL {
        println!("{}", hook.name());
        let wanted = |traffic: &&Traffic| traffic.is_possible() && traffic.what.contains(only);
        for traffic in ALL.iter().filter(wanted) {
            let packets = if traffic.is_request {
                requests
            } else {
                requests / LESS
            };
            let guarded = with_guard(hook, traffic, packets)?;
            let empty = without(hook, traffic, packets)?;
            let row = |spent: &[Spent], empty: &[Spent]| {
                if spent.iter().map(|spent| spent.runs).sum::<u64>() < FEW {
                    return format!("{:>14}{:>12}", "few", "");
                }
                let empty = Summary::of(empty);
                format!("{:>14}{:>12}", Summary::of(spent).over(empty), empty)
            };
            println!(
                "  {:<22}{}{}",
                traffic.what,
                row(&guarded.guard, &empty.guard),
                row(&guarded.witness, &empty.witness),
            );
        }
    }
    println!();
    Ok(())
}

fn with_guard(hook: Hook, traffic: &Traffic, packets: u64) -> Result<Samples> {
    let pair = prepare(traffic)?;
    let _nginx = serve(&pair, traffic)?;
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
fn without(hook: Hook, traffic: &Traffic, packets: u64) -> Result<Samples> {
    let pair = prepare(traffic)?;
    let _nginx = serve(&pair, traffic)?;
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

fn serve(pair: &Pair, traffic: &Traffic) -> Result<Nginx> {
    bulk::serve(pair)?;
    let server = traffic.places.map(|[_, server]| server);
    host::on(server, || {
        Nginx::silent(&pair.server, &[&format!("{ADDRESS}:{SMALL}")])
    })
}

fn prepare(traffic: &Traffic) -> Result<Pair> {
    let pair = Pair::new()?;
    if traffic.is_cut {
        host::cut_segments(&pair.client)?;
        host::cut_segments(&pair.server)?;
    }
    Ok(pair)
}
