//! Two hosts, a server on the second one, and what is in front of it.

use std::{num::NonZero, path::PathBuf, thread};

use anyhow::{Context as _, Result};
use nix::{
    net::if_::if_nametoindex,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use token_agent_tests::{
    bpf::{Link, Program, Spot, plain},
    host::{Agent, Namespace, Pair, run},
};

/// Where the servers listen.
pub(crate) const ADDRESS: &str = "10.77.0.2";
/// nginx's port.
pub(crate) const SMALL: u16 = 8080;
/// The port for much data.
pub(crate) const BULK: u16 = 8081;

/// The hooks of a guard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hook {
    Tc,
    Xdp,
}

impl Hook {
    pub(crate) const ALL: [Self; 2] = [Self::Tc, Self::Xdp];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }

    const fn spot(self) -> Spot {
        match self {
            Self::Tc => Spot::TC_INGRESS,
            Self::Xdp => Spot::XDP,
        }
    }
}

/// Starts the agent, with the guard on this hook of the server's interface.
pub(crate) fn guard(pair: &Pair, hook: Hook) -> Result<Agent<'_>> {
    Agent::start(
        &pair.server,
        &format!(
            "[datapath]\ninterfaces = [\"eth0\"]\nhook = \"{}\"\n\
             [[service]]\nname = \"bench\"\nlisten = [\"{ADDRESS}:{SMALL}\", \"{ADDRESS}:{BULK}\"]\n",
            hook.name()
        ),
    )
}

/// A guard's two programs, or what stands in their places.
pub(crate) struct Programs {
    /// On what comes in.
    pub(crate) guard: Program,
    /// On what goes out.
    pub(crate) witness: Program,
    _links: Vec<Link>,
}

impl Programs {
    /// Those of an agent.
    pub(crate) fn of(agent: &Agent<'_>, pair: &Pair, hook: Hook) -> Result<Self> {
        let interface = index(&pair.server)?;
        let pin =
            |kind: &str| -> PathBuf { agent.pin_dir().join(format!("links/{interface}-{kind}")) };
        let guard = match hook {
            Hook::Tc => "tcx",
            Hook::Xdp => "xdp",
        };
        Ok(Self {
            guard: Program::of_pin(&pin(guard))?,
            witness: Program::of_pin(&pin("tcx-witness"))?,
            _links: Vec::new(),
        })
    }

    /// Empty ones.
    pub(crate) fn empty(pair: &Pair, hook: Hook) -> Result<Self> {
        let interface = index(&pair.server)?;
        let guard = plain::empty(hook.spot())?;
        let witness = plain::empty(Spot::TC_EGRESS)?;
        let links = pair.server.within(|| {
            Ok::<_, anyhow::Error>(vec![
                guard.attach(hook.spot(), interface)?,
                witness.attach(Spot::TC_EGRESS, interface)?,
            ])
        })??;
        Ok(Self {
            guard,
            witness,
            _links: links,
        })
    }
}

/// Whether the machine has the processor of that number.
pub(crate) fn has(processor: usize) -> bool {
    processor < thread::available_parallelism().map_or(1, NonZero::get)
}

/// Has what `start` starts run on this processor alone, if one is named.
pub(crate) fn on<T>(processor: Option<usize>, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(processor) = processor else {
        return start();
    };
    // What is started inherits it.
    let own = Pid::from_raw(0);
    let before = sched_getaffinity(own)?;
    let mut only = CpuSet::new();
    only.set(processor)?;
    sched_setaffinity(own, &only)?;
    let started = start();
    sched_setaffinity(own, &before)?;
    started
}

/// Loses one packet of a hundred on their way from the client.
pub(crate) fn lose(pair: &Pair) -> Result<Link> {
    let program = plain::lossy(Spot::TC_EGRESS)?;
    let interface = index(&pair.client)?;
    pair.client
        .within(|| program.attach(Spot::TC_EGRESS, interface))?
}

/// Has the packets on the wire be as long as others would see them, and not aggregated.
pub(crate) fn cut_segments(namespace: &Namespace) -> Result<()> {
    let mut ip = namespace.command("ip");
    run(ip.args(["link", "set", "eth0", "gso_max_segs", "1"])).map(drop)
}

fn index(namespace: &Namespace) -> Result<u32> {
    namespace.within(|| if_nametoindex("eth0"))?.context("eth0")
}
