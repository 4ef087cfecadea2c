//! Enforcing and monitoring, and going from one to the other, on both programs.

use anyhow::Result;
use token_agent::datapath::ServiceNumber;
use token_agent_common::{abi::Mode, reason::Reason};
use token_agent_tests::{
    frame::{DATA, Frame, SYN, URG},
    guard::{HOUR, now},
    rows::{ORDERS, PROGRAMS, Row, WATCHED, address, bearer, check_in_order, guard, orders},
};

#[test]
fn monitored_services_let_everything_pass_and_count_it() -> Result<()> {
    let mut guard = guard()?;
    let watched = |client_port, payload: &str| Frame {
        client_port,
        ..Frame::new(address("10.0.0.7"), 8080, payload)
    };
    let row = |what, frame, reasons: &[(Reason, u64)]| -> Row {
        let counted = reasons
            .iter()
            .map(|(reason, n)| (WATCHED, false, *reason, *n))
            .collect();
        (what, frame, true, counted)
    };
    let good = bearer("good");
    let revoked = bearer("revoked");
    check_in_order(
        &mut guard,
        &[
            row("allowed", watched(1, &good), &[(Reason::Allowed, 1)]),
            row("revoked", watched(1, &revoked), &[(Reason::Revoked, 1)]),
            row(
                "both",
                watched(1, &(revoked.clone() + &good)),
                &[(Reason::Allowed, 1), (Reason::Revoked, 1)],
            ),
            row(
                "garbage",
                watched(2, "garbage\r\n"),
                &[(Reason::Malformed, 1)],
            ),
            row(
                "what follows garbage",
                watched(2, &good),
                &[(Reason::Unjudged, 1)],
            ),
            row(
                "a new connection",
                Frame {
                    flags: SYN,
                    ..watched(2, "")
                },
                &[],
            ),
            row(
                "is judged again",
                watched(2, &good),
                &[(Reason::Allowed, 1)],
            ),
            row(
                "half a head",
                watched(3, &good[..30]),
                &[(Reason::Undecided, 1)],
            ),
            row(
                "the other half",
                watched(3, &good[30..]),
                &[(Reason::Unjudged, 1)],
            ),
            row(
                "urgent",
                Frame {
                    flags: DATA | URG,
                    ..watched(4, &good)
                },
                &[(Reason::BadPacket, 1)],
            ),
            row(
                "close",
                Frame {
                    flags: SYN,
                    ..watched(3, "")
                },
                &[],
            ),
        ],
    )
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
            (false, vec![((WATCHED, true, Reason::Undecided), 1)])
        );
    }
    Ok(())
}
