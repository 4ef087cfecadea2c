//! Rule 3: passed is not received.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    request::request,
    rows::{PROGRAMS, bearer, guard},
};

use super::{len, on_a_connection};

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
fn a_whole_request_is_repeated_as_it_was() -> Result<()> {
    let mut guard = guard()?;
    let (first, second) = (bearer("good"), request("GET", "other", "good", "X: 1\r\n"));
    let here = len(&first);
    for program in PROGRAMS {
        for at in 0..second.len() {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            assert_eq!(it.send(0, first.as_str())?, ALLOWED);
            it.ack(here)?;
            assert_eq!(it.send(here, second.as_str())?, ALLOWED);
            assert_eq!(it.send(here, second.as_str())?, PASSED, "whole");
            let tail = &second[at..];
            assert_eq!(it.send(here + at as u32, tail)?, PASSED, "from {at} on");
            let mut other = second.clone().into_bytes();
            other[at] ^= 1;
            let changed = dropped(Reason::ChangedRetransmission);
            assert_eq!(it.send(here, other)?, changed, "{at}");
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
