//! Two hosts and a wire, or a host between them that passes on what comes.

use anyhow::{Context as _, Result};

use super::{Namespace, command::run};

/// A pair of hosts joined by a veth pair.
#[derive(Debug)]
pub struct Pair {
    /// Where the clients are.
    pub client: Namespace,
    /// Where the server is; the interface is `eth0`.
    pub server: Namespace,
    bridge: Option<Namespace>,
}

impl Pair {
    /// The server's addresses.
    pub const SERVER: [&str; 2] = ["10.77.0.2", "fd77::2"];

    /// Makes both hosts.
    ///
    /// # Errors
    /// If `ip` cannot make them.
    pub fn new() -> Result<Self> {
        Self::joined(None)
    }

    /// The same with a host between them that bridges every cable, as the host of a container does.
    ///
    /// # Errors
    /// If `ip` cannot make them.
    pub fn bridged() -> Result<Self> {
        Self::joined(Some(Namespace::new()?))
    }

    fn joined(bridge: Option<Namespace>) -> Result<Self> {
        let pair = Self {
            client: Namespace::new()?,
            server: Namespace::new()?,
            bridge,
        };
        pair.lay("eth0")?;
        for (namespace, ipv4, ipv6) in [
            (&pair.client, "10.77.0.1/24", "fd77::1/64"),
            (&pair.server, "10.77.0.2/24", "fd77::2/64"),
        ] {
            ip(namespace, &format!("addr add {ipv4} dev eth0"))?;
            ip(namespace, &format!("addr add {ipv6} dev eth0 nodad"))?;
        }
        Ok(pair)
    }

    /// Lays a cable, both of whose ends have this name, and takes it up.
    ///
    /// # Errors
    /// If `ip` cannot.
    pub fn lay(&self, interface: &str) -> Result<()> {
        match &self.bridge {
            None => join(&self.client, interface, &self.server, interface)?,
            Some(between) => {
                let bridge = format!("br-{interface}");
                ip(between, &format!("link add {bridge} type bridge"))?;
                for (host, port) in [
                    (&self.client, format!("cli-{interface}")),
                    (&self.server, Self::port(interface)),
                ] {
                    join(between, &port, host, interface)?;
                    ip(between, &format!("link set {port} master {bridge}"))?;
                }
                ip(between, &format!("link set {bridge} up"))?;
            }
        }
        Ok(())
    }

    /// The host where what is for the server can be guarded: the one between, or else the server's own.
    #[must_use]
    pub fn guarding(&self) -> &Namespace {
        self.bridge.as_ref().unwrap_or(&self.server)
    }

    /// The end on the host between, of the cable to the server's interface.
    #[must_use]
    pub fn port(interface: &str) -> String {
        format!("srv-{interface}")
    }
}

/// Joins two hosts by a veth pair, and takes both ends up.
fn join(one: &Namespace, its: &str, other: &Namespace, others: &str) -> Result<()> {
    let there = other.path().context("a namespace of its own")?;
    ip(
        one,
        &format!("link add {its} type veth peer name {others} netns {there}"),
    )?;
    ip(one, &format!("link set {its} up"))?;
    ip(other, &format!("link set {others} up"))
}

fn ip(host: &Namespace, arguments: &str) -> Result<()> {
    run(host.command("ip").args(arguments.split(' '))).map(drop)
}
