//! Every reason, by `BPF_PROG_TEST_RUN`: bytes in, verdict and counters out, on both programs.

use std::time::Duration;

use anyhow::Result;
use token_agent::datapath::Program;
use token_agent_common::{
    reason::Reason,
    verdict::{Audience, TokenEntry, TokenState},
};
use token_agent_tests::{
    guard::{HOUR, now},
    rows::{ORDERS, PROGRAMS, allowed, bearer, check, denied, get, guard, orders},
};

#[test]
fn requests() -> Result<()> {
    let long = "k".repeat(8192);
    let mut guard = guard()?;
    guard.allow(&long)?;
    check(
        &mut guard,
        &[
            allowed("a valid token", bearer("good"), 1),
            allowed("the longest token", bearer(&long), 1),
            denied(
                "a longer one",
                bearer(&format!("{long}k")),
                Reason::CredentialTooLong,
            ),
            denied("revoked", bearer("revoked"), Reason::Revoked),
            denied(
                "revoked and expired",
                bearer("revoked-and-expired"),
                Reason::Revoked,
            ),
            denied("expired", bearer("expired"), Reason::Expired),
            denied("not yet valid", bearer("future"), Reason::NotYetValid),
            denied(
                "for another service",
                bearer("keys-only"),
                Reason::WrongService,
            ),
            denied("unknown", bearer("nobody"), Reason::Unknown),
            denied("no credential", get(""), Reason::Missing),
            denied(
                "another scheme",
                get("Authorization: Basic YTpi\r\n"),
                Reason::Missing,
            ),
            denied("bad characters", bearer("go\"od"), Reason::MalformedToken),
            denied("two words", bearer("good good"), Reason::MalformedToken),
            denied(
                "twice",
                get("Authorization: Bearer good\r\nAuthorization: Bearer good\r\n"),
                Reason::DuplicateCredential,
            ),
            denied("not HTTP", "EHLO example.org\r\n", Reason::Malformed),
            denied("binary", vec![0x16, 3, 1, 2, 0, 1, 0], Reason::Malformed),
            denied(
                "obs-fold",
                get("A: b\r\n c\r\nAuthorization: Bearer good\r\n"),
                Reason::Malformed,
            ),
            denied(
                "HTTP/2",
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Reason::UnsupportedProtocol,
            ),
            allowed("half a head", &bearer("good")[..40], 0),
            allowed(
                "chunked",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer good\r\n\r\n",
                1,
            ),
            denied(
                "CONNECT",
                "CONNECT a:1 HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n",
                Reason::UpgradeRefused,
            ),
            allowed(
                "a long head",
                get(&format!(
                    "Cookie: {}\r\nAuthorization: Bearer good\r\n",
                    "c".repeat(40_000)
                )),
                1,
            ),
        ],
    )
}

#[test]
fn pipelined_requests_pass_or_fall_together() -> Result<()> {
    let mut guard = guard()?;
    let good = bearer("good");
    check(
        &mut guard,
        &[
            allowed("three", good.repeat(3), 3),
            denied(
                "good, good, revoked",
                good.repeat(2) + &bearer("revoked"),
                Reason::Revoked,
            ),
            allowed("good, cut", good.repeat(2) + &good[..10], 2),
            denied("good, garbage", good.repeat(2) + "\0", Reason::Malformed),
        ],
    )
}

#[test]
fn every_token_length_has_the_reference_digest() -> Result<()> {
    let mut guard = guard()?;
    // Around the ends of blocks and chunks, and what else fits a page.
    let lengths = (1..=200).chain([
        255, 256, 257, 511, 512, 1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 2800,
    ]);
    for len in lengths {
        let token: String = (0..len)
            .map(|i| char::from(b'a' + (i % 26) as u8))
            .collect();
        guard.allow(&token)?;
        for program in PROGRAMS {
            assert!(
                guard.run(program, &orders(bearer(&token)).build())?.0,
                "{len} bytes, {program:?}"
            );
        }
        guard.kernel.remove_token(&guard.digest(&token))?;
        assert!(
            !guard.run(Program::Tc, &orders(bearer(&token)).build())?.0,
            "{len} bytes"
        );
    }
    Ok(())
}

#[test]
fn a_token_is_valid_from_its_first_moment() -> Result<()> {
    let mut guard = guard()?;
    let frame = orders(bearer("new")).build();
    for _ in 0..50 {
        for program in PROGRAMS {
            // The guard has just looked at its clock.
            assert!(guard.run(program, &orders(bearer("good")).build())?.0);
            let start = now();
            guard.put(
                "new",
                TokenEntry::new(start, start + HOUR, Audience::EVERY, TokenState::Active),
            )?;
            assert!(guard.run(program, &frame)?.0, "{program:?}");
        }
    }
    Ok(())
}

#[test]
fn expiry_is_the_kernels_own() -> Result<()> {
    let mut guard = guard()?;
    // Far enough for what comes before it, however busy the machine is.
    let expires = now() + 2_000_000_000;
    guard.put(
        "brief",
        TokenEntry::new(0, expires, Audience::EVERY, TokenState::Active),
    )?;
    let frame = orders(bearer("brief")).build();
    assert!(guard.run(Program::Tc, &frame)?.0);
    while now() <= expires {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Nobody told the kernel.
    for program in PROGRAMS {
        assert_eq!(
            guard.run(program, &frame)?,
            (false, vec![((ORDERS, true, Reason::Expired), 1)])
        );
    }
    Ok(())
}

#[test]
fn times_are_exact_also_between_ticks_of_the_kernel() -> Result<()> {
    const SOON: u64 = 300_000;
    let mut guard = guard()?;
    for program in PROGRAMS {
        for (what, then) in [("begins", Reason::Allowed), ("ends", Reason::Expired)] {
            for _ in 0..50 {
                let change = now() + SOON;
                let (from, to) = if then == Reason::Allowed {
                    (change, change + HOUR)
                } else {
                    (change - HOUR, change)
                };
                let entry = TokenEntry::new(from, to, Audience::EVERY, TokenState::Active);
                guard.put(what, entry)?;
                let frame = orders(bearer(what)).build();
                // The clock is read for it, and may be remembered.
                guard.run(program, &frame)?;
                while now() < change {}
                let counted = guard.run(program, &frame)?.1;
                assert_eq!(counted, [((ORDERS, true, then), 1)], "{what}, {program:?}");
            }
        }
    }
    Ok(())
}
