//! The rules of the stream, one test for each, on both programs.

use std::{thread, time::Duration};

use anyhow::Result;
use token_agent::datapath::Program;
use token_agent_common::{
    reason::Reason,
    verdict::{Audience, TokenState},
};
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::{ACK, DATA, FIN, Frame, RST, SYN, URG},
    guard::{Guard, entry},
    request::request,
    rows::{PROGRAMS, bearer, guard},
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

// Rule 1: one machine for each connection.

#[test]
fn data_without_a_connection_is_dropped() -> Result<()> {
    on_none(|it| {
        assert_eq!(it.send(0, bearer("good"))?, dropped(Reason::NoFlow));
        assert_eq!(it.send_with(ACK | FIN, 0, "")?, dropped(Reason::NoFlow));
        // With SYN cookies, the server could take this for the end of a handshake.
        assert_eq!(it.send_with(ACK, 0, "")?, dropped(Reason::NoFlow));
        assert_eq!(it.send_with(RST, 0, "")?, PASSED, "nobody minds it");
        Ok(())
    })
}

#[test]
fn only_what_takes_up_the_offer_binds() -> Result<()> {
    on_none(|it| {
        it.offer()?;
        let good = bearer("good");
        assert_eq!(it.send(1, &good[1..])?, dropped(Reason::NoFlow));
        assert_eq!(it.send_with(ACK, 1, "")?, dropped(Reason::NoFlow));
        let mut other = it.segment(ACK, 0, "");
        other.acknowledgment += 1;
        assert_eq!(it.pass(&other)?, dropped(Reason::NoFlow));
        assert_eq!(it.send(0, good)?, ALLOWED);
        Ok(())
    })
}

#[test]
fn either_of_two_offers_can_be_taken_up() -> Result<()> {
    on_none(|it| {
        for (client, server) in [(7, 70), (8, 80), (9, 90), (10, 100)] {
            it.renumber(client, server);
            assert!(it.offer()?);
        }
        it.renumber(8, 80);
        assert_eq!(it.send(0, bearer("good"))?, ALLOWED);
        // The others are none any more.
        it.renumber(9, 90);
        assert_ne!(it.send(0, bearer("good"))?, ALLOWED);
        Ok(())
    })
}

#[test]
fn a_senders_syn_fin_and_rst_begin_nothing_anew() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("revoked");
        let (first, rest) = head.split_at(head.len() - 4);
        assert_eq!(it.send(0, first)?, PASSED);
        assert_eq!(it.send_with(SYN, 500, "")?, PASSED);
        assert_eq!(it.send_with(RST, 5_000, "")?, dropped(Reason::BadPacket));
        // The server obeys one before what it expects only behind a FIN.
        assert_eq!(it.send_with(RST, u32::MAX, "")?, PASSED);
        assert_eq!(it.send(len(first), rest)?, dropped(Reason::Revoked));
        assert_eq!(
            it.send(len(first), bearer("good"))?,
            dropped(Reason::DuplicateCredential)
        );
        Ok(())
    })
}

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
        it.ack(len(&head))?;
        assert_eq!(it.send(200, &body[..10])?, PASSED, "the server has it");
        // When it has closed, it may forget that.
        it.server(FIN | ACK, 200, len(&head), "")?;
        for off in 197..=203 {
            assert_eq!(it.send(off, &body[..10])?, early, "{off}");
        }
        assert_eq!(it.send(len(&head), body.as_str())?, PASSED);
        it.ack(end)?;
        // Here it would be read alike.
        it.server(DATA, 201, end, &"x".repeat(end as usize - 201))?;
        let mut segment = it.segment(DATA, end, next.as_str());
        segment.acknowledgment = segment.acknowledgment.wrapping_add(end - 200);
        let mut before = segment.clone();
        before.acknowledgment = before.acknowledgment.wrapping_sub(1);
        assert_eq!(it.pass(&before)?, early);
        assert_eq!(it.pass(&segment)?, ALLOWED);
        Ok(())
    })
}

#[test]
fn what_fits_another_offers_cookie_does_not_pass() -> Result<()> {
    for program in PROGRAMS {
        for (other, is_near) in [(4, true), (65_538, true), (65_539, false), (1 << 25, false)] {
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
fn the_server_is_heard_by_its_own_numbers_alone() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        assert_eq!(it.send(0, &head[..20])?, PASSED);
        // Before the first byte but one, and far ahead.
        for at in [u32::MAX - 1, 1 << 31, (1 << 16) + 1] {
            it.server(ACK, at, 5, "")?;
            let early = dropped(Reason::OutOfOrder);
            assert_eq!(
                it.send_with(ACK, 1, "")?,
                early,
                "{at}: nothing was acknowledged"
            );
        }
        // A probe.
        it.server(ACK, u32::MAX, 5, "")?;
        assert_eq!(it.send_with(ACK, 1, "")?, PASSED);
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

#[test]
fn another_syn_ack_ends_the_connection_before() -> Result<()> {
    on_a_connection(|it| {
        assert_eq!(it.send(0, &bearer("good")[..20])?, PASSED);
        assert!(it.offer()?, "the same pair is nothing new");
        assert_eq!(it.send(20, &bearer("good")[20..])?, ALLOWED);
        it.renumber(5, 6);
        assert!(it.offer()?);
        assert_eq!(it.send(3, &bearer("good")[3..])?, dropped(Reason::NoFlow));
        assert_eq!(it.send(0, bearer("good"))?, ALLOWED);
        Ok(())
    })
}

#[test]
fn what_was_reset_begins_with_other_numbers_only() -> Result<()> {
    on_a_connection(|it| {
        let good = bearer("good");
        assert_eq!(it.send(0, &good[..20])?, PASSED);
        assert_eq!(it.send_with(RST | ACK, 20, "")?, PASSED);
        assert!(it.offer()?, "the server may not have got the reset");
        assert_eq!(it.send(0, good.as_str())?, dropped(Reason::NoFlow));
        it.renumber(15, 16);
        assert!(it.offer()?);
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        // The server's, and one with which Linux ends a connection behind a FIN.
        it.server(RST, 0, 0, "")?;
        assert_eq!(it.send(len(&good), good.as_str())?, dropped(Reason::NoFlow));
        it.renumber(17, 18);
        assert!(it.offer()?);
        assert_eq!(it.send_with(DATA | FIN, 0, good.as_str())?, ALLOWED);
        it.ack(len(&good) + 1)?;
        assert_eq!(it.send_with(RST | ACK, len(&good), "")?, PASSED);
        assert_eq!(
            it.send_with(ACK | FIN, len(&good), "")?,
            dropped(Reason::NoFlow)
        );
        Ok(())
    })
}

#[test]
fn an_offer_near_the_connections_numbers_is_none() -> Result<()> {
    for program in PROGRAMS {
        let mut guard = guard()?;
        let mut it = Conversation::closed(&mut guard, program, 1);
        let good = bearer("good");
        it.renumber(100_000, 200_000);
        assert!(it.offer()?);
        assert_eq!(it.send(0, &good[..20])?, PASSED);
        it.ack(20)?;
        let near = [0, 1, 3, 1 << 16, u32::MAX, (1_u32 << 30).wrapping_neg()];
        for near in near {
            it.renumber(100_010, 200_000_u32.wrapping_add(near));
            assert!(!it.offer()?, "{near}");
            assert!(it.send(0, good.as_str())?.is_err());
        }
        it.renumber(100_000, 200_000);
        assert_eq!(it.send(20, &good[20..])?, ALLOWED, "it goes on");
        // Nor when it is over, if the server cannot be known to know that.
        assert_eq!(it.send_with(RST | ACK, len(&good), "")?, PASSED);
        it.renumber(100_010, 200_010);
        assert!(!it.offer()?);
        assert_eq!(it.send(0, good.as_str())?, dropped(Reason::NoFlow));
        // As Linux goes on where it has a connection that has ended.
        it.renumber(100_000, 200_000 + (1 << 16) + 1);
        assert!(it.offer()?);
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        it.server(RST, 0, 0, "")?;
        it.renumber(100_000, 200_000 + (1 << 16));
        assert!(it.offer()?, "the server knows nothing of the one before");
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
    }
    Ok(())
}

#[test]
fn an_acknowledgment_of_what_was_not_sent_is_dropped() -> Result<()> {
    on_a_connection(|it| {
        for wrong in [1, 1_000, 1 << 31, u32::MAX] {
            let mut segment = it.segment(DATA, 0, bearer("good"));
            segment.acknowledgment = segment.acknowledgment.wrapping_add(wrong);
            assert_eq!(it.pass(&segment)?, dropped(Reason::BadPacket), "{wrong}");
            segment.payload.clear();
            assert_eq!(it.pass(&segment)?, dropped(Reason::BadPacket), "{wrong}");
        }
        assert_eq!(it.send(0, bearer("good"))?, ALLOWED);
        Ok(())
    })
}

// Rule 2: deciding bytes are read in order, opaque ones pass in any.

#[test]
fn a_head_may_come_in_any_number_of_segments() -> Result<()> {
    on_a_connection(|it| {
        let mut at = 0;
        for token in ["good", "revoked"] {
            let head = bearer(token);
            for i in 0..head.len() {
                let expected = if i + 1 < head.len() {
                    PASSED
                } else if token == "good" {
                    ALLOWED
                } else {
                    dropped(Reason::Revoked)
                };
                assert_eq!(it.send(at + i as u32, &head[i..=i])?, expected, "byte {i}");
                if at == 0 && i == 0 {
                    it.ack(1)?;
                }
            }
            at += len(&head);
        }
        Ok(())
    })
}

#[test]
fn deciding_bytes_wait_for_those_before_them() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        assert_eq!(it.send(20, &head[20..])?, dropped(Reason::OutOfOrder));
        assert_eq!(it.send(0, &head[..20])?, PASSED);
        assert_eq!(it.send(20, &head[20..])?, ALLOWED);
        Ok(())
    })
}

#[test]
fn a_body_passes_in_any_order() -> Result<()> {
    on_a_connection(|it| {
        let head = upload(1_000);
        let body = len(&head);
        let next = bearer("good");
        assert_eq!(it.send(0, head)?, ALLOWED);
        assert_eq!(it.send(body + 400, vec![b'x'; 300])?, PASSED);
        assert_eq!(
            it.send(body + 700, vec![b'x'; 301])?,
            dropped(Reason::OutOfOrder)
        );
        assert_eq!(it.send(body, vec![b'x'; 400])?, PASSED);
        // The server has what came before.
        it.ack(body + 700)?;
        let rest = [vec![b'x'; 300], next.into_bytes()].concat();
        assert_eq!(it.send(body + 700, rest)?, ALLOWED);
        Ok(())
    })
}

// Rule 3: passed is not received.

#[test]
fn what_was_not_acknowledged_is_repeated_as_it_was() -> Result<()> {
    on_a_connection(|it| {
        let head = request("GET", "other", "good", "Cookie: 1234567890\r\n");
        assert_eq!(it.send(0, &head[..50])?, PASSED);
        assert_eq!(it.send(50, &head[50..])?, ALLOWED);
        // In other cuts, and with more behind it.
        assert_eq!(it.send(13, &head[13..60])?, PASSED);
        assert_eq!(it.send(5, head[5..].to_owned() + &bearer("good"))?, ALLOWED);
        let mut other = head.clone();
        other.replace_range(60..61, "?");
        assert_eq!(it.send(0, other)?, dropped(Reason::ChangedRetransmission));
        assert_eq!(
            it.send(0, head)?,
            dropped(Reason::ChangedRetransmission),
            "it is dead"
        );
        Ok(())
    })
}

#[test]
fn every_byte_of_a_repetition_is_compared() -> Result<()> {
    let mut guard = guard()?;
    let head = bearer("good");
    for program in PROGRAMS {
        for at in [0, 1, 7, 8, 15, 40, head.len() - 2, head.len() - 1] {
            let mut other = head.clone().into_bytes();
            other[at] ^= 1;
            for (from, to) in [(0, head.len()), (at, at + 1)] {
                let mut it = Conversation::open(&mut guard, program, 1)?;
                assert_eq!(it.send(0, head.as_str())?, ALLOWED);
                let expected = match from {
                    // Until something is acknowledged, this is too near the first byte.
                    1..4 => dropped(Reason::OutOfOrder),
                    _ => dropped(Reason::ChangedRetransmission),
                };
                assert_eq!(it.send(from as u32, &other[from..to])?, expected, "{at}");
            }
        }
    }
    Ok(())
}

#[test]
fn all_lines_of_a_body_in_chunks_are_compared() -> Result<()> {
    let mut guard = guard()?;
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    // More than are kept one by one.
    let body = request("POST", "up", "good", "Transfer-Encoding: chunked\r\n") + &chunk.repeat(30);
    for program in PROGRAMS {
        for i in 1..=30 {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            assert_eq!(it.send(0, body.as_str())?, ALLOWED);
            let mut other = body.clone().into_bytes();
            let at = other.len() - i * chunk.len();
            other[at] = b'0';
            let changed = dropped(Reason::ChangedRetransmission);
            assert_eq!(it.send(0, other)?, changed, "{i} from the end");
        }
    }
    Ok(())
}

#[test]
fn a_segment_is_split_at_what_was_acknowledged() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        assert_eq!(it.send(0, &head[..50])?, PASSED);
        it.ack(30)?;
        // What the server has is ignored, by it and by us.
        let repeated = "?".repeat(30) + &head[30..];
        assert_eq!(it.send(0, repeated)?, ALLOWED);
        Ok(())
    })
}

#[test]
fn what_could_not_be_kept_is_not_repeated() -> Result<()> {
    on_a_connection(|it| {
        let head = request(
            "GET",
            "long",
            "good",
            &format!("Cookie: {}\r\n", "c".repeat(36_000)),
        );
        // More than can be kept of one connection.
        let both = head.clone() + &head;
        for (i, part) in both.as_bytes().chunks(1_000).enumerate() {
            assert!(it.send(i as u32 * 1_000, part)?.is_ok());
            if i == 0 {
                it.ack(1)?;
            }
        }
        let part = |i: usize| &both[i * 1_000..(i + 1) * 1_000];
        assert_eq!(it.send(1_000, part(1))?, PASSED);
        assert_eq!(it.send(64_000, part(64))?, PASSED);
        // As many as are kept, and one more; and the last one.
        let (kept, end) = (1 << 16, len(&both));
        assert_eq!(
            it.send(kept - 10, &both[kept as usize - 10..][..10])?,
            PASSED
        );
        for (at, count) in [(kept - 10, 11), (kept, 1), (end - 1, 1)] {
            let some = &both[at as usize..][..count];
            assert_eq!(it.send(at, some)?, dropped(Reason::Unrepeatable), "{at}");
        }
        for _ in 0..5 {
            assert_eq!(it.send(70_000, part(70))?, dropped(Reason::Unrepeatable));
        }
        it.ack(len(&both))?;
        assert_eq!(it.send(70_000, part(70))?, PASSED, "the server has it");
        assert_eq!(it.send(len(&both), bearer("good"))?, ALLOWED);
        Ok(())
    })
}

#[test]
fn who_goes_on_repeating_what_was_not_kept_is_cut_off() -> Result<()> {
    on_a_connection(|it| {
        let head = |length| {
            let cookie = format!("Cookie: {}\r\n", "c".repeat(length));
            request("GET", "long", "good", &cookie)
        };
        let both = head(40_000) + &head(40_000);
        for (i, part) in both.as_bytes().chunks(1_000).enumerate() {
            assert!(it.send(i as u32 * 1_000, part)?.is_ok());
            if i == 0 {
                it.ack(1)?;
            }
        }
        let last = len(&both) - 1;
        for _ in 0..9 {
            assert_eq!(it.send(last, "\n")?, dropped(Reason::Unrepeatable));
        }
        it.ack(len(&both))?;
        let next = bearer("good");
        assert_eq!(it.send(last + 1, next)?, dropped(Reason::Unrepeatable));
        Ok(())
    })
}

#[test]
fn single_bytes_are_kept_together() -> Result<()> {
    on_a_connection(|it| {
        let head = bearer("good");
        assert_eq!(it.send(0, &head[..4])?, PASSED);
        for i in 4..head.len() {
            assert!(it.send(i as u32, &head[i..=i])?.is_ok());
        }
        assert_eq!(it.send(0, head.as_str())?, PASSED);
        let other = head.replace("good", "Good");
        assert_eq!(it.send(0, other)?, dropped(Reason::ChangedRetransmission));
        Ok(())
    })
}

// Rule 4: judged is not delivered.

#[test]
fn a_head_that_is_long_on_its_way_is_judged_again() -> Result<()> {
    on_a_connection(|it| {
        let active = entry(TokenState::Active, Audience::EVERY);
        let revoked = entry(TokenState::Revoked, Audience::EVERY);
        it.guard.put("brief", active)?;
        let head = bearer("brief");
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.ack(10)?;
        thread::sleep(Duration::from_millis(1_200));
        assert_eq!(it.send(10, &head[10..])?, PASSED, "it would still pass");
        it.guard.put("brief", revoked)?;
        assert_eq!(it.send(10, &head[10..])?, PASSED, "not for long");
        thread::sleep(Duration::from_millis(1_200));
        assert_eq!(it.send(10, &head[10..])?, dropped(Reason::Undelivered));
        it.ack(len(&head))?;
        assert_eq!(
            it.send(len(&head), bearer("good"))?,
            dropped(Reason::Undelivered)
        );
        Ok(())
    })
}

#[test]
fn what_is_judged_again_must_fulfil_all_the_rest() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        thread::sleep(Duration::from_millis(1_200));
        let mut unsent = it.segment(DATA, 0, head.as_str());
        unsent.acknowledgment += 1;
        assert_eq!(it.pass(&unsent)?, dropped(Reason::BadPacket));
        // The server switches before it has been asked to.
        it.answer(0, SWITCHING)?;
        assert_eq!(it.send(0, head.as_str())?, dropped(Reason::UpgradeRefused));
    }
    Ok(())
}

#[test]
fn of_more_tokens_than_are_kept_none_is_judged_again() -> Result<()> {
    on_a_connection(|it| {
        let mut at = 0;
        for i in 0..5 {
            let token = format!("good{i}");
            it.guard.allow(&token)?;
            let head = bearer(&token);
            assert_eq!(it.send(at, head.as_str())?, ALLOWED);
            at += len(&head);
        }
        thread::sleep(Duration::from_millis(1_200));
        assert_eq!(it.send(at, "")?, dropped(Reason::Undelivered));
        Ok(())
    })
}

// Rule 5: a FIN decides.

#[test]
fn a_fin_in_the_middle_of_something_ends_it() -> Result<()> {
    let chunked = request("POST", "up", "good", "Transfer-Encoding: chunked\r\n");
    let cuts = [
        (bearer("good")[..40].to_owned(), false),
        (bearer("good"), true),
        (upload(10), true),
        (upload(10) + "12345", true),
        (upload(10) + "1234567890", true),
        (upload(10) + "1234567890\r", false),
        (chunked.clone() + "5", false),
        (chunked.clone() + "5\r\n12", true),
        (chunked.clone() + "5\r\n12345\r\n", false),
        (chunked.clone() + "0\r\nTrailer: 1\r\n", false),
        (chunked + "0\r\n\r\n", true),
    ];
    let mut guard = guard()?;
    for program in PROGRAMS {
        for (sent, passes) in &cuts {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            let outcome = it.send_with(DATA | FIN, 0, sent.as_str())?;
            assert_eq!(outcome.is_ok(), *passes, "{sent:?}");
            let mut it = Conversation::open(&mut guard, program, 1)?;
            let outcome = it.send(0, sent.as_str())?;
            assert!(outcome.is_ok(), "{sent:?}: {outcome:?}");
            let outcome = it.send_with(ACK | FIN, len(sent), "")?;
            let expected = if *passes {
                PASSED
            } else {
                dropped(Reason::Malformed)
            };
            assert_eq!(outcome, expected, "{sent:?}");
            if !passes {
                // Whoever has ended cannot go on.
                let outcome = it.send(len(sent), "\r\n")?;
                assert_eq!(outcome, expected, "{sent:?}, and more");
            }
        }
    }
    Ok(())
}

/// And only there: who is reset without it goes on.
#[test]
fn a_reset_counts_where_a_server_obeys_it() -> Result<()> {
    on_a_connection(|it| {
        let good = bearer("good");
        let end = len(&good);
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        it.ack(end)?;
        assert_eq!(it.send_with(RST, end - 1, "")?, PASSED);
        let beyond = it.send_with(RST, end + 1, "")?;
        assert_eq!(beyond, dropped(Reason::BadPacket));
        assert_eq!(it.send_with(DATA | FIN, end, good.as_str())?, ALLOWED);
        let beyond = it.send_with(RST, 2 * end + 2, "")?;
        assert_eq!(beyond, dropped(Reason::BadPacket));
        it.ack(2 * end + 1)?;
        assert_eq!(it.send_with(RST, 2 * end + 1, "")?, PASSED);
        let over = it.send(2 * end, good.as_str())?;
        assert_eq!(over, dropped(Reason::NoFlow));
        Ok(())
    })
}

#[test]
fn a_stream_ends_where_it_has_ended() -> Result<()> {
    on_a_connection(|it| {
        let good = bearer("good");
        assert_eq!(it.send_with(DATA | FIN, 0, good.as_str())?, ALLOWED);
        assert_eq!(it.send_with(DATA | FIN, 0, good.as_str())?, PASSED, "again");
        assert_eq!(
            it.send(len(&good), "G")?,
            dropped(Reason::ChangedRetransmission)
        );
        Ok(())
    })
}

#[test]
fn a_stream_ends_in_a_body_where_it_has_ended() -> Result<()> {
    let mut guard = guard()?;
    let head = upload(1_000);
    for program in PROGRAMS {
        for early in [false, true] {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            assert_eq!(it.send(0, head.as_str())?, ALLOWED);
            let half = vec![b'x'; 300];
            let body = len(&head);
            if !early {
                assert_eq!(it.send(body, half.as_slice())?, PASSED);
            }
            let end = it.send_with(DATA | FIN, body + 300, half.as_slice())?;
            assert_eq!(end, PASSED);
            if early {
                assert_eq!(it.send(body, half.as_slice())?, PASSED);
            }
            let changed = dropped(Reason::ChangedRetransmission);
            assert_eq!(it.send(body + 600, "x")?, changed, "{early}");
        }
    }
    Ok(())
}

// Rule 6: a denied segment has not happened.

#[test]
fn nothing_is_left_of_a_denied_segment() -> Result<()> {
    on_a_connection(|it| {
        let first = bearer("good");
        let both = first.clone() + &bearer("revoked");
        assert_eq!(it.send(0, both.as_str())?, dropped(Reason::Revoked));
        assert_eq!(it.send(0, both.as_str())?, dropped(Reason::Revoked));
        let parts = both.split_at(first.len() + 10);
        assert_eq!(it.send(0, parts.0)?, ALLOWED);
        assert_eq!(it.send(len(parts.0), parts.1)?, dropped(Reason::Revoked));
        let other = bearer("good");
        assert_eq!(it.send(len(parts.0), &other[10..])?, ALLOWED);
        Ok(())
    })
}

// Rule 7: nothing comes by another way.

#[test]
fn who_has_what_never_passed_is_cut_off() -> Result<()> {
    on_a_connection(|it| {
        let good = bearer("good");
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        it.ack(len(&good) + 1)?;
        assert_eq!(
            it.send(len(&good), good.as_str())?,
            dropped(Reason::UnguardedPath)
        );
        Ok(())
    })
}

#[test]
fn a_body_may_be_acknowledged_as_it_passes() -> Result<()> {
    on_a_connection(|it| {
        let head = upload(1_000);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&head) + 500, vec![b'x'; 500])?, PASSED);
        assert_eq!(it.send(len(&head), vec![b'x'; 500])?, PASSED);
        it.ack(len(&head) + 1_000)?;
        assert_eq!(it.send(len(&head) + 1_000, bearer("good"))?, ALLOWED);
        Ok(())
    })
}

// Rule 8: what makes the server see another stream.

#[test]
fn urgent_data_is_dropped_wherever_it_is() -> Result<()> {
    on_a_connection(|it| {
        for flags in [DATA | URG, ACK | URG, ACK | FIN | URG] {
            assert_eq!(it.send_with(flags, 0, "")?, dropped(Reason::BadPacket));
            assert_eq!(
                it.send_with(flags, 0, bearer("good"))?,
                dropped(Reason::BadPacket)
            );
        }
        for flags in [SYN | FIN, SYN | RST, SYN | ACK, FIN, FIN | RST | ACK] {
            assert_eq!(
                it.send_with(flags, 0, "")?,
                dropped(Reason::BadPacket),
                "{flags:x}"
            );
        }
        for flags in [0, SYN, FIN] {
            assert_eq!(
                it.send_with(flags, 0, "GET")?,
                dropped(Reason::BadPacket),
                "{flags:x}"
            );
        }
        Ok(())
    })
}

#[test]
fn options_that_change_the_stream_mean_nothing() -> Result<()> {
    const MULTIPATH: [u8; 4] = [30, 4, 0, 0];
    const FAST_OPEN: [u8; 4] = [34, 4, 0, 0];
    // What follows the header becomes part of it.
    fn with_options(segment: &Frame) -> Vec<u8> {
        let mut frame = segment.build();
        frame[46] = (5 + segment.payload.len() as u8 / 4) << 4;
        frame
    }
    for program in PROGRAMS {
        let mut guard = guard()?;
        let mut it = Conversation::closed(&mut guard, program, 1);
        let syn = |it: &Conversation<'_>, options: &[u8]| {
            with_options(&it.segment(SYN, u32::MAX, options))
        };
        let once = syn(&it, &MULTIPATH);
        assert!(it.guard.go_on(program, &once)?.0, "it is made another one");
        let twice = syn(&it, &[MULTIPATH, MULTIPATH].concat());
        assert!(!it.guard.go_on(program, &twice)?.0);
        let good = bearer("good");
        let refused = [MULTIPATH.to_vec(), [FAST_OPEN, FAST_OPEN].concat()];
        for (options, outcome) in [
            (&refused[0], dropped(Reason::NoFlow)),
            (&refused[1], dropped(Reason::NoFlow)),
            (&FAST_OPEN.to_vec(), ALLOWED),
        ] {
            let client = it.segment(ACK, 0, "");
            let offer = with_options(&Frame {
                client: client.server,
                server: client.client,
                client_port: client.server_port,
                server_port: client.client_port,
                sequence: client.acknowledgment.wrapping_sub(1),
                acknowledgment: client.sequence,
                flags: SYN | ACK,
                payload: options.clone(),
                ..client
            });
            it.guard.kernel.rehearse(Program::Witness, &offer, 1)?;
            assert_eq!(it.send(0, good.as_str())?, outcome, "{options:?}");
        }
        // Nor where a connection is known to which it says nothing new.
        let twice = syn(&it, &[MULTIPATH, MULTIPATH].concat());
        assert!(!it.guard.go_on(program, &twice)?.0);
    }
    Ok(())
}

// Rule 9: upgrades.

fn with(options: &str) -> Result<Guard> {
    let mut guard = Guard::load(&format!(
        "[[service]]\nname = \"orders\"\nlisten = [\"10.0.0.5:8080\"]\n{options}\n"
    ))?;
    guard.allow("good")?;
    guard.put("revoked", entry(TokenState::Revoked, Audience::EVERY))?;
    Ok(guard)
}

fn upgrade() -> String {
    request(
        "GET",
        "socket",
        "good",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    )
}

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

#[test]
fn nothing_is_judged_behind_an_upgrade_that_the_server_took() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(len(&head), SWITCHING)?;
        assert_eq!(it.send(len(&head), b"\x81\x05hello".to_vec())?, PASSED);
        assert_eq!(it.send(len(&head) + 7, bearer("revoked"))?, PASSED);
    }
    Ok(())
}

#[test]
fn an_upgrade_that_the_server_did_not_take_is_none() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(len(&head), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        assert_eq!(
            it.send(len(&head), bearer("revoked"))?,
            dropped(Reason::Revoked)
        );
        assert_eq!(
            it.send(len(&head), upgrade())?,
            dropped(Reason::UpgradeRefused),
            "not the first"
        );
        assert_eq!(it.send(len(&head), bearer("good"))?, ALLOWED);
    }
    Ok(())
}

#[test]
fn an_upgrade_behind_which_something_passed_ends_the_connection() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        for together in [false, true] {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            let (head, next) = (upgrade(), bearer("good"));
            if together {
                assert_eq!(it.send(0, head.clone() + &next)?, ALLOWED);
            } else {
                assert_eq!(it.send(0, head.as_str())?, ALLOWED);
                assert_eq!(it.send(len(&head), next.as_str())?, ALLOWED);
            }
            let end = len(&head) + len(&next);
            it.answer(end, SWITCHING)?;
            assert_eq!(it.send(end, "\u{1}")?, dropped(Reason::UpgradeRefused));
            assert_eq!(
                it.send(end, bearer("good"))?,
                dropped(Reason::UpgradeRefused)
            );
        }
    }
    Ok(())
}

#[test]
fn a_server_agrees_to_no_upgrade_that_it_does_not_have() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(len(&head) - 1, SWITCHING)?;
        let expected = dropped(Reason::UpgradeRefused);
        assert_eq!(it.send(0, head.as_str())?, expected);
        it.ack(len(&head))?;
        assert_eq!(it.send(len(&head), "anything")?, expected);
    }
    Ok(())
}

#[test]
fn behind_what_is_no_answer_nothing_passes() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(len(&head), "HTTP/1.1 1")?;
        it.answer(len(&head), &SWITCHING[10..])?;
        let expected = dropped(Reason::UpgradeRefused);
        assert_eq!(it.send(len(&head), bearer("good"))?, expected);
    }
    Ok(())
}

#[test]
fn an_upgrade_is_denied_unless_it_is_allowed() -> Result<()> {
    on_a_connection(|it| {
        assert_eq!(it.send(0, upgrade())?, dropped(Reason::UpgradeRefused));
        let connect = "CONNECT a:1 HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n";
        assert_eq!(it.send(0, connect)?, dropped(Reason::UpgradeRefused));
        // A server that switches all the same.
        assert_eq!(it.send(0, bearer("good"))?, ALLOWED);
        it.answer(len(&bearer("good")), SWITCHING)?;
        assert_eq!(
            it.send(len(&bearer("good")), bearer("good"))?,
            dropped(Reason::UpgradeRefused)
        );
        Ok(())
    })
}

#[test]
fn a_tunnel_is_one_once_the_server_agreed() -> Result<()> {
    let mut guard = with("connect = \"allow\"")?;
    let connect = "CONNECT a:1 HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n";
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        assert_eq!(it.send(0, connect)?, ALLOWED);
        it.answer(len(connect), "HTTP/1.1 200 Connected\r\n\r\n")?;
        assert_eq!(it.send(len(connect), "anything")?, PASSED);
        let mut it = Conversation::open(&mut guard, program, 1)?;
        assert_eq!(it.send(0, connect)?, ALLOWED);
        it.answer(len(connect), "HTTP/1.1 405 No\r\n\r\n")?;
        assert_eq!(
            it.send(len(connect), bearer("revoked"))?,
            dropped(Reason::Revoked)
        );
    }
    Ok(())
}

#[test]
fn an_early_answer_ends_what_was_to_be_expected() -> Result<()> {
    on_a_connection(|it| {
        let head = request(
            "POST",
            "up",
            "good",
            "Content-Length: 5\r\nExpect: 100-continue\r\n",
        );
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(len(&head), "HTTP/1.1 100 Continue\r\n\r\n")?;
        assert_eq!(it.send(len(&head), "hello")?, PASSED);
        let at = len(&head) + 5;
        it.answer(at, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        assert_eq!(it.send(at, head.as_str())?, ALLOWED);
        let at = at + len(&head);
        it.answer(at, "HTTP/1.1 100 Continue\r\n\r\n")?;
        it.answer(at, "HTTP/1.1 417 Expectation Failed\r\n\r\n")?;
        assert_eq!(it.send(at, "hello")?, dropped(Reason::AnsweredEarly));
        assert_eq!(it.send(at, bearer("good"))?, dropped(Reason::AnsweredEarly));
        Ok(())
    })
}

#[test]
fn a_body_that_was_on_its_way_is_none_behind_an_early_answer() -> Result<()> {
    on_a_connection(|it| {
        let head = request(
            "POST",
            "up",
            "good",
            "Content-Length: 5\r\nExpect: 100-continue\r\n",
        );
        for body in ["hel", "hello"] {
            it.renumber(len(&head), len(body));
            it.server(RST, 0, 0, "")?;
            assert!(it.offer()?);
            assert_eq!(it.send(0, head.as_str())?, ALLOWED);
            assert_eq!(it.send(len(&head), body)?, PASSED);
            // But for the last one, the server has it.
            let received = len(&head) + len(body) - 1;
            it.answer(received, "HTTP/1.1 417 Expectation Failed\r\n\r\n")?;
            let more = it.send(
                len(&head) + len(body),
                &bearer("good")[len(body) as usize..],
            )?;
            assert_eq!(more, dropped(Reason::AnsweredEarly), "{body}");
        }
        Ok(())
    })
}
