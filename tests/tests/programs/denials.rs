//! What the kernel tells of a denial, and when, on both programs.

use std::{cell::Cell, net::Ipv4Addr, pin::pin, time::Duration};

use anyhow::{Context as _, Result};
use token_agent::datapath::Program;
use token_agent_common::{
    abi::{Address, Denial, FlowKey},
    digest::Digest,
    reason::Reason,
};
use token_agent_tests::{
    frame::{DATA, Frame, URG},
    guard::now,
    host::PATIENCE,
    rows::{ORDERS, PROGRAMS, WATCHED, address, bearer, get, guard, orders},
};
use tokio::time::timeout;

/// The longest tick of a kernel, in nanoseconds.
const TICK: u64 = 10_000_000;

#[tokio::test]
async fn denials_say_what_was_denied() -> Result<()> {
    let mut guard = guard()?;
    let mut denials = guard.kernel.denials().context("the first reader")?;
    let tagged = Frame {
        vlans: vec![0x8100; 3],
        ..orders(bearer("good"))
    };
    let urgent = Frame {
        flags: DATA | URG,
        ..orders(bearer("good"))
    };
    let watched = Frame::new(
        address("10.0.0.7"),
        8080,
        bearer("revoked") + &get("").replace("GET", "DELETE"),
    );
    let revoked = guard.digest("revoked");
    let flow = |server| FlowKey {
        client: Address::new(Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped().octets()),
        server: Address::new(Ipv4Addr::new(10, 0, 0, server).to_ipv6_mapped().octets()),
        client_port: 40_000,
        server_port: 8080,
        zone: 0,
    };
    let denial = |service, flow, enforced: bool, reason, method: &[u8], digest| {
        let mut denial = Denial {
            time: 0,
            method: [0; 8],
            digest,
            flow,
            interface: 1,
            service,
            reason: reason as u8,
            enforced: enforced.into(),
            reserved: [0; 6],
        };
        denial.method[..method.len()].copy_from_slice(method);
        denial
    };
    let orders_row = |reason, method, digest| denial(ORDERS, flow(5), true, reason, method, digest);
    for program in PROGRAMS {
        let start = now();
        for frame in [
            orders(bearer("revoked")),
            orders("EHLO example.org\r\n"),
            orders("GET / HTTP/1.1\r\nno field\r\n\r\n"),
            orders(bearer("revoked")),
            urgent.clone(),
            tagged.clone(),
            watched.clone(),
        ] {
            guard.run(program, &frame.build())?;
        }
        let expected = [
            orders_row(Reason::Revoked, b"GET", revoked),
            // It may be a part of a body, or of a token.
            orders_row(Reason::Malformed, b"", Digest::NONE),
            orders_row(Reason::Malformed, b"GET", Digest::NONE),
            orders_row(Reason::Revoked, b"GET", revoked),
            orders_row(Reason::BadPacket, b"", Digest::NONE),
            denial(0, FlowKey::NONE, true, Reason::BadPacket, b"", Digest::NONE),
            denial(WATCHED, flow(7), false, Reason::Revoked, b"GET", revoked),
            denial(
                WATCHED,
                flow(7),
                false,
                Reason::Missing,
                b"DELETE",
                Digest::NONE,
            ),
        ];
        let mut got = Vec::new();
        while got.len() < expected.len() {
            timeout(PATIENCE, denials.drain(|denial| got.push(denial))).await??;
        }
        for denial in &mut got {
            assert!((start - TICK..=now()).contains(&denial.time));
            denial.time = 0;
        }
        assert_eq!(got, expected, "{program:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_denial_wakes_who_waits_for_it() -> Result<()> {
    let mut guard = guard()?;
    let mut denials = guard.kernel.denials().context("the first reader")?;
    let told = Cell::new(0);
    let mut waiting = pin!(denials.drain(|_| told.set(told.get() + 1)));
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
    guard.run(Program::Tc, &orders(bearer("revoked")).build())?;
    timeout(PATIENCE, waiting).await??;
    assert_eq!(told.get(), 1);
    Ok(())
}

#[tokio::test]
async fn denials_that_find_no_room_are_counted() -> Result<()> {
    const DENIED: u32 = 20_000;
    let mut guard = guard()?;
    let mut denials = guard.kernel.denials().context("the first reader")?;
    let frame = orders(bearer("revoked")).build();
    guard.kernel.rehearse(Program::Tc, &frame, DENIED)?;
    let mut told = 0;
    timeout(PATIENCE, denials.drain(|_| told += 1)).await??;
    let lost = guard.kernel.denials_lost()?;
    assert!(lost > 0);
    assert_eq!(told + lost, u64::from(DENIED));
    Ok(())
}
