//! Every reason, by `BPF_PROG_TEST_RUN`: bytes in, verdict and counters out, on both programs.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    time::Duration,
};

use anyhow::{Context as _, Result};
use token_agent::datapath::{Program, ServiceNumber};
use token_agent_common::{
    abi::{Address, Denial, FlowKey, Mode},
    digest::Digest,
    reason::Reason,
    verdict::{Audience, TokenEntry, TokenState},
};
use token_agent_tests::{
    frame::{ACK, DATA, Frame, SYN, URG},
    guard::{Guard, HOUR, Place, entry, now},
    host::PATIENCE,
};
use tokio::time::timeout;

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

const ORDERS: u32 = 1;
const KEYS: u32 = 2;
const WATCHED: u32 = 3;

/// The longest tick of a kernel, in nanoseconds.
const TICK: u64 = 10_000_000;

const PROGRAMS: [Program; 2] = [Program::Tc, Program::Xdp];

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn orders(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(address("10.0.0.5"), 8080, payload)
}

fn get(lines: &str) -> String {
    format!("GET /v1/orders HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

fn bearer(token: &str) -> String {
    get(&format!("Authorization: Bearer {token}\r\n"))
}

fn guard() -> Result<Guard> {
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
type Row = (&'static str, Frame, bool, Vec<(u32, bool, Reason, u64)>);

/// Each row is a connection of its own.
fn check(guard: &mut Guard, rows: &[Row]) -> Result<()> {
    check_each(guard, rows, Guard::run)
}

/// The rows follow each other on the connections they name.
fn check_in_order(guard: &mut Guard, rows: &[Row]) -> Result<()> {
    check_each(guard, rows, Guard::go_on)
}

type Run = fn(&mut Guard, Program, &[u8]) -> Result<(bool, Vec<(Place, u64)>)>;

fn check_each(guard: &mut Guard, rows: &[Row], run: Run) -> Result<()> {
    for program in PROGRAMS {
        guard.forget()?;
        for (what, frame, passes, counted) in rows {
            // The kernel makes test packets of at most a page at TC; long ones
            // are sent for real, in `enforcement.rs`.
            if program == Program::Tc && frame.payload.len() > 3_500 {
                continue;
            }
            let (passed, got) = run(guard, program, &frame.build())?;
            let expected: Vec<_> = counted
                .iter()
                .map(|(service, enforced, reason, count)| ((*service, *enforced, *reason), *count))
                .collect();
            assert_eq!((passed, got), (*passes, expected), "{what}, {program:?}");
        }
    }
    Ok(())
}

fn denied(what: &'static str, payload: impl Into<Vec<u8>>, reason: Reason) -> Row {
    (
        what,
        orders(payload),
        false,
        vec![(ORDERS, true, reason, 1)],
    )
}

fn allowed(what: &'static str, payload: impl Into<Vec<u8>>, count: u64) -> Row {
    (
        what,
        orders(payload),
        true,
        vec![(ORDERS, true, Reason::Allowed, count)],
    )
}

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
            denied("half a head", &bearer("good")[..40], Reason::Undecided),
            denied(
                "chunked",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer good\r\n\r\n",
                Reason::Undecided,
            ),
            denied(
                "CONNECT",
                "CONNECT a:1 HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n",
                Reason::Undecided,
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
            denied("good, cut", good.repeat(2) + &good[..10], Reason::Undecided),
            denied("good, garbage", good.repeat(2) + "\0", Reason::Malformed),
        ],
    )
}

#[test]
fn a_cut_head_is_not_made_whole_by_an_earlier_packet() -> Result<()> {
    let mut guard = guard()?;
    let good = bearer("good");
    for program in PROGRAMS {
        for cut in 1..good.len() {
            assert!(guard.run(program, &orders(good.as_str()).build())?.0);
            assert_eq!(
                guard.run(program, &orders(&good[..cut]).build())?,
                (false, vec![((ORDERS, true, Reason::Undecided), 1)]),
                "{program:?}, cut at {cut}"
            );
        }
    }
    Ok(())
}

#[test]
fn bodies_are_no_heads() -> Result<()> {
    let mut guard = guard()?;
    let bait = bearer("revoked");
    let length = 1_000;
    let head = format!(
        "POST / HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Length: {length}\r\n\r\n"
    );
    let segment = |sequence, payload: &str| Frame {
        sequence,
        ..orders(payload)
    };
    let nothing = |what, frame| -> Row { (what, frame, true, vec![]) };
    let counted = |what, frame, reason| -> Row {
        let passes = reason == Reason::Allowed;
        (what, frame, passes, vec![(ORDERS, true, reason, 1)])
    };
    let start = 5_000;
    let body = start + head.len() as u32;
    let end = body + length;
    let filler = "x".repeat(700 - bait.len());
    let rows = [
        counted("the head", segment(start, &head), Reason::Allowed),
        nothing("a request inside the body", segment(body, &bait)),
        nothing("the same again", segment(body, &bait)),
        nothing("later bytes first", segment(body + 700, &"y".repeat(300))),
        nothing(
            "then those before",
            segment(body + bait.len() as u32, &filler),
        ),
        counted("behind the body", segment(end, &bait), Reason::Revoked),
        counted(
            "across its end",
            segment(end - 5, &format!("yyyyy{bait}")),
            Reason::Revoked,
        ),
        counted(
            "a good one across its end",
            segment(end - 5, &format!("yyyyy{}", bearer("good"))),
            Reason::Allowed,
        ),
        nothing("of the body, late", segment(body, &bait)),
        counted("another head", segment(start, &head), Reason::Allowed),
        nothing(
            "a new connection with the same ports",
            Frame {
                flags: SYN,
                ..segment(start, "")
            },
        ),
        counted(
            "whose sequence numbers mean nothing of the old one's",
            segment(body, &bait),
            Reason::Revoked,
        ),
        allowed(
            "all in one segment",
            format!("{head}{}", "z".repeat(1_000)),
            1,
        ),
    ];
    check_in_order(&mut guard, &rows)
}

#[test]
fn a_body_may_be_longer_than_the_sequence_space() -> Result<()> {
    let mut guard = guard()?;
    let length = 5_000_000_000_u64;
    let head =
        format!("PUT / HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Length: {length}\r\n\r\n");
    let body = 1_000 + head.len() as u64;
    let bait = bearer("revoked");
    let at = |offset: u64| Frame {
        sequence: (body + offset) as u32,
        ..orders(bait.as_str())
    };
    let nothing = |what, frame| -> Row { (what, frame, true, vec![]) };
    check_in_order(
        &mut guard,
        &[
            allowed("the head", head, 1),
            nothing("a quarter", at(length / 4)),
            nothing("half", at(length / 2)),
            nothing("three quarters", at(length / 4 * 3)),
            nothing("the last bytes", at(length - bait.len() as u64)),
            (
                "behind it",
                at(length),
                false,
                vec![(ORDERS, true, Reason::Revoked, 1)],
            ),
            (
                "a new connection",
                Frame {
                    flags: SYN,
                    ..orders("")
                },
                true,
                vec![],
            ),
        ],
    )
}

#[test]
fn services_are_found_by_address_and_port() -> Result<()> {
    let mut guard = guard()?;
    let revoked = |server: &str, port| Frame::new(address(server), port, bearer("revoked"));
    let hit =
        |what, frame| -> Row { (what, frame, false, vec![(ORDERS, true, Reason::Revoked, 1)]) };
    let miss = |what, frame| -> Row { (what, frame, true, vec![]) };
    let tagged = |vlans: &[u16], server| Frame {
        vlans: vlans.into(),
        ..revoked(server, 8080)
    };
    check(
        &mut guard,
        &[
            hit("IPv4", revoked("10.0.0.5", 8080)),
            hit("IPv6", revoked("2001:db8::5", 8080)),
            hit("one tag", tagged(&[0x8100], "10.0.0.5")),
            hit("two tags", tagged(&[0x88a8, 0x8100], "2001:db8::5")),
            hit("any address, IPv4", revoked("10.9.9.9", 8081)),
            hit("any address, IPv6", revoked("2001:db8::9", 8081)),
            hit("any IPv4 address", revoked("10.9.9.9", 8082)),
            miss("any IPv4 address, IPv6", revoked("2001:db8::9", 8082)),
            miss("another port", revoked("10.0.0.5", 8079)),
            miss("another address", revoked("10.0.0.8", 8080)),
            (
                "three tags",
                tagged(&[0x8100, 0x8100, 0x8100], "10.0.0.5"),
                false,
                vec![(0, true, Reason::BadPacket, 1)],
            ),
            (
                "the header of another service",
                Frame::new(address("10.0.0.6"), 8080, bearer("good")),
                false,
                vec![(KEYS, true, Reason::Missing, 1)],
            ),
            (
                "its own header",
                Frame::new(address("10.0.0.6"), 8080, get("X-Api-Key: keys-only\r\n")),
                true,
                vec![(KEYS, true, Reason::Allowed, 1)],
            ),
        ],
    )
}

#[test]
fn the_very_address_comes_before_any() -> Result<()> {
    const ANY: u32 = 1;
    const EXACT: u32 = 2;
    const OTHER: u32 = 3;
    let mut guard = Guard::load(
        r#"
        [[service]]
        name = "any"
        listen = ["*:8080", "0.0.0.0:8081"]
        [[service]]
        name = "exact"
        listen = ["10.0.0.5:8080", "10.0.0.5:8081", "[2001:db8::5]:8080"]
        [[service]]
        name = "other"
        listen = ["10.0.0.5:8082"]
        "#,
    )?;
    let row = |what, server, port, service| -> Row {
        let frame = Frame::new(address(server), port, get(""));
        (
            what,
            frame,
            false,
            vec![(service, true, Reason::Missing, 1)],
        )
    };
    check(
        &mut guard,
        &[
            row("before any", "10.0.0.5", 8080, EXACT),
            row("before any IPv4", "10.0.0.5", 8081, EXACT),
            row("IPv6", "2001:db8::5", 8080, EXACT),
            row("another port", "10.0.0.5", 8082, OTHER),
            row("another address", "10.0.0.6", 8080, ANY),
            row("another IPv4 address", "10.0.0.6", 8081, ANY),
            row("another IPv6 address", "2001:db8::6", 8080, ANY),
        ],
    )
}

#[test]
fn packets_that_change_the_stream_are_dropped() -> Result<()> {
    let mut guard = guard()?;
    let flagged = |flags, payload: &str| Frame {
        flags,
        ..orders(payload)
    };
    let bad = |what, frame| -> Row {
        (
            what,
            frame,
            false,
            vec![(ORDERS, true, Reason::BadPacket, 1)],
        )
    };
    let fine = |what, frame| -> Row { (what, frame, true, vec![]) };
    check(
        &mut guard,
        &[
            fine("SYN", flagged(SYN, "")),
            fine("ACK", flagged(ACK, "")),
            bad("data on SYN", flagged(SYN, "GET")),
            bad("urgent data", flagged(DATA | URG, &bearer("good"))),
            bad("urgent pointer on an empty ACK", flagged(ACK | URG, "")),
            bad("data without ACK", flagged(0, &bearer("good"))),
            bad("SYN and FIN", flagged(SYN | 1, "")),
        ],
    )?;
    for program in PROGRAMS {
        let mut fragment = orders(bearer("good")).build();
        fragment[20] = 0x20;
        assert_eq!(
            guard.run(program, &fragment)?,
            (false, vec![((0, true, Reason::BadPacket), 1)])
        );
        let mut elsewhere = Frame::new(address("10.9.9.9"), 9, "x").build();
        elsewhere[20] = 0x20;
        // `*:8081` listens at every address.
        assert!(!guard.run(program, &elsewhere)?.0);
        let mut truncated = orders(bearer("good")).build();
        truncated.truncate(60);
        assert_eq!(
            guard.run(program, &truncated)?,
            (false, vec![((0, true, Reason::BadPacket), 1)])
        );
    }
    Ok(())
}

#[test]
fn the_shortest_fragment_is_read_to_its_end() -> Result<()> {
    let mut guard = Guard::load("[[service]]\nname = \"a\"\nlisten = [\"10.0.0.5:8080\"]\n")?;
    let fragment = |server| {
        let mut frame = Frame::new(address(server), 8080, "").build();
        // The last fragment, with one byte.
        frame[16..18].copy_from_slice(&[0, 21]);
        frame[21] = 1;
        frame.truncate(35);
        frame
    };
    for program in PROGRAMS {
        assert!(guard.run(program, &fragment("10.0.9.9"))?.0);
        assert_eq!(
            guard.run(program, &fragment("10.0.0.5"))?,
            (false, vec![((0, true, Reason::BadPacket), 1)])
        );
    }
    Ok(())
}

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
        reserved: 0,
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
            orders(bearer("revoked")),
            urgent.clone(),
            tagged.clone(),
            watched.clone(),
        ] {
            guard.run(program, &frame.build())?;
        }
        let expected = [
            orders_row(Reason::Revoked, b"GET", revoked),
            orders_row(Reason::Malformed, b"EHLO", Digest::NONE),
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
