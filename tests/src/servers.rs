//! Real servers of several makes side by side, which log what the application behind them would get.

mod log;
mod start;

use std::net::SocketAddr;

use anyhow::Result;
use tempfile::TempDir;

use crate::host::{Namespace, Process};

pub use log::{Entry, Heard};

/// A server's make.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Make {
    /// HAProxy, answering by itself.
    Haproxy,
    /// Node's `http`.
    Node,
    /// nginx, answering by itself.
    Nginx,
    /// Python's `http.server`.
    Python,
}

/// Which service a server's port belongs to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Door {
    /// The one that asks for a bearer token.
    Web,
    /// The one that asks for an API key.
    Keys,
    /// The one that asks for a bearer token, and before that for a PROXY protocol header. HAProxy
    /// and nginx ask for it, too; the others take it for a bad request.
    Proxy,
}

/// One of each make, and one that knows no HTTP but logs every byte.
#[derive(Debug)]
pub struct Servers {
    _processes: Vec<Process>,
    dir: TempDir,
}

impl Make {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Haproxy, Self::Node, Self::Nginx, Self::Python];

    /// Its port.
    #[must_use]
    pub const fn port(self, door: Door) -> u16 {
        8100 + 10 * self as u16 + door as u16
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Node => "node",
            Self::Nginx => "nginx",
            Self::Python => "python",
        }
    }

    /// Its address: IPv4.
    #[must_use]
    pub fn address(self, door: Door) -> SocketAddr {
        SocketAddr::from(([10, 77, 0, 2], self.port(door)))
    }
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Web, Self::Keys, Self::Proxy];

    /// The port of the one that logs every byte.
    #[must_use]
    pub const fn listener(self) -> u16 {
        8180 + self as u16
    }

    /// The port of one like it that knows Multipath TCP.
    #[must_use]
    pub const fn multipath_listener(self) -> u16 {
        8170 + self as u16
    }

    /// The ports of all that log every byte.
    #[must_use]
    pub const fn listeners(self) -> [u16; 3] {
        [
            self.listener(),
            self.multipath_listener(),
            self.slow_listener(),
        ]
    }

    /// The port of one like it whose buffer is small and that reads nothing for a second.
    #[must_use]
    pub const fn slow_listener(self) -> u16 {
        8190 + self as u16
    }
}

impl Servers {
    /// Starts all of them and waits until they answer.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut processes = vec![start::listener(namespace, dir.path())?];
        for make in Make::ALL {
            processes.push(start::make(make, namespace, dir.path())?);
        }
        start::wait(namespace, &mut processes)?;
        Ok(Self {
            _processes: processes,
            dir,
        })
    }

    /// The `listen` list of the service behind this door, for the agent's configuration.
    #[must_use]
    pub fn listen(door: Door) -> String {
        let ports = Make::ALL.map(|make| make.port(door));
        let ports = [&ports[..], &door.listeners()].concat();
        let list: Vec<_> = ports.iter().map(|port| format!("\"*:{port}\"")).collect();
        format!("[{}]", list.join(", "))
    }

    /// The requests that the application got, in their order.
    ///
    /// # Errors
    /// If a line of the log is none.
    pub fn requests(&self, make: Make) -> Result<Vec<Entry>> {
        log::requests(make, &self.dir.path().join(format!("{}.log", make.name())))
    }

    /// What the one without HTTP got on each connection.
    ///
    /// # Errors
    /// If a line of the log is none.
    pub fn heard(&self) -> Result<Heard> {
        log::heard(&self.dir.path().join("listener.log"))
    }
}
