//! Tables of frames: what passes, and what is counted for it, on both programs.

use std::net::IpAddr;

use anyhow::Result;
use token_agent::datapath::{Program, ServiceNumber};
use token_agent_common::{
    reason::Reason,
    verdict::{Audience, TokenEntry, TokenState},
};

use crate::{
    frame::Frame,
    guard::{Guard, HOUR, entry, now},
};

const SERVICES: &str = r#"
[[service]]
name = "orders"
listen = ["10.0.0.5:8080", "[2001:db8::5]:8080", "*:8081", "0.0.0.0:8082"]
[[service]]
name = "keys"
listen = ["10.0.0.6:8080"]
header = "x-api-key"
[[service]]
name = "watched"
listen = ["10.0.0.7:8080"]
mode = "monitor"
"#;

/// A service that asks for a bearer token.
pub const ORDERS: u32 = 1;
/// A service that asks for an API key in a header of its own.
pub const KEYS: u32 = 2;
/// A service that is only monitored.
pub const WATCHED: u32 = 3;

/// Both.
pub const PROGRAMS: [Program; 2] = [Program::Tc, Program::Xdp];

/// The address it spells.
pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A frame to [`ORDERS`].
pub fn orders(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(address("10.0.0.5"), 8080, payload)
}

/// A request with these header lines.
pub fn get(lines: &str) -> String {
    format!("GET /v1/orders HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// A request with this token.
pub fn bearer(token: &str) -> String {
    get(&format!("Authorization: Bearer {token}\r\n"))
}

/// A guard for the services, with a token for each reason; `good` is valid everywhere.
pub fn guard() -> Result<Guard> {
    let mut guard = Guard::load(SERVICES)?;
    let audience = Audience::set(1.try_into()?);
    guard.kernel.put_audience(audience, ServiceNumber(KEYS))?;
    guard.allow("good")?;
    guard.put("revoked", entry(TokenState::Revoked, Audience::EVERY))?;
    guard.put("keys-only", entry(TokenState::Active, audience))?;
    let times = |from, to| TokenEntry::new(from, to, Audience::EVERY, TokenState::Active);
    guard.put("expired", times(now() - 2 * HOUR, now() - HOUR))?;
    guard.put("future", times(now() + HOUR, now() + 2 * HOUR))?;
    guard.put(
        "revoked-and-expired",
        TokenEntry::new(0, 1, Audience::EVERY, TokenState::Revoked),
    )?;
    Ok(guard)
}

/// A row: what it is, the frame, whether it passes, and what is counted for whom.
pub type Row = (&'static str, Frame, bool, Vec<(u32, bool, Reason, u64)>);

/// Each row is a connection of its own.
pub fn check(guard: &mut Guard, rows: &[Row]) -> Result<()> {
    for program in PROGRAMS {
        for (what, frame, passes, counted) in rows {
            // The kernel makes test packets of at most a page at TC; long ones
            // are sent for real, in `enforcement.rs`.
            if program == Program::Tc && frame.payload.len() > 3_500 {
                continue;
            }
            let (passed, got) = guard.run(program, &frame.build())?;
            let expected: Vec<_> = counted
                .iter()
                .map(|(service, enforced, reason, count)| ((*service, *enforced, *reason), *count))
                .collect();
            assert_eq!((passed, got), (*passes, expected), "{what}, {program:?}");
        }
    }
    Ok(())
}

/// A request to [`ORDERS`] that is denied.
pub fn denied(what: &'static str, payload: impl Into<Vec<u8>>, reason: Reason) -> Row {
    (
        what,
        orders(payload),
        false,
        vec![(ORDERS, true, reason, 1)],
    )
}

/// A segment to [`ORDERS`] of which `count` requests are allowed.
pub fn allowed(what: &'static str, payload: impl Into<Vec<u8>>, count: u64) -> Row {
    (
        what,
        orders(payload),
        true,
        if count > 0 {
            vec![(ORDERS, true, Reason::Allowed, count)]
        } else {
            vec![]
        },
    )
}
