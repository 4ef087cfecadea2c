//! However a connection ends, its place is there for another.

use anyhow::{Result, ensure};
use token_agent_tests::{
    host::PATIENCE,
    raw::{End, Peer},
};

use crate::field::{Field, each_hook};

const SMALL: &str = "max_flows = 64\nmax_flows_per_source = 64\nunacked_buffers = 64";

/// As many as there is room for.
fn ports(field: &Field<'_>) -> std::ops::Range<u16> {
    0..(64 - field.guests.len()) as u16
}

/// Has all room be taken by peers that `leave` in some way, twice: what is lost of it is missing the second time.
fn twice(server: &str, leave: impl Fn(&Field<'_>, &mut Peer) -> Result<()>) -> Result<()> {
    each_hook(SMALL, server, |field| {
        for round in 0..2 {
            let mut peers = Vec::new();
            for port in ports(field) {
                let mut peer = field.peer(port + 100 * round)?;
                peer.be_silent();
                peers.push(peer);
            }
            ensure!(field.used("flows")? == 64, "round {round}");
            for peer in &mut peers {
                leave(field, peer)?;
            }
            field.assert_served()?;
            field.wait_for_used("flows", field.guests.len() as u64)?;
            ensure!(field.used("unacked_buffers")? <= field.guests.len() as u64);
            drop(peers);
        }
        field.assert_open()?;
        field.assert_served()
    })
}

#[test]
fn reset_by_the_client() -> Result<()> {
    twice("", |_, peer| peer.rst(0).send())
}

#[test]
fn closed_by_both() -> Result<()> {
    twice("", |_, peer| {
        peer.fin(0).send()?;
        let is_closed = peer.wait(PATIENCE, |peer| peer.end() == Some(End::Closed))?;
        ensure!(is_closed, "the server does not close");
        Ok(())
    })
}

/// Who has begun a head and is heard of no more, the server gives up.
#[test]
fn abandoned() -> Result<()> {
    let server = "; client_header_timeout 1s; reset_timedout_connection on";
    twice(server, |_, peer| {
        peer.data(0, b"GET / HTTP/1.1\r\nHost: a").send()
    })
}
