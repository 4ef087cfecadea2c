//! Which packets are for a service, and which are none that can be judged, on both programs.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    frame::{ACK, DATA, Frame, SYN, URG},
    guard::Guard,
    rows::{KEYS, ORDERS, PROGRAMS, Row, address, bearer, check, get, guard, orders},
};

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
    // Many on neighbouring ports, which are looked up, and few, which are listed there.
    for [second, third] in [[8081, 8082], [9081, 9082]] {
        let mut guard = Guard::load(&format!(
            r#"
            [[service]]
            name = "any"
            listen = ["*:8080", "0.0.0.0:{second}"]
            [[service]]
            name = "exact"
            listen = ["10.0.0.5:8080", "10.0.0.5:{second}", "[2001:db8::5]:8080"]
            [[service]]
            name = "other"
            listen = ["10.0.0.5:{third}"]
            "#
        ))?;
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
                row("before any IPv4", "10.0.0.5", second, EXACT),
                row("IPv6", "2001:db8::5", 8080, EXACT),
                row("another port", "10.0.0.5", third, OTHER),
                row("another address", "10.0.0.6", 8080, ANY),
                row("another IPv4 address", "10.0.0.6", second, ANY),
                row("another IPv6 address", "2001:db8::6", 8080, ANY),
            ],
        )?;
        for program in PROGRAMS {
            for (server, port) in [("10.0.0.6", third), ("2001:db8::5", second)] {
                let frame = Frame::new(address(server), port, get("")).build();
                assert_eq!(guard.run(program, &frame)?, (true, vec![]), "{server}");
            }
        }
    }
    Ok(())
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
