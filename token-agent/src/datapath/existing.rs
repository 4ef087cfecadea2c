//! Connections that are older than the guard. Where one of their requests begins
//! is known to nobody, so nothing passes on them: they are closed, or left to
//! themselves, as each service wants it. On those that have received nothing yet,
//! the first one begins at the first byte: the guard can go on with them.

mod diag;
mod question;

use std::{fmt, io, net::SocketAddr, thread, time::Duration};

use netlink_packet_core::Nla as _;
use netlink_packet_sock_diag::inet::{InetResponse, SocketId, StateFlags, nlas::Nla};
use nix::errno::Errno;
use token_agent_common::abi::Standing;

use super::DatapathError;
use crate::config::{ExistingConnections, Listeners, Mode, Service};
use diag::Diag;

/// How long a packet may take from where the guard is to the socket. What had come past before the guard was there
/// has arrived by then, and is counted as received.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// A connection to a service, as the server's host has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Existing {
    /// The server's end.
    local: SocketAddr,
    /// The client's end.
    remote: SocketAddr,
    /// What arrived from the client, without gaps; none if the kernel does not tell.
    bytes_received: Option<u64>,
    /// How many segments with data arrived, also those behind a gap; none as above.
    data_segments: Option<u32>,
    /// Whether another protocol lies between TCP and the server (Multipath TCP, TLS in the kernel).
    is_layered: bool,
    id: SocketId,
}

/// What became of the connections of one service.
#[derive(Debug, Default)]
pub struct Settled {
    /// The service.
    pub service: String,
    /// How many were closed.
    pub closed: u32,
    /// How many the guard goes on with.
    pub adopted: u32,
    /// How many were left to themselves.
    pub left: u32,
    /// How many could not be closed, and why the last of them could not.
    pub failed: Option<(u32, io::Error)>,
}

impl Existing {
    /// Whether nothing was received on it yet, so that its first request is still to come.
    fn is_fresh(&self) -> bool {
        self.bytes_received == Some(0) && self.data_segments == Some(0) && !self.is_layered
    }
}

/// Does with the connections of each service as it wants; one that is only monitored is not disturbed.
/// `ask` tells how the guard stands to a connection, and has it go on with one that is unknown if it is told to.
///
/// # Errors
/// If the kernel does not list them.
pub(super) fn settle(
    services: &[Service],
    mut ask: impl FnMut(&Existing, bool) -> Standing,
) -> Result<Vec<Settled>, DatapathError> {
    let adopts = |service: &Service| service.existing_connections == ExistingConnections::Adopt;
    let concerns = |service: &Service| {
        adopts(service)
            || service.mode == Mode::Enforce
                && service.existing_connections == ExistingConnections::Close
    };
    if !services.iter().any(concerns) {
        return Ok(Vec::new());
    }
    if services.iter().any(adopts) {
        thread::sleep(UNDER_WAY);
    }
    let listeners = Listeners::new(services);
    let diag = Diag::open().map_err(DatapathError::Connections)?;
    let mut settled: Vec<Settled> = Vec::new();
    for existing in list(&diag).map_err(DatapathError::Connections)? {
        let Some(service) = listeners.service_at(existing.local) else {
            continue;
        };
        let standing = match ask(&existing, adopts(service) && existing.is_fresh()) {
            // It began after the guard.
            Standing::Known => continue,
            // What was sent while it was unknown is known only once that is done.
            Standing::Adopted if diag.is_there(&existing.id) => ask(&existing, false),
            Standing::Adopted | Standing::Unknown => Standing::Unknown,
        };
        let known = settled.iter().position(|one| one.service == service.name);
        let at = known.unwrap_or_else(|| {
            settled.push(Settled::of(service));
            settled.len() - 1
        });
        let done = &mut settled[at];
        match (standing, service.mode, service.existing_connections) {
            (Standing::Known | Standing::Adopted, _, _) => done.adopted += 1,
            (Standing::Unknown, Mode::Monitor, _)
            | (Standing::Unknown, Mode::Enforce, ExistingConnections::Drop) => done.left += 1,
            (
                Standing::Unknown,
                Mode::Enforce,
                ExistingConnections::Adopt | ExistingConnections::Close,
            ) => done.close(diag.destroy(&existing.id)),
        }
    }
    Ok(settled)
}

fn list(diag: &Diag) -> io::Result<Vec<Existing>> {
    let connected = StateFlags::all()
        - (StateFlags::LISTEN | StateFlags::TIME_WAIT | StateFlags::CLOSE | StateFlags::SYN_SENT);
    let found = diag.list(&connected)?;
    Ok(found.into_iter().map(Existing::from).collect())
}

impl From<InetResponse> for Existing {
    fn from(response: InetResponse) -> Self {
        /// Where `tcp_info` has what is asked for; it only ever grows.
        const BYTES_RECEIVED: usize = 128;
        const DATA_SEGMENTS: usize = 152;
        /// The attribute that tells of another protocol (`INET_DIAG_ULP_INFO`).
        const LAYER: u16 = 19;

        let id = response.header.socket_id;
        let info = response.nlas.iter().find_map(|nla| {
            if let Nla::TcpInfo(bytes) = nla {
                Some(bytes.as_slice())
            } else {
                None
            }
        });
        let at = |offset| info.and_then(|bytes| bytes.get(offset..));
        let bytes = at(BYTES_RECEIVED).and_then(|bytes| bytes.first_chunk());
        let segments = at(DATA_SEGMENTS).and_then(|bytes| bytes.first_chunk());
        let is_layered = response.nlas.iter().any(|nla| nla.kind() == LAYER);
        Self {
            local: SocketAddr::new(id.source_address.to_canonical(), id.source_port),
            remote: SocketAddr::new(id.destination_address.to_canonical(), id.destination_port),
            bytes_received: bytes.copied().map(u64::from_ne_bytes),
            data_segments: segments.copied().map(u32::from_ne_bytes),
            is_layered,
            id,
        }
    }
}

impl Settled {
    fn of(service: &Service) -> Self {
        Self {
            service: service.name.clone(),
            ..Self::default()
        }
    }

    fn close(&mut self, done: io::Result<()>) {
        match done {
            Ok(()) => self.closed += 1,
            // It ended by itself.
            Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => {}
            Err(error) => {
                let before = self.failed.as_ref().map_or(0, |(count, _)| *count);
                self.failed = Some((before + 1, error));
            }
        }
    }

    /// What is to be told, if not all could be done.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let (count, error) = self.failed.as_ref()?;
        let why: &dyn fmt::Display = if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) {
            &"this kernel was built without CONFIG_INET_DIAG_DESTROY"
        } else {
            error
        };
        Some(format!(
            "{count} connections to service {} that are older than the guard could not be closed: {why}; nothing passes on them, so restart the server, or set existing_connections = \"drop\"",
            self.service
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_closes_nothing_is_told() {
        let mut settled = Settled {
            service: "orders".into(),
            ..Settled::default()
        };
        settled.close(Ok(()));
        settled.close(Err(Errno::ENOENT.into()));
        assert_eq!((settled.closed, settled.trouble()), (1, None));
        settled.close(Err(Errno::EOPNOTSUPP.into()));
        settled.close(Err(Errno::EOPNOTSUPP.into()));
        let told = settled.trouble().unwrap();
        assert!(
            told.starts_with("2 connections to service orders")
                && told.contains("CONFIG_INET_DIAG_DESTROY"),
            "{told}"
        );
    }
}
