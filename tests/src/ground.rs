//! Where attacks are tried: real servers behind the guard, a wire to them, and tokens.

mod logs;

use std::{
    fmt::{self, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Result, ensure};

use crate::{
    host::{Agent, Pair, run},
    raw::Wire,
    said::say,
    servers::{Door, Servers},
};

pub use logs::Logs;

/// Servers, the guard before them, and everything to attack them with.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The hosts.
    pub pair: &'a Pair,
    /// The client's end of the cable.
    pub wire: Wire,
    /// The servers, on the other end.
    pub servers: Servers,
    agent: Option<Agent<'a>>,
    /// A valid token.
    pub good: String,
    /// A revoked one of the same length.
    pub revoked: String,
}

/// How they are guarded.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// Where, and by which program.
    pub way: Way,
    /// The servers' interfaces whose cables are guarded.
    pub interfaces: &'a [&'a str],
    /// More lines of `[datapath]`.
    pub datapath: &'a str,
    /// More lines of the service that asks for a bearer token.
    pub web: &'a str,
}

impl Default for Guard<'_> {
    fn default() -> Self {
        Self {
            way: Way::Tc,
            interfaces: &["eth0"],
            datapath: "",
            web: "",
        }
    }
}

/// The guard's two hooks.
pub const HOOKS: [&str; 2] = ["tc", "xdp"];

/// Where the guard stands before the servers, and by which program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// On the host between, where packets leave it for the servers: as to a container.
    Service,
    /// Where they come in on the servers' own host, at TC.
    Tc,
    /// The same at XDP.
    Xdp,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Service, Self::Tc, Self::Xdp];

    /// Hosts that can be guarded that way.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn pair(self) -> Result<Pair> {
        match self {
            Self::Service => Pair::bridged(),
            Self::Tc | Self::Xdp => Pair::new(),
        }
    }

    const fn hook(self) -> &'static str {
        match self {
            Self::Service | Self::Tc => "tc",
            Self::Xdp => "xdp",
        }
    }

    /// An interface of the servers', or the one before it, as it is configured.
    fn interface(self, name: &str) -> String {
        match self {
            Self::Service => {
                let port = Pair::port(name);
                format!("{{ name = \"{port}\", facing = \"service\" }}")
            }
            Self::Tc | Self::Xdp => format!("\"{name}\""),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "the way to a service",
            Self::Tc => "tc",
            Self::Xdp => "xdp",
        })
    }
}

/// A token that is revoked everywhere, by its text in the catalogue.
pub const REVOKED: &str = "REVOKEDTOK";
/// What stands for a valid one there.
pub const GOOD: &str = "GOODTOK";

impl<'a> Ground<'a> {
    /// Sets it up, guarded this way; `pair` is one for it.
    ///
    /// # Errors
    /// If something does not start.
    pub fn guarded(pair: &'a Pair, way: Way) -> Result<Self> {
        Self::guarded_as(
            pair,
            &Guard {
                way,
                ..Guard::default()
            },
        )
    }

    /// The same, guarded otherwise.
    ///
    /// # Errors
    /// If something does not start.
    pub fn guarded_as(pair: &'a Pair, guard: &Guard<'_>) -> Result<Self> {
        let mut ground = Self::unguarded(pair)?;
        let Guard {
            way,
            interfaces,
            datapath,
            web,
        } = guard;
        let hook = way.hook();
        let interfaces: Vec<_> = interfaces.iter().map(|name| way.interface(name)).collect();
        let interfaces = interfaces.join(", ");
        let mut sections =
            format!("[datapath]\ninterfaces = [{interfaces}]\nhook = \"{hook}\"\n{datapath}\n");
        for (door, name, more) in [
            (Door::Web, "web", *web),
            (Door::Keys, "keys", "header = \"x-api-key\""),
            (Door::Proxy, "proxied", "proxy_protocol = \"required\""),
        ] {
            let listen = Servers::listen(door);
            write!(
                sections,
                "[[service]]\nname = \"{name}\"\nlisten = {listen}\n{more}\n"
            )?;
        }
        let agent = Agent::start(pair.guarding(), &sections)?;
        (_, ground.good) = agent.issue(&[])?;
        let (id, revoked) = agent.issue(&[])?;
        agent.tell(["revoke", &id])?;
        ground.revoked = revoked;
        let foreign = say(
            &mut agent.command(["revoke", "--stdin", "--yes"]),
            &format!("{REVOKED}\n"),
        )?;
        ensure!(foreign.code == Some(0), "{foreign:?}");
        ground.agent = Some(agent);
        Ok(ground)
    }

    /// Without a guard, to see what an attack is worth.
    ///
    /// # Errors
    /// If something does not start.
    pub fn unguarded(pair: &'a Pair) -> Result<Self> {
        Ok(Self {
            pair,
            wire: Wire::open(pair)?,
            servers: Servers::start(&pair.server)?,
            agent: None,
            good: format!("tka_{}", "g".repeat(44)),
            revoked: format!("tka_{}", "r".repeat(44)),
        })
    }

    /// Whether there is a guard.
    #[must_use]
    pub const fn is_guarded(&self) -> bool {
        self.agent.is_some()
    }

    /// The agent before the servers.
    ///
    /// # Panics
    /// If there is none.
    pub fn agent(&self) -> &Agent<'a> {
        self.agent.as_ref().expect("it is guarded")
    }

    /// What became of all that was sent, once it has arrived.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub fn logs(&self) -> Result<Logs> {
        Logs::read(self)
    }
}

/// Sets a variable of a server's network, below `net`.
///
/// # Errors
/// If there is no such variable.
pub fn set(pair: &Pair, variable: &str, value: &str) -> Result<()> {
    let script = format!("echo {value} > /proc/sys/net/{variable}");
    run(pair.server.command("sh").args(["-c", &script])).map(drop)
}

/// Does `work` with each of the items, many at a time: they mostly wait. The results come in their order.
///
/// # Panics
/// If `work` does.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    const AT_A_TIME: usize = 40;
    let next = AtomicUsize::new(0);
    let results: Vec<_> = items.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    *results[at].lock().expect("it is this thread's alone") = Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .map(|result| {
            result
                .into_inner()
                .expect("no thread panicked")
                .expect("all was done")
        })
        .collect()
}
