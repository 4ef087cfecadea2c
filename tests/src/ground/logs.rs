//! What the applications got, by who sent it.

use std::{collections::BTreeMap, net::SocketAddr, thread, time::Duration};

use anyhow::Result;

use super::{Ground, REVOKED};
use crate::servers::{Entry, Heard, Make};

/// The logs of all servers.
#[derive(Debug)]
pub struct Logs {
    requests: BTreeMap<(Make, SocketAddr), Vec<Entry>>,
    heard: Heard,
    good: String,
    revoked: String,
}

impl Logs {
    pub(super) fn read(ground: &Ground<'_>) -> Result<Self> {
        // Some log only after they have answered, or when the connection is reset.
        thread::sleep(Duration::from_millis(500));
        let mut requests = BTreeMap::<_, Vec<_>>::new();
        for make in Make::ALL {
            for entry in ground.servers.requests(make)? {
                requests.entry((make, entry.peer)).or_default().push(entry);
            }
        }
        Ok(Self {
            requests,
            heard: ground.servers.heard()?,
            good: ground.good.clone(),
            revoked: ground.revoked.clone(),
        })
    }

    /// The requests that this peer had accepted.
    #[must_use]
    pub fn requests(&self, make: Make, peer: SocketAddr) -> &[Entry] {
        self.requests.get(&(make, peer)).map_or(&[], Vec::as_slice)
    }

    /// Those of them that bear a revoked token.
    pub fn revoked(&self, make: Make, peer: SocketAddr) -> impl Iterator<Item = &Entry> {
        self.requests(make, peer)
            .iter()
            .filter(|entry| entry.bears(&self.revoked) || entry.bears(REVOKED))
    }

    /// All requests that a server accepted, from whomever.
    pub fn all(&self, make: Make) -> impl Iterator<Item = &Entry> {
        let peers = self.requests.iter().filter(move |((of, _), _)| *of == make);
        peers.flat_map(|(_, entries)| entries)
    }

    /// Those of them that bear a revoked token.
    pub fn all_revoked(&self, make: Make) -> impl Iterator<Item = &Entry> {
        self.all(make)
            .filter(|entry| entry.bears(&self.revoked) || entry.bears(REVOKED))
    }

    /// Revoked requests of which the server could not tell who sent them, because their connections were reset.
    pub fn revoked_of_nobody(&self) -> impl Iterator<Item = &Entry> {
        let nobody = SocketAddr::from(([0_u16; 8], 0));
        Make::ALL
            .into_iter()
            .flat_map(move |make| self.revoked(make, nobody))
    }

    /// Those of them that bear the valid one.
    pub fn good(&self, make: Make, peer: SocketAddr) -> impl Iterator<Item = &Entry> {
        self.requests(make, peer)
            .iter()
            .filter(|entry| entry.bears(&self.good))
    }

    /// What the one without HTTP heard of this peer, and how it ended.
    #[must_use]
    pub fn heard(&self, peer: SocketAddr) -> (&[u8], &str) {
        self.heard
            .get(&peer)
            .map_or((&[], "open"), |(bytes, end)| (bytes, end))
    }

    /// Whether an application that reads these bytes would find a request with that token:
    /// its head is complete, or the connection ended in it.
    #[must_use]
    pub fn is_served(heard: (&[u8], &str), token: &str) -> bool {
        let (bytes, end) = heard;
        let text = String::from_utf8_lossy(bytes);
        text.match_indices(token)
            .any(|(at, _)| end == "fin" || text[at..].contains("\r\n\r\n"))
    }

    /// Whether the one without HTTP was brought to hear a revoked request.
    #[must_use]
    pub fn heard_revoked(&self, peer: SocketAddr) -> bool {
        Self::is_served(self.heard(peer), &self.revoked)
    }

    /// Whether it heard the good one.
    #[must_use]
    pub fn heard_good(&self, peer: SocketAddr) -> bool {
        Self::is_served(self.heard(peer), &self.good)
    }
}
