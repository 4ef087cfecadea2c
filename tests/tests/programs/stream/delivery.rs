//! Rule 4: judged is not delivered.

use std::{thread, time::Duration};

use anyhow::Result;
use token_agent_common::{
    reason::Reason,
    verdict::{Audience, TokenState},
};
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED, dropped},
    frame::{DATA, RST},
    guard::entry,
    rows::{PROGRAMS, bearer},
};

use super::{
    len, on_a_connection,
    upgrades::{SWITCHING, upgrade, with},
};

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
fn each_head_has_its_own_time() -> Result<()> {
    on_a_connection(|it| {
        let (active, revoked) = (
            entry(TokenState::Active, Audience::EVERY),
            entry(TokenState::Revoked, Audience::EVERY),
        );
        let (brief, good) = (bearer("brief"), bearer("good"));
        let both = len(&brief) + len(&good);
        // One that is behind the other gives it no more time.
        it.guard.put("brief", active)?;
        assert_eq!(it.send(0, brief.as_str())?, ALLOWED);
        thread::sleep(Duration::from_millis(600));
        assert_eq!(it.send(len(&brief), good.as_str())?, ALLOWED);
        it.guard.put("brief", revoked)?;
        thread::sleep(Duration::from_millis(600));
        assert_eq!(it.send(0, brief.as_str())?, dropped(Reason::Undelivered));
        // Nor is it forgotten when the server has the other, and all of it but a byte.
        it.server(RST, 0, 0, "")?;
        it.renumber(len(&brief), len(&good));
        assert!(it.offer()?);
        it.guard.put("brief", active)?;
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&good), brief.as_str())?, ALLOWED);
        it.ack(both - 1)?;
        thread::sleep(Duration::from_millis(1_200));
        it.guard.put("brief", revoked)?;
        assert_eq!(
            it.send(len(&good), brief.as_str())?,
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
