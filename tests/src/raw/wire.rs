//! One end of the cable.

use std::{
    collections::HashMap,
    fmt,
    io::IoSliceMut,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sys::socket::{LinkAddr, MsgFlags, recvmsg, send},
};

use super::{Arrived, Peer, ethernet, listen};
use crate::host::{Pair, run};

/// Where frames are sent and seen as they are.
pub struct Wire {
    link: Arc<Link>,
    reader: Option<JoinHandle<()>>,
}

/// What peers and segments share.
pub(super) struct Link {
    socket: OwnedFd,
    /// Ethernet addresses: the client host's, the server's.
    pub(super) client: [u8; 6],
    pub(super) server: [u8; 6],
    peers: Mutex<HashMap<SocketAddr, Sender<Arrived>>>,
    count: AtomicU16,
    is_over: AtomicBool,
}

/// Longer than any frame: the kernel hands over what segmentation offload would have cut.
const LONGEST: usize = 1 << 17;

/// How long a frame is offered to a device that has no place, and how often.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(1);

impl Wire {
    /// Opens the client's end, and has the server answer the peers over it.
    ///
    /// # Errors
    /// If this is not root, or `ip` fails.
    pub fn open(pair: &Pair) -> Result<Self> {
        for (family, peers, client) in [
            ("-4", "10.78.0.0/16", "10.77.0.1"),
            ("-6", "fd78::/64", "fd77::1"),
        ] {
            let mut ip = pair.server.command("ip");
            run(ip.args([family, "route", "replace", peers, "via", client]))?;
        }
        Self::open_on(pair, "eth0")
    }

    /// Opens the client's end of another cable between the hosts, whose ends both have this name.
    ///
    /// # Errors
    /// If this is not root, or there is no such interface.
    pub fn open_on(pair: &Pair, interface: &str) -> Result<Self> {
        let server = ethernet(&pair.server, interface)?;
        let client = ethernet(&pair.client, interface)?;
        let socket = pair.client.within(|| listen(&client))??;
        let link = Arc::new(Link {
            socket,
            client: client.addr().context("an Ethernet address")?,
            server: server.addr().context("an Ethernet address")?,
            peers: Mutex::default(),
            count: AtomicU16::new(0),
            is_over: AtomicBool::new(false),
        });
        let reader = Arc::clone(&link);
        Ok(Self {
            link,
            reader: Some(thread::spawn(move || reader.read())),
        })
    }

    /// A new peer for this server, with an address that none had before it.
    ///
    /// # Errors
    /// If there were 65,535 of them.
    pub fn peer(&self, server: SocketAddr) -> Result<Peer> {
        let number = self.link.count.fetch_add(1, Ordering::Relaxed);
        let number = number.checked_add(1).context("peers have run out")?;
        let [high, low] = number.to_be_bytes();
        let address: IpAddr = match server.ip() {
            IpAddr::V4(_) => Ipv4Addr::new(10, 78, high, low).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd78, 0, 0, 0, 0, 0, 0, number).into(),
        };
        Ok(self.peer_at(SocketAddr::new(address, 40_000 + number % 20_000), server))
    }

    /// A new peer with this address, which the server must find by itself.
    #[must_use]
    pub fn peer_at(&self, client: SocketAddr, server: SocketAddr) -> Peer {
        Peer::new(Arc::clone(&self.link), client, server)
    }

    /// The same connection, seen from this cable: only to send.
    #[must_use]
    pub fn twin(&self, peer: &Peer) -> Peer {
        peer.twin(Arc::clone(&self.link))
    }

    /// The Ethernet address of this end, from which all peers send.
    #[must_use]
    pub fn ethernet(&self) -> [u8; 6] {
        self.link.client
    }
}

impl Link {
    /// Sends it, and waits while the other end has no place: its receive ring holds 256 frames, and a busy
    /// processor may be late to empty it. What was not taken was not sent, so it is offered again.
    pub(super) fn send(&self, frame: &[u8]) -> Result<()> {
        let patience = Instant::now() + PATIENCE;
        loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                Err(Errno::ENOBUFS) if Instant::now() < patience => thread::sleep(PAUSE),
                sent => {
                    let what = || format!("cannot send a frame of {} bytes", frame.len());
                    return sent.map(drop).with_context(what);
                }
            }
        }
    }

    /// Has what arrives for this address put aside.
    pub(super) fn register(&self, address: SocketAddr) -> Receiver<Arrived> {
        let (sender, receiver) = mpsc::channel();
        self.peers().insert(address, sender);
        receiver
    }

    pub(super) fn forget(&self, address: SocketAddr) {
        self.peers().remove(&address);
    }

    fn peers(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, Sender<Arrived>>> {
        self.peers.lock().expect("nobody panics with it")
    }

    fn read(&self) {
        let mut frame = vec![0; LONGEST];
        while !self.is_over.load(Ordering::Relaxed) {
            let mut parts = [IoSliceMut::new(&mut frame)];
            let received =
                recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, None, MsgFlags::empty());
            let length = match received {
                Ok(message) => message.bytes,
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                // The interface is gone, and with it the test.
                Err(_) => return,
            };
            let Some((address, arrived)) = Arrived::read(&frame[..length]) else {
                continue;
            };
            if let Some(peer) = self.peers().get(&address) {
                // A peer that has just gone needs it no more.
                let _ = peer.send(arrived);
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.link.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // If it panicked, that was printed.
            let _ = reader.join();
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.link.fmt(f)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
