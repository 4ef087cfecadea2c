//! Heads that are begun and not finished take up what there is to keep them in.

use std::time::Duration;

use anyhow::{Result, ensure};
use token_agent_tests::{client::Client, host::PATIENCE};

use crate::field::{Field, each_hook};

/// Few, so that they are soon used up.
const SMALL: &str = "max_flows = 1024\nunacked_buffers = 64";
const BUFFERS: u64 = 64;
const PAGES: u64 = 2 * BUFFERS;

const WHILE: Duration = Duration::from_millis(300);

/// Begins a head of so many bytes on each of so many connections.
fn begin(field: &Field<'_>, count: usize, len: usize) -> Result<Vec<Client>> {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(len));
    (0..count)
        .map(|_| {
            let mut client = field.connect()?;
            client.send(&head.as_bytes()[..len])?;
            Ok(client)
        })
        .collect()
}

/// A request in two segments; whether it is answered.
fn is_served_in_two(field: &Field<'_>, most: Duration) -> Result<bool> {
    let request = field.request();
    let (begin, end) = request.as_bytes().split_at(30);
    let mut peer = field.wire.peer(field.server())?;
    peer.connect()?;
    peer.data(0, begin).send()?;
    peer.wait(most, |peer| peer.has_acked(begin.len()))?;
    peer.data(30, end).send()?;
    peer.wait(most, |peer| peer.is_answered())
}

#[test]
fn begun_on_many_connections() -> Result<()> {
    each_hook(SMALL, "", |field| {
        ensure!(is_served_in_two(field, PATIENCE)?, "before");
        let slow = begin(field, 200, 40)?;
        ensure!(field.used("unacked_buffers")? == BUFFERS);
        ensure!(field.used("unacked_pages")? <= PAGES);
        ensure!(field.counted("table_full")? > 0);
        field.assert_served()?;
        // In one segment there is nothing to remember.
        for _ in 0..20 {
            field.assert_open()?;
        }
        ensure!(!is_served_in_two(field, WHILE)?, "there was a buffer left");
        ensure!(field.used("unacked_buffers")? == BUFFERS);
        drop(slow);
        field.wait_for_used("unacked_buffers", 0)?;
        field.wait_for_used("unacked_pages", 0)?;
        ensure!(is_served_in_two(field, PATIENCE)?, "after");
        field.assert_served()
    })
}

#[test]
fn long_ones() -> Result<()> {
    each_hook(SMALL, "", |field| {
        let slow = begin(field, 10, 60_000)?;
        ensure!(field.used("unacked_pages")? <= PAGES);
        for _ in 0..5 {
            field.assert_served()?;
            field.assert_open()?;
        }
        // What the server has need not be kept, whatever is still to come.
        field.wait_for_used("unacked_pages", 0)?;
        ensure!(field.used("unacked_buffers")? == slow.len() as u64);
        drop(slow);
        field.wait_for_used("unacked_buffers", 0)?;
        ensure!(is_served_in_two(field, PATIENCE)?, "after");
        field.assert_served()
    })
}

/// The server never gets them, and so never gives them up.
#[test]
fn begun_for_the_guard_alone() -> Result<()> {
    each_hook(SMALL, "", |field| {
        field.wait_for_used("unacked_buffers", 0)?;
        let mut peers = Vec::new();
        for number in 0..100 {
            let peer = field.peer(number)?;
            peer.data(0, b"GET / HTTP/1.1\r\nHost: a")
                .bad_checksum()
                .send()?;
            peers.push(peer);
        }
        field.assert_served()?;
        field.assert_open()?;
        ensure!(field.used("unacked_buffers")? == BUFFERS);
        ensure!(field.counted("table_full")? == peers.len() as u64 - BUFFERS);
        ensure!(!is_served_in_two(field, WHILE)?, "there was a buffer left");
        // Each resets its connection.
        drop(peers);
        field.wait_for_used("unacked_buffers", 0)?;
        ensure!(is_served_in_two(field, PATIENCE)?, "after");
        field.assert_served()
    })
}
