//! Rule 5: a FIN decides.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::{ACK, DATA, FIN, RST},
    request::request,
    rows::{PROGRAMS, bearer, guard},
};

use super::{len, on_a_connection, upload};

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

/// It fits a cookie where the answer is about as long as the request.
#[test]
fn the_last_acknowledgment_passes_however_long_the_answer_was() -> Result<()> {
    let (whole, cut) = (bearer("good"), upload(400) + &"x".repeat(100));
    for sent in [whole, cut] {
        for more in 0..=6 {
            on_a_connection(|it| {
                let end = len(&sent);
                assert_eq!(it.send(0, sent.as_str())?, ALLOWED);
                it.answer(end, &"x".repeat(sent.len() - 3 + more))?;
                assert_eq!(it.send_with(FIN | ACK, end, "")?, PASSED);
                it.server(FIN | ACK, it.sent(), end + 1, "")?;
                let mut last = it.segment(ACK, end + 1, "");
                last.acknowledgment = last.acknowledgment.wrapping_add(1);
                assert_eq!(it.pass(&last)?, PASSED, "{more}");
                Ok(())
            })?;
        }
    }
    Ok(())
}
