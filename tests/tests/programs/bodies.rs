//! Which bytes belong to a body and are not judged, on both programs.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    request::request,
    rows::{PROGRAMS, bearer, guard},
};

#[test]
fn bodies_are_no_heads() -> Result<()> {
    let mut guard = guard()?;
    let bait = bearer("revoked");
    let head = request("POST", "up", "good", "Content-Length: 1000\r\n");
    let (body, end) = (head.len() as u32, head.len() as u32 + 1_000);
    let filler = "x".repeat(700 - bait.len());
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(body, bait.as_str())?, PASSED);
        assert_eq!(it.send(body, bait.as_str())?, PASSED, "again");
        assert_eq!(it.send(body + 700, "y".repeat(300))?, PASSED, "early");
        let rest = body + bait.len() as u32;
        assert_eq!(it.send(rest, filler.as_str())?, PASSED, "late");
        it.ack(end)?;
        assert_eq!(it.send(end, bait.as_str())?, dropped(Reason::Revoked));
        let across = format!("yyyyy{bait}");
        assert_eq!(it.send(end - 5, across)?, dropped(Reason::Revoked));
        let across = format!("yyyyy{}", bearer("good"));
        assert_eq!(it.send(end - 5, across)?, ALLOWED);
        assert_eq!(it.send(body, bait.as_str())?, PASSED, "the server has it");
        // All in one segment.
        let next = end + bearer("good").len() as u32;
        let whole = format!("{head}{}{bait}", "z".repeat(1_000));
        assert_eq!(it.send(next, whole)?, dropped(Reason::Revoked));
        let whole = format!("{head}{bait:z<1000}");
        assert_eq!(it.send(next, whole)?, ALLOWED);
    }
    Ok(())
}

#[test]
fn a_body_may_be_longer_than_the_sequence_space() -> Result<()> {
    let mut guard = guard()?;
    let length = 5_000_000_000_u64;
    let head = request(
        "PUT",
        "up",
        "good",
        &format!("Content-Length: {length}\r\n"),
    );
    let bait = bearer("revoked");
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        let body = head.len() as u64;
        let mut at = body;
        while at < body + length {
            assert_eq!(it.send(at as u32, bait.as_str())?, PASSED, "{at}");
            // As far ahead as a window reaches.
            at = (at + (1 << 30) - 1_000).min(body + length);
            it.ack(at as u32)?;
        }
        assert_eq!(it.send(at as u32, bait.as_str())?, dropped(Reason::Revoked));
        assert_eq!(it.send(at as u32, bearer("good"))?, ALLOWED);
    }
    Ok(())
}

#[test]
fn what_lies_beyond_any_window_is_dropped() -> Result<()> {
    let mut guard = guard()?;
    let head = request("PUT", "up", "good", "Content-Length: 5000000000\r\n");
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.ack(head.len() as u32)?;
        let beyond = head.len() as u32 + (1 << 30) - 2;
        assert_eq!(it.send(beyond, "123")?, dropped(Reason::OutOfOrder));
        assert_eq!(it.send(beyond, "12")?, PASSED);
    }
    Ok(())
}
