//! The rules of the stream, one test for each, on both programs.

mod cookies;
mod delivery;
mod end;
mod handshake;
mod order;
mod packets;
mod repetitions;
mod rollback;
mod upgrades;
mod ways;

use anyhow::Result;
use token_agent_tests::{
    conversation::Conversation,
    request::request,
    rows::{PROGRAMS, guard},
};

/// Runs `test` on a connection, with each program.
fn on_a_connection(test: impl Fn(&mut Conversation<'_>) -> Result<()>) -> Result<()> {
    let mut guard = guard()?;
    for program in PROGRAMS {
        test(&mut Conversation::open(&mut guard, program, 1)?)?;
    }
    Ok(())
}

/// The same on one that was neither offered nor begun.
fn on_none(test: impl Fn(&mut Conversation<'_>) -> Result<()>) -> Result<()> {
    for program in PROGRAMS {
        test(&mut Conversation::closed(&mut guard()?, program, 1))?;
    }
    Ok(())
}

fn upload(length: usize) -> String {
    request(
        "POST",
        "up",
        "good",
        &format!("Content-Length: {length}\r\n"),
    )
}

fn len(text: &str) -> u32 {
    text.len() as u32
}
