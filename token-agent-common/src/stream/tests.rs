extern crate std;
use std::{format, string::String, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    abi::Address,
    digest::KeyWords,
    http1::{Charset, CredentialRule},
    name::Name,
};

const KEY: [u8; 32] = [9; 32];

fn digest(token: &str) -> Digest {
    Digest::from_bytes(
        *blake3::keyed_hash(&KEY, token.as_bytes())
            .as_bytes()
            .first_chunk()
            .unwrap(),
    )
}

/// What a segment holds: its requests' credentials, how it ends, and what is remembered.
#[derive(Debug, Eq, PartialEq)]
struct Outcome {
    requests: Vec<Result<Digest, Reason>>,
    lost: Option<Reason>,
    flow: Option<Flow>,
}

fn reader() -> Reader {
    Reader::new(&KeyWords::new(&KEY))
}

fn read(payload: &[u8], sequence: u32, flow: Option<Flow>) -> Outcome {
    read_with(&mut reader(), payload, sequence, flow)
}

/// The same with a reader that may have read other segments before.
fn read_with(reader: &mut Reader, payload: &[u8], sequence: u32, flow: Option<Flow>) -> Outcome {
    let key = KeyWords::new(&KEY);
    let rule = CredentialRule::new(
        Name::new("authorization").unwrap(),
        Name::new("bearer").unwrap(),
        Charset::B64Token,
    );
    let rules = Rules {
        credential: &rule,
        key: &key,
        options: 0,
    };
    let len = payload.len() as u32;
    let body = flow.map_or(0, |flow| flow.body_bytes(sequence, len));
    if body == len {
        let flow = flow.map(|flow| flow.after(sequence, len, 0));
        return Outcome {
            requests: Vec::new(),
            lost: None,
            flow,
        };
    }
    let mut window = Window::new();
    reader.begin(body, len);
    let mut requests = Vec::new();
    for _ in 0..Reader::turns(len) {
        let fill = |window: &mut Window, offset, len| {
            let bytes = &payload[offset as usize..(offset + len) as usize];
            window.fill(bytes) == len
        };
        match reader.turn(&mut window, &rules, fill) {
            Turn::Going => {}
            Turn::Request(credential) => {
                // Reading began at the request's very first byte.
                let method = reader.head.method();
                let methods = [b"GET\0\0\0\0\0", b"POST\0\0\0\0", b"PUT\0\0\0\0\0"];
                assert!(methods.contains(&&method), "{method:?}");
                requests.push(credential);
            }
            Turn::Lost(reason) => {
                return Outcome {
                    requests,
                    lost: Some(reason),
                    flow,
                };
            }
            Turn::End => {
                return Outcome {
                    requests,
                    lost: None,
                    flow: Some(reader.flow(sequence, &flow.unwrap_or(Flow::NONE), 0))
                        .filter(|flow| !flow.is_none()),
                };
            }
        }
    }
    panic!("more turns than announced");
}

fn request(token: &str, body: usize) -> String {
    format!("POST / HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {body}\r\n\r\n")
}

#[test]
fn pipelined_requests_are_told_apart() {
    let mut payload = String::new();
    let mut expected = Vec::new();
    for i in 0..300 {
        let token = format!("token{i}");
        payload += &request(&token, i * 7);
        payload += &"Authorization: Bearer nobody\r\n\r\n".repeat(i)[..i * 7];
        expected.push(Ok(digest(&token)));
    }
    let got = read(payload.as_bytes(), 0, None);
    assert!(got.requests == expected && got.lost.is_none());
    assert!(got.flow.unwrap().ends_at(payload.len() as u32, false));
}

#[test]
fn what_its_sender_may_cut_otherwise_is_remembered() {
    let short = request("abc", 0);
    assert_eq!(read(short.as_bytes(), 7, None).flow, None);
    for (what, payload) in [
        ("a body", request("abc", 1) + "x"),
        ("a long head", request(&"k".repeat(600), 0)),
        ("many heads", short.repeat(10)),
    ] {
        let flow = read(payload.as_bytes(), 7, None).flow.expect(what);
        let end = 7 + payload.len() as u32;
        assert!(flow.ends_at(end, false), "{what}");
        // Its heads are judged again.
        assert_eq!(flow.body_bytes(7, payload.len() as u32), 0, "{what}");
        assert!(flow.reaches(end) && !flow.reaches(end + 1), "{what}");
    }
}

#[test]
fn what_was_denied_is_waited_for() {
    let whole = request("abc", 20) + &"x".repeat(20);
    let head = whole.len() as u32 - 20;
    let held = |at| Some(Flow::held(at, 0));
    for (at, next) in [
        // What passes reaches it, or goes beyond.
        (0, Some(head + 20)),
        (head + 10, Some(head + 20)),
        (head + 20, Some(head + 20)),
        // It still stands in the way of what comes then.
        (head + 21, None),
        (head + 2_000, None),
    ] {
        let flow = read(whole.as_bytes(), 0, held(at)).flow;
        let expected = next.map_or(held(at).unwrap(), |next| Flow {
            left: 0,
            next,
            start: head,
            state: state::KNOWN,
            ..Flow::NONE
        });
        assert_eq!(flow, Some(expected), "at {at}");
    }
    // The body goes on there, or short of there.
    for at in [head, head + 500] {
        let flow = read(&whole.as_bytes()[..head as usize], 0, held(at))
            .flow
            .unwrap();
        assert_eq!(flow.body_bytes(head, 100), 20);
        assert!(!flow.reaches(head + 21));
    }
    // It still stands in the way of what comes behind a head alone.
    let get = request("abc", 0);
    let end = get.len() as u32;
    assert_eq!(read(get.as_bytes(), 0, held(end + 1)).flow, held(end + 1));
    assert!(
        read(get.as_bytes(), 0, held(end))
            .flow
            .unwrap()
            .ends_at(end, false)
    );
}

fn known_at(mut flow: Flow, sequence: u32) -> Flow {
    flow.turn_to(sequence);
    flow
}

#[test]
fn behind_a_long_segment_others_may_have_passed() {
    let long = request(&"k".repeat(600), 0);
    let end = long.len() as u32;
    let flow = read(long.as_bytes(), 0, None).flow.unwrap();
    assert_eq!(known_at(flow, end), flow);
    assert_eq!(known_at(flow, end + 1), Flow::NONE);
    assert!(flow.waits_at(end) && flow.waits_at(end + 1) && !flow.waits_at(end - 1));
    let next = read(request("abc", 0).as_bytes(), end, Some(flow))
        .flow
        .unwrap();
    assert_eq!(known_at(next, 2 * end), Flow::NONE);
    // A body is followed to its end.
    let body = read(request("abc", 9).as_bytes(), end, Some(flow))
        .flow
        .unwrap();
    assert_eq!(known_at(body, 2 * end), body);
    assert!(!body.reaches(2 * end) && !body.waits_at(2 * end));
}

#[test]
fn what_has_ended_is_forgotten_soon() {
    let hour = ticks(3_600_000_000_000);
    let minutes = ticks(300_000_000_000);
    for now in [0, 7, u32::MAX] {
        let later = |ticks: u32| now.wrapping_add(ticks);
        let flow = Flow {
            state: state::GAPPED,
            used: now,
            ..Flow::NONE
        };
        assert!(!flow.is_idle(later(hour)) && flow.is_idle(later(hour + 1)));
        assert!(!flow.is_idle(now.wrapping_sub(1)));
        let mut ended = flow;
        ended.end(now);
        for soon in [ended, Flow::held(5, now)] {
            assert!(!soon.is_idle(later(minutes)) && soon.is_idle(later(minutes + 1)));
        }
    }
}

#[test]
fn the_last_byte_again_is_a_probe() {
    let flow = read((request("abc", 1) + "x").as_bytes(), 0, None)
        .flow
        .unwrap();
    let end = flow.next;
    assert_eq!(flow.body_bytes(end - 1, 1), 1);
    assert_eq!(Flow::held(end, 0).body_bytes(end - 1, 1), 0);
    let flow = read(request(&"k".repeat(600), 0).as_bytes(), 0, None)
        .flow
        .unwrap();
    assert_eq!(flow.body_bytes(flow.next - 1, 1), 1);
    assert_eq!(flow.body_bytes(flow.next - 2, 1), 0);
    assert_eq!(flow.body_bytes(flow.next - 1, 2), 0);
}

#[test]
fn a_seal_fits_one_connection_and_all_that_is_known_of_it() {
    let flow = Flow {
        left: 1,
        next: 2,
        start: 3,
        state: state::KNOWN,
        used: 5,
        seal: 0,
    };
    let key = FlowKey {
        client: Address::ipv4(1),
        server: Address::ipv4(2),
        client_port: 3,
        server_port: 4,
        reserved: 0,
    };
    let fits = |mut flow: Flow, key: &FlowKey| flow.unseal(key);
    let mut read = flow.sealed(&key);
    assert!(read.unseal(&key) && read == flow);
    for torn in [
        Flow { left: 2, ..flow },
        Flow { next: 1, ..flow },
        Flow { start: 2, ..flow },
        Flow {
            state: state::GAPPED,
            ..flow
        },
        Flow { used: 4, ..flow },
    ] {
        let seal = flow.sealed(&key).seal;
        assert!(!fits(Flow { seal, ..torn }, &key), "{torn:?}");
    }
    let other = Address::new([9; 16]);
    for stranger in [
        FlowKey {
            client: other,
            ..key
        },
        FlowKey {
            server: other,
            ..key
        },
        FlowKey {
            client_port: 4,
            ..key
        },
        FlowKey {
            server_port: 3,
            ..key
        },
    ] {
        assert!(!fits(flow.sealed(&stranger), &key), "{stranger:?}");
    }
    assert!(!fits(flow, &key));
}

#[test]
fn a_gap_in_a_body_is_no_end() {
    let head = request("abc", 300);
    let body = head.len() as u32;
    let flow = read(head.as_bytes(), 0, None).flow.unwrap();
    let ahead = flow.after(body + 200, 100, 0);
    assert!(!ahead.ends_at(body + 300, false));
    assert!(!ahead.after(body, 200, 0).ends_at(body + 300, false));
    assert!(ahead.ends_at(body + 300, true) && !ahead.ends_at(body + 299, true));
    let in_order = flow.after(body, 200, 0).after(body + 200, 100, 0);
    assert!(in_order.ends_at(body + 300, false));
}

#[test]
fn a_request_leaves_nothing_to_the_next() {
    for (first, next, reason) in [
        ("GET / HTTP/1.0", "GET / HTTP/0.0", Reason::Malformed),
        ("GET / HTTP/1.1", "CONNECT a:1 HTTP/1.1", Reason::Undecided),
    ] {
        let got = read(format!("{first}\r\n\r\n{next}\r\n\r\n").as_bytes(), 0, None);
        assert_eq!((got.requests.len(), got.lost), (1, Some(reason)), "{next}");
    }
}

#[test]
fn a_token_leaves_nothing_to_the_next() {
    let tokens = [1, 64, 65, 1024, 1025, 2049, 3500].map(|len| "k".repeat(len));
    for first in &tokens {
        for second in &tokens {
            let got = read(
                (request(first, 0) + &request(second, 0)).as_bytes(),
                0,
                None,
            );
            assert_eq!(got.requests, [Ok(digest(first)), Ok(digest(second))]);
        }
    }
}

#[test]
fn every_head_has_the_whole_limit() {
    let payload = request(&"k".repeat(8000), 0).repeat(10);
    let got = read(payload.as_bytes(), 0, None);
    assert_eq!((got.requests.len(), got.lost), (10, None));
}

#[test]
fn a_segment_leaves_nothing_to_the_next() {
    let first = request(&"k".repeat(200), 3000) + "x";
    let mut reader = reader();
    for next in [
        request("next", 0),
        request("next", 9),
        " / HTTP/1.1\r\n\r\n".into(),
    ] {
        let expected = read(next.as_bytes(), 7, None);
        for cut in 1..=first.len() {
            read_with(&mut reader, &first.as_bytes()[..cut], 0, None);
            let got = read_with(&mut reader, next.as_bytes(), 7, None);
            assert_eq!(got, expected, "{next:?} behind {cut} bytes");
            // Reading ends before the segment does.
            let broken = String::from(&first[..cut]) + "\0\0\0\0";
            read_with(&mut reader, broken.as_bytes(), 0, None);
            let got = read_with(&mut reader, next.as_bytes(), 7, None);
            assert_eq!(got, expected, "{next:?} behind {cut} bytes, broken");
        }
    }
}

#[test]
fn a_head_must_be_whole() {
    let payload = request("abc", 0);
    for cut in 1..payload.len() {
        let got = read(&payload.as_bytes()[..cut], 0, None);
        assert_eq!(got.lost, Some(Reason::Undecided), "cut at {cut}");
    }
    let two = payload.clone() + &payload[..20];
    let got = read(two.as_bytes(), 0, None);
    assert_eq!((got.requests.len(), got.lost), (1, Some(Reason::Undecided)));
    // Not even the line ends that may complete one.
    assert_eq!(read(b"\r\n\r\n", 0, None).lost, Some(Reason::Undecided));
    assert_eq!(
        read((payload.clone() + "\r\n").as_bytes(), 0, None).lost,
        None
    );
    assert_eq!(read(b"\r\n\r", 0, None).lost, Some(Reason::Undecided));
    for undecided in [
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(
            read(undecided.as_bytes(), 0, None).lost,
            Some(Reason::Undecided)
        );
    }
}

#[test]
fn bytes_that_cannot_be_had_are_no_request() {
    let key = KeyWords::new(&KEY);
    let rule = CredentialRule::new(Name::EMPTY, Name::EMPTY, Charset::Visible);
    let rules = Rules {
        credential: &rule,
        key: &key,
        options: 0,
    };
    let mut reader = reader();
    reader.begin(0, 100);
    let turn = reader.turn(&mut Window::new(), &rules, |_, _, _| false);
    assert_eq!(turn, Turn::Lost(Reason::Undecided));
}

#[test]
fn a_body_is_no_head_in_any_order() {
    let head = request("abc", 3000);
    let sequence = u32::MAX - 500;
    let first = read(
        format!("{head}{}", "x".repeat(1000)).as_bytes(),
        sequence,
        None,
    );
    let flow = first.flow.unwrap();
    let body = sequence.wrapping_add(head.len() as u32);
    let at = |offset: u32| body.wrapping_add(offset);
    let bait = request("nobody", 0);
    // Later parts first, then again, then the rest and the next request.
    let mut flow = flow;
    for offset in [2000, 1000, 0, 1500, 3000 - bait.len() as u32] {
        let got = read(bait.as_bytes(), at(offset), Some(flow));
        assert_eq!((got.requests.len(), got.lost), (0, None), "at {offset}");
        flow = got.flow.unwrap();
    }
    let next = read(request("next", 0).as_bytes(), at(3000), Some(flow));
    assert_eq!(next.requests, [Ok(digest("next"))]);
    // The body's late segments are still known for what they are.
    let late = read(bait.as_bytes(), at(1000), next.flow);
    assert_eq!((late.requests.len(), late.lost), (0, None));
    // The end of the body and the next request in one segment.
    let both = format!("xxxxx{}", request("next", 9));
    let got = read(both.as_bytes(), at(2995), Some(flow));
    assert_eq!(got.requests, [Ok(digest("next"))]);
    assert_eq!(
        got.flow
            .unwrap()
            .body_bytes(at(2995 + both.len() as u32), 20),
        9
    );
    // The head again, cut otherwise.
    let again = read(format!("{head}x").as_bytes(), sequence, Some(flow));
    assert_eq!(again.requests, [Ok(digest("abc"))]);
    assert_eq!(again.flow.unwrap().body_bytes(at(2990), 20), 10);
}

#[test]
fn what_fills_a_gap_is_judged() {
    let head = request("abc", 100);
    let body = head.len() as u32;
    let flow = read(head.as_bytes(), 0, None).flow.unwrap();
    // Behind the body a request is missing, and another one came.
    let (missing, next) = (request("missing", 0), request("next", 0));
    let after = body + 100 + missing.len() as u32;
    let ahead = read(next.as_bytes(), after, Some(flow));
    assert_eq!(ahead.requests, [Ok(digest("next"))]);
    let late = read(missing.as_bytes(), body + 100, ahead.flow);
    assert_eq!(late.requests, [Ok(digest("missing"))]);
}

#[test]
fn bodies_are_measured_to_the_byte() {
    const LENGTH: u32 = 9;
    for start in [100, u32::MAX - 4] {
        for seen in 0..=LENGTH {
            let flow = Flow {
                left: u64::from(LENGTH - seen),
                next: start.wrapping_add(seen),
                start,
                state: state::KNOWN,
                ..Flow::NONE
            };
            for at in 0..=LENGTH + 3 {
                for len in 1..=LENGTH + 3 {
                    let got = flow.body_bytes(start.wrapping_add(at), len);
                    let expected = LENGTH.saturating_sub(at).min(len);
                    assert_eq!(got, expected, "{len} bytes at {at}, {seen} seen");
                }
            }
            assert_eq!(flow.body_bytes(start.wrapping_sub(1), 5), 0);
        }
    }
}

#[test]
fn bodies_beyond_the_sequence_space_end_where_they_should() {
    let length = 5_368_709_123_u64;
    let head =
        format!("PUT / HTTP/1.1\r\nAuthorization: Bearer abc\r\nContent-Length: {length}\r\n\r\n");
    let mut flow = read(head.as_bytes(), 77, None).flow.unwrap();
    let mut sequence = 77 + head.len() as u32;
    let mut left = length;
    while left > 0 {
        let len = least(left, 60_001);
        assert_eq!(flow.body_bytes(sequence, 65_000), least(left, 65_000));
        // A retransmission of what came before is still the body.
        assert_eq!(
            flow.body_bytes(sequence.wrapping_sub(1), 2),
            2 * u32::from(left != length)
        );
        flow = flow.after(sequence, len, 0);
        sequence = sequence.wrapping_add(len);
        left -= u64::from(len);
    }
    assert_eq!(flow.body_bytes(sequence, 100), 0);
}

proptest! {
    /// However requests with bodies are cut at bounds of heads, the same requests come out.
    #[test]
    fn cuts_in_bodies_change_nothing(
        bodies in prop::collection::vec(0usize..9000, 1..12),
        sequence: u32,
        cuts in prop::collection::vec(1usize..5000, 1..8),
    ) {
        let mut expected = Vec::new();
        let mut got = Vec::new();
        let mut flow: Option<Flow> = None;
        let mut sequence = sequence;
        let mut cuts = cuts.iter().cycle();
        for (i, body) in bodies.iter().enumerate() {
            let token = format!("t{i}");
            let head = request(&token, *body);
            expected.push(Ok(digest(&token)));
            let message = head.clone() + &"GET / HTTP/1.1\r\n\r\n".repeat(body / 18 + 1)[..*body];
            let mut rest = message.as_bytes();
            let mut least = head.len();
            while !rest.is_empty() {
                let len = (least + cuts.next().unwrap()).min(rest.len());
                let outcome = read(&rest[..len], sequence, flow);
                prop_assert_eq!(outcome.lost, None);
                got.extend(outcome.requests);
                flow = outcome.flow;
                sequence = sequence.wrapping_add(len as u32);
                rest = &rest[len..];
                least = 0;
            }
        }
        prop_assert_eq!(got, expected);
    }
}
