//! Enforcing and monitoring, and going from one to the other, on both programs.

use anyhow::Result;
use token_agent::datapath::ServiceNumber;
use token_agent_common::{abi::Mode, reason::Reason};
use token_agent_tests::{
    conversation::{Conversation, PASSED},
    frame::{DATA, Frame, URG},
    guard::{HOUR, now},
    rows::{ORDERS, PROGRAMS, WATCHED, address, bearer, guard, orders},
};

#[test]
fn monitored_services_let_everything_pass_and_count_it() -> Result<()> {
    let mut guard = guard()?;
    let good = bearer("good");
    let revoked = bearer("revoked");
    let both = good.clone() + &revoked;
    let passed = |reason| Ok(Some(reason));
    for program in PROGRAMS {
        let mut it = Conversation::open_to(&mut guard, program, WATCHED)?;
        let mut at = 0;
        let mut send = |payload: &str| {
            at += payload.len() as u32;
            it.send(at - payload.len() as u32, payload)
        };
        assert_eq!(send(&good)?, passed(Reason::Allowed));
        assert_eq!(send(&revoked)?, passed(Reason::Revoked));
        assert_eq!(send(&both)?, passed(Reason::Allowed));
        assert_eq!(send(&revoked[..30])?, PASSED);
        assert_eq!(send(&revoked[30..])?, passed(Reason::Revoked));
        assert_eq!(send("garbage\r\n")?, passed(Reason::Malformed));
        assert_eq!(send(&good)?, passed(Reason::Unjudged), "behind garbage");

        let mut it = Conversation::open_to(&mut guard, program, WATCHED)?;
        assert_eq!(it.send(0, good.as_str())?, passed(Reason::Allowed), "anew");
        let urgent = it.send_with(DATA | URG, good.len() as u32, good.as_str())?;
        assert_eq!(urgent, passed(Reason::BadPacket));
        let early = it.send(5_000, good.as_str())?;
        assert_eq!(early, passed(Reason::OutOfOrder));
        assert_eq!(
            it.send(good.len() as u32, good.as_str())?,
            passed(Reason::Unjudged)
        );
    }
    Ok(())
}

#[test]
fn the_kernels_clock_ends_an_override() -> Result<()> {
    let mut guard = guard()?;
    let frame = orders(bearer("revoked")).build();
    for program in PROGRAMS {
        let service = ServiceNumber(ORDERS);
        guard
            .kernel
            .override_mode(service, Some((Mode::Monitor, now() + HOUR)))?;
        assert_eq!(
            guard.run(program, &frame)?,
            (true, vec![((ORDERS, false, Reason::Revoked), 1)])
        );
        guard
            .kernel
            .override_mode(service, Some((Mode::Monitor, now())))?;
        assert_eq!(
            guard.run(program, &frame)?,
            (false, vec![((ORDERS, true, Reason::Revoked), 1)])
        );
        guard
            .kernel
            .override_mode(ServiceNumber(WATCHED), Some((Mode::Enforce, u64::MAX)))?;
        let watched = Frame::new(address("10.0.0.7"), 8080, bearer("revoked")).build();
        assert!(!guard.run(program, &watched)?.0);
        guard.kernel.override_mode(ServiceNumber(WATCHED), None)?;
        assert!(guard.run(program, &watched)?.0);
    }
    Ok(())
}

#[test]
fn a_connection_monitoring_lost_is_denied_once_enforced() -> Result<()> {
    let mut guard = guard()?;
    let watched = |payload: &str| Frame::new(address("10.0.0.7"), 8080, payload).build();
    for program in PROGRAMS {
        guard.kernel.override_mode(ServiceNumber(WATCHED), None)?;
        assert!(guard.run(program, &watched("garbage\r\n"))?.0);
        guard
            .kernel
            .override_mode(ServiceNumber(WATCHED), Some((Mode::Enforce, u64::MAX)))?;
        assert_eq!(
            guard.go_on(program, &watched(&bearer("good")))?,
            (false, vec![((WATCHED, true, Reason::OldConnection), 1)])
        );
    }
    Ok(())
}
