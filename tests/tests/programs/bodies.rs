//! Which bytes belong to a body and are not judged, on both programs.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    frame::{Frame, SYN},
    rows::{ORDERS, Row, allowed, bearer, check_in_order, guard, orders},
};

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
