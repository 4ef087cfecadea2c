//! Hosts and the wires between them.

use std::process::Command;

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

/// One end of a wire: the host, the interface's name, its addresses with their prefixes.
pub type End<'a> = (&'a Namespace, &'a str, &'a [&'a str]);

/// Joins two hosts by a veth pair.
///
/// # Errors
/// If `ip` cannot make it.
pub fn join(ends: [End<'_>; 2]) -> Result<()> {
    let [(one, one_name, _), (other, other_name, _)] = ends;
    let peer = other.path().context("a namespace of its own")?;
    let mut ip = one.command("ip");
    ip.args(["link", "add", one_name, "type", "veth"]);
    run(ip.args(["peer", "name", other_name, "netns", &peer]))?;
    for (host, name, addresses) in ends {
        let ip = || -> Command { host.command("ip") };
        for address in addresses {
            // The other end is known to have another one.
            let known: &[&str] = if address.contains(':') {
                &["nodad"]
            } else {
                &[]
            };
            run(ip().args(["addr", "add", address, "dev", name]).args(known))?;
        }
        run(ip().args(["link", "set", name, "up"]))?;
    }
    Ok(())
}

impl Pair {
    /// The server's addresses.
    pub const SERVER: [&str; 2] = ["10.77.0.2", "fd77::2"];
    /// The address of the [container](Self::container).
    pub const CONTAINER: &str = "10.79.0.2";

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
            None => join([
                (&self.client, interface, &[]),
                (&self.server, interface, &[]),
            ])?,
            Some(between) => {
                let bridge = format!("br-{interface}");
                ip(between, &format!("link add {bridge} type bridge"))?;
                for (host, port) in [
                    (&self.client, format!("cli-{interface}")),
                    (&self.server, Self::port(interface)),
                ] {
                    join([(between, &port, &[]), (host, interface, &[])])?;
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

    /// A third host that the client reaches over the server's, by its `web0`, as a container is reached.
    ///
    /// # Errors
    /// If `ip` cannot make it.
    pub fn container(&self) -> Result<Namespace> {
        let container = Namespace::new()?;
        join([
            (&self.server, "web0", &["10.79.0.1/24"]),
            (&container, "eth0", &["10.79.0.2/24"]),
        ])?;
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        run(self.server.command("sh").args(["-c", forward]))?;
        for (host, to, over) in [
            (&self.client, "10.79.0.0/24", "10.77.0.2"),
            (&container, "default", "10.79.0.1"),
        ] {
            let mut ip = host.command("ip");
            run(ip.args(["route", "add", to, "via", over]))?;
        }
        Ok(container)
    }
}

fn ip(host: &Namespace, arguments: &str) -> Result<()> {
    run(host.command("ip").args(arguments.split(' '))).map(drop)
}
