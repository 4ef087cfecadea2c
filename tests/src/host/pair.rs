//! Two hosts and a wire.

use anyhow::{Context as _, Result};

use super::{Namespace, command::run};

/// A pair of hosts joined by a veth pair.
#[derive(Debug)]
pub struct Pair {
    /// Where the clients are.
    pub client: Namespace,
    /// Where the server and the agent are; the interface is `eth0`.
    pub server: Namespace,
}

impl Pair {
    /// The server's addresses.
    pub const SERVER: [&str; 2] = ["10.77.0.2", "fd77::2"];

    /// Makes both hosts.
    ///
    /// # Errors
    /// If `ip` cannot make them.
    pub fn new() -> Result<Self> {
        let pair = Self {
            client: Namespace::new()?,
            server: Namespace::new()?,
        };
        let peer = pair.server.path().context("a namespace of its own")?;
        run(pair.client.command("ip").args(
            [
                "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns",
            ]
            .iter()
            .chain(&[peer.as_str()]),
        ))?;
        for (namespace, ipv4, ipv6) in [
            (&pair.client, "10.77.0.1/24", "fd77::1/64"),
            (&pair.server, "10.77.0.2/24", "fd77::2/64"),
        ] {
            run(namespace
                .command("ip")
                .args(["addr", "add", ipv4, "dev", "eth0"]))?;
            run(namespace
                .command("ip")
                .args(["addr", "add", ipv6, "dev", "eth0", "nodad"]))?;
            run(namespace.command("ip").args(["link", "set", "eth0", "up"]))?;
        }
        Ok(pair)
    }
}
