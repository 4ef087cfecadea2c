//! Rule 9: upgrades.

use anyhow::Result;
use token_agent_common::{
    reason::Reason,
    verdict::{Audience, TokenState},
};
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::RST,
    guard::{Guard, entry},
    request::request,
    rows::{PROGRAMS, bearer},
};

use super::{len, on_a_connection};

pub(super) fn with(options: &str) -> Result<Guard> {
    let mut guard = Guard::load(&format!(
        "[[service]]\nname = \"orders\"\nlisten = [\"10.0.0.5:8080\"]\n{options}\n"
    ))?;
    guard.allow("good")?;
    guard.put("revoked", entry(TokenState::Revoked, Audience::EVERY))?;
    Ok(guard)
}

pub(super) fn upgrade() -> String {
    request(
        "GET",
        "socket",
        "good",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    )
}

/// The head of a request with a body of five bytes, before which its client may wait.
fn expecting() -> String {
    request(
        "POST",
        "up",
        "good",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
    )
}

pub(super) const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

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
fn behind_an_answer_that_may_be_two_nothing_passes() -> Result<()> {
    let mut guard = with("upgrade = [\"websocket\"]")?;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
    for (interim, rest) in [
        ("HTTP/1.1 100 Continue\r\n\r\n", answer),
        ("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1"),
        ("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n", ""),
    ] {
        for program in PROGRAMS {
            let mut it = Conversation::open(&mut guard, program, 1)?;
            let head = upgrade();
            let end = len(&head);
            assert_eq!(it.send(0, head.as_str())?, ALLOWED);
            it.answer(end, &format!("{interim}{rest}"))?;
            // In the body of the second one.
            it.answer(end, SWITCHING)?;
            let expected = dropped(Reason::UpgradeRefused);
            assert_eq!(it.send(end, bearer("revoked"))?, expected, "{rest}");
        }
    }
    for program in PROGRAMS {
        let mut it = Conversation::open(&mut guard, program, 1)?;
        let head = upgrade();
        let end = len(&head);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        it.answer(end, "HTTP/1.1 102 Processing\r\n\r\n")?;
        it.answer(end, SWITCHING)?;
        assert_eq!(it.send(end, bearer("revoked"))?, PASSED);
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
        let head = expecting();
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
fn a_request_behind_a_body_on_its_way_does_not_make_it_received() -> Result<()> {
    on_a_connection(|it| {
        let head = expecting();
        let (body, next) = ("hello", bearer("good"));
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&head), body)?, PASSED);
        let at = len(&head) + len(body);
        assert_eq!(it.send(at, next.as_str())?, ALLOWED);
        it.answer(len(&head), "HTTP/1.1 417 Expectation Failed\r\n\r\n")?;
        let more = it.send(at + len(&next), next.as_str())?;
        assert_eq!(more, dropped(Reason::AnsweredEarly));
        Ok(())
    })
}

#[test]
fn a_body_that_was_on_its_way_is_none_behind_an_early_answer() -> Result<()> {
    on_a_connection(|it| {
        let head = expecting();
        for body in ["hel", "hello"] {
            it.renumber(len(body), len(body));
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
