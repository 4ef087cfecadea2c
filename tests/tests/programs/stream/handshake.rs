//! Rule 1: one machine for each connection.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::{ACK, DATA, FIN, RST, SYN},
    rows::{PROGRAMS, bearer, guard},
};

use super::{len, on_a_connection, on_none, upload};

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

/// The server does not obey it, so whoever guesses one number of many must not end the connection here, either.
#[test]
fn a_reset_in_the_middle_of_what_is_on_its_way_ends_nothing() -> Result<()> {
    on_a_connection(|it| {
        let head = upload(4_000);
        let middle = len(&head) + 500;
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.ack(len(&head))?;
        assert_eq!(it.send(len(&head), "x".repeat(1_000))?, PASSED);
        assert_eq!(it.send_with(RST, middle, "")?, dropped(Reason::BadPacket));
        it.ack(middle)?;
        assert_eq!(it.send(len(&head) + 1_000, "x".repeat(1_000))?, PASSED);
        assert_eq!(
            it.send_with(RST, middle, "")?,
            PASSED,
            "what the server said last"
        );
        assert_eq!(
            it.send(len(&head) + 4_000, bearer("good"))?,
            dropped(Reason::NoFlow)
        );
        Ok(())
    })
}
