//! Rule 1, where a server keeps nothing of a handshake: SYN cookies.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::{ACK, DATA, FIN, RST},
    rows::{PROGRAMS, bearer, guard},
};

use super::{
    len, on_a_connection,
    upgrades::{SWITCHING, upgrade, with},
    upload,
};

#[test]
fn nothing_passes_with_which_syn_cookies_would_begin_elsewhere() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        let early = dropped(Reason::OutOfOrder);
        assert_eq!(it.send(0, &head[..4])?, PASSED);
        for near in 1..=3 {
            let rest = &head[near as usize..];
            assert_eq!(it.send(near, rest)?, early, "{near}");
            assert_eq!(it.send_with(ACK, near, "")?, early, "{near}");
            let far = near.wrapping_neg();
            assert_eq!(it.send(far, "?")?, dropped(Reason::BadPacket), "-{near}");
        }
        assert_eq!(it.send_with(ACK, 4, "")?, PASSED);
        // One who asks whether the server lives.
        assert_eq!(it.send_with(ACK, u32::MAX, "")?, PASSED);
        it.ack(1)?;
        assert_eq!(it.send(1, &head[1..])?, ALLOWED);
        Ok(())
    })
}

#[test]
fn what_fits_a_cookie_passes_where_a_request_begins_alone() -> Result<()> {
    on_a_connection(|it| {
        let early = dropped(Reason::OutOfOrder);
        let body = "x".repeat(400);
        let (head, next) = (upload(400), bearer("good"));
        let end = len(&head) + 400;
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        // The server answers before it has acknowledged anything, as one that has another connection might.
        it.answer(0, &"x".repeat(200))?;
        for off in 197..=203 {
            assert_eq!(it.send(off, &body[..10])?, early, "{off}");
            assert_eq!(it.send_with(ACK, off, "")?, early, "{off}");
        }
        for off in [150, 196, 204] {
            assert_eq!(it.send(off, &body[..10])?, PASSED, "{off}");
        }
        // Nor at the end of what passed, if that is in a body.
        let until = 200 - len(&head) as usize;
        assert_eq!(it.send(len(&head), &body[..until])?, PASSED);
        assert_eq!(it.send(200, &body[until..][..10])?, early);
        it.ack(len(&head))?;
        assert_eq!(it.send(200, &body[..10])?, PASSED, "the server has it");
        // When it has closed, it may forget that.
        it.server(FIN | DATA, 200, len(&head), &"x".repeat(end as usize - 200))?;
        for off in 197..=203 {
            assert_eq!(it.send(off, &body[..10])?, early, "{off}");
        }
        assert_eq!(it.send(len(&head), body.as_str())?, PASSED);
        it.ack(end)?;
        // Here it would be read alike; but what goes on behind its end is another connection.
        let mut segment = it.segment(DATA, end, next.as_str());
        segment.acknowledgment = segment.acknowledgment.wrapping_add(end - 199);
        assert_eq!(it.pass(&segment)?, ALLOWED);
        it.server(DATA, end - 10, end, "0123456789")?;
        assert_eq!(
            it.send(end + len(&next), "")?,
            PASSED,
            "that was sent before"
        );
        it.server(DATA, end - 2, end, "0123")?;
        assert_eq!(it.send(end, next.as_str())?, dropped(Reason::UnguardedPath));
        Ok(())
    })
}

#[test]
fn nothing_that_fits_a_cookie_passes_for_the_protocol_that_the_server_agreed_to() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        let end = len(&head);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(end, &format!("{SWITCHING}{}", "x".repeat(200)))?;
        it.server(FIN | ACK, it.sent(), end, "")?;
        let mut hidden = it.segment(DATA, end, bearer("revoked"));
        let matching = hidden.acknowledgment.wrapping_sub(it.sent() - end);
        for off in 0..=6 {
            // To a server that has forgotten the connection, this begins one, in HTTP.
            hidden.acknowledgment = matching.wrapping_add(off).wrapping_sub(3);
            assert_eq!(it.pass(&hidden)?, dropped(Reason::OutOfOrder), "{off}");
        }
        hidden.acknowledgment = matching.wrapping_add(4);
        assert_eq!(it.pass(&hidden)?, PASSED);
    }
    Ok(())
}

#[test]
fn what_fits_another_offers_cookie_does_not_pass() -> Result<()> {
    for program in PROGRAMS {
        for (other, is_near) in [(1, true), (65_538, true), (65_539, false), (1 << 25, false)] {
            let mut guard = guard()?;
            let mut it = Conversation::closed(&mut guard, program, 1);
            let (head, late) = (upload(400), dropped(Reason::OutOfOrder));
            it.renumber(1_000, 2_000);
            assert!(it.offer()?);
            it.renumber(1_000, 2_000 + other);
            assert!(it.offer()?);
            assert_eq!(it.send(0, head.as_str())?, ALLOWED);
            let early = it.send(len(&head) + 100, "x")?;
            assert_eq!(early, if is_near { late } else { PASSED }, "{other}");
            assert_eq!(it.send(0, head.as_str())?, PASSED, "from the start on");
            it.ack(len(&head))?;
            assert_eq!(it.send(len(&head) + 100, "x")?, PASSED);
            it.server(FIN | ACK, 0, len(&head), "")?;
            assert_eq!(it.send(len(&head) + 100, "x")?, late, "{other}");
        }
    }
    Ok(())
}

#[test]
fn an_offer_that_was_taken_up_is_remembered() -> Result<()> {
    for program in PROGRAMS {
        let mut guard = guard()?;
        let mut it = Conversation::closed(&mut guard, program, 1);
        it.renumber(1_000, 2_000);
        assert!(it.offer()?);
        assert_eq!(it.send(0, "")?, PASSED);
        it.server(RST, 0, 0, "")?;
        it.renumber(1_000, 3_000);
        assert!(it.offer()?);
        let head = upload(400);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        let late = dropped(Reason::OutOfOrder);
        assert_eq!(it.send(len(&head) + 100, "x")?, late);
        // One that comes when this one was begun is dropped, and remembered, too.
        let mut it = Conversation::closed(&mut guard, program, 2);
        it.renumber(1_000, 2_000);
        assert!(it.offer()?);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&head) + 100, "x")?, PASSED);
        it.renumber(1_000, 2_100);
        assert!(!it.offer()?);
        it.renumber(1_000, 2_000);
        assert_eq!(it.send(len(&head) + 100, "x")?, late);
        // Also when the connection is over that it was dropped for.
        let mut it = Conversation::closed(&mut guard, program, 3);
        it.renumber(1_000, 2_000);
        assert!(it.offer()?);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.renumber(1_000, 62_000);
        assert!(!it.offer()?);
        it.renumber(1_000, 2_000);
        it.server(RST, 0, 0, "")?;
        it.renumber(1_000, 122_000);
        assert!(it.offer()?);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&head) + 100, "x")?, late);
    }
    Ok(())
}

#[test]
fn before_anything_is_acknowledged_no_more_than_a_first_window_passes() -> Result<()> {
    on_a_connection(|it| {
        let head = upload(100_000);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(65_534, "x")?, PASSED);
        assert_eq!(it.send(65_535, "x")?, dropped(Reason::OutOfOrder));
        it.ack(1)?;
        assert_eq!(it.send(65_535, "x")?, PASSED);
        Ok(())
    })
}

#[test]
fn what_a_server_had_that_has_closed_is_not_sent_again() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.ack(len(&head))?;
        assert_eq!(it.send(20, &head[20..])?, PASSED);
        it.server(FIN | ACK, 0, len(&head), "")?;
        assert_eq!(it.send(20, &head[20..])?, dropped(Reason::BadPacket));
        assert_eq!(it.send(20, "")?, PASSED);
        assert_eq!(it.send_with(FIN | ACK, len(&head), "")?, PASSED);
        Ok(())
    })
}
