//! What happens before and with the third packet.

use std::time::Duration;

use anyhow::Result;
use token_agent_tests::raw::flags::{FIN, SYN};

use super::{Case, Play};

pub(super) const CASES: &[Case] = &[
    Case::new("A72", "aaaaa", |play| {
        play.decoy(0..5).flags(SYN).later(-1).send()?;
        play.peer.is_offered()?;
        play.peer.ack().send()?;
        play.real(0..5).send()
    })
    .with_handshake()
    .hostile(),
    Case::new("A73", "aaaaabbbbb", |play| {
        play.real(0..5).flags(SYN).later(-1).send()?;
        play.peer.is_offered()?;
        play.peer.ack().send()?;
        play.real(5..10).send()
    })
    .with_handshake()
    .hostile(),
    Case::new("A74", "aaaaa", |play| {
        play.peer.syn().send()?;
        play.peer.is_offered()?;
        play.real(0..5).send()
    })
    .with_handshake(),
    Case::new("A77", "aaaaa", |play| {
        play.peer.syn().send()?;
        play.peer.is_offered()?;
        play.real(0..5).and(FIN).send()
    })
    .with_handshake(),
    Case::new("A78", "aaaaa", |play| with_the_first(play, 1_000))
        .with_handshake()
        .hostile(),
    // An old one, late.
    Case::new("A78b", "aaaaa", |play| with_the_first(play, -5_000)).with_handshake(),
    Case::new("A78d", "aaaaa", |play| with_the_first(play, 1))
        .with_handshake()
        .hostile(),
    Case::new("A79", "aaaaa", |play| {
        play.peer.syn().send()?;
        play.peer.is_offered()?;
        play.peer.restart(1_000);
        play.peer.syn().send()?;
        play.peer.pause(Duration::from_millis(50))?;
        play.peer.ack().send()?;
        play.real(0..5).send()
    })
    .with_handshake()
    .hostile(),
    Case::new("A80", "aaaaa", |play| {
        play.peer.syn().and(FIN).send()?;
        play.peer.pause(Duration::from_millis(50))?;
        play.peer.ack().send()?;
        play.real(0..5).send()
    })
    .with_handshake()
    .hostile(),
];

/// Another SYN before the handshake is over, which then goes on with the first.
fn with_the_first(play: &mut Play, later: i32) -> Result<()> {
    play.peer.syn().send()?;
    play.peer.is_offered()?;
    play.peer.syn().later(later).send()?;
    play.peer.pause(Duration::from_millis(50))?;
    play.peer.ack().send()?;
    play.real(0..5).send()
}
