//! Rule 2: deciding bytes are read in order, opaque ones pass in any.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, PASSED, dropped},
    rows::bearer,
};

use super::{len, on_a_connection, upload};

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
