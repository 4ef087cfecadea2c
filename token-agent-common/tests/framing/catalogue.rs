//! A catalogue of attacks on framing and tokens and of honest traffic, with what becomes of it.
//!
//! A line of `catalogue.jsonl` is a case: `id`; `what` it is; `must`, what a sound guard
//! does with it; `send`, the segments (a character stands for a byte, `["a", 9]` for nine
//! of them); `keys` if the credential is that of `X-API-Key`; `options` of the service;
//! `passes`, how many requests pass before the first that does not; `end`, where reading
//! ended: between requests, in a body, deciding, or why something was denied; `harmless`
//! if the revoked token may be in what passes, since it is no credential there. The token
//! `GOODTOK` is valid, `REVOKEDTOK` was revoked.

use serde_json::Value;
use token_agent_common::{http1::option, reason::Reason};

use crate::{
    core, reference, shown,
    told::{API_KEY, BEARER, Credential, End, Told, digest},
};

const CASES: &str = include_str!("catalogue.jsonl");

struct Case {
    id: String,
    segments: Vec<Vec<u8>>,
    credential: Credential,
    options: u32,
    passes: u64,
    end: String,
    is_harmless: bool,
}

impl Case {
    fn read(line: &str) -> Self {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap().to_owned();
        Self {
            id: text("id"),
            segments: case["send"]
                .as_array()
                .unwrap()
                .iter()
                .map(unroll)
                .collect(),
            credential: if case["keys"] == true {
                API_KEY
            } else {
                BEARER
            },
            options: options(&case["options"]),
            passes: case["passes"].as_u64().unwrap(),
            end: text("end"),
            is_harmless: case["harmless"] == true,
        }
    }
}

fn options(words: &Value) -> u32 {
    let words = words.as_array().into_iter().flatten();
    words.fold(0, |options, word| {
        let option = match word.as_str().unwrap() {
            "no_body_on_get" => option::NO_BODY_ON_GET,
            "proxy_protocol" => option::PROXY_PROTOCOL,
            "websocket" => option::WEBSOCKET,
            other => panic!("no option: {other}"),
        };
        options | option
    })
}

/// The bytes of a segment.
fn unroll(segment: &Value) -> Vec<u8> {
    match segment {
        Value::String(text) => text.chars().map(|c| u8::try_from(c).unwrap()).collect(),
        Value::Array(parts) => parts
            .iter()
            .flat_map(|part| match part.as_array() {
                Some(run) => unroll(&run[0]).repeat(run[1].as_u64().unwrap() as usize),
                None => unroll(part),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            panic!("neither a text nor a run: {segment}")
        }
    }
}

/// How many requests pass, where the last byte is that does, and how it ends.
fn judged(told: &Told) -> (u64, usize, String) {
    let mut passes = 0;
    let mut passed = 0;
    for request in &told.requests {
        let reason = match request.credential {
            Ok(found) if found == digest(b"GOODTOK") => Reason::Allowed,
            Ok(found) if found == digest(b"REVOKEDTOK") => Reason::Revoked,
            Ok(_) => Reason::Unknown,
            Err(reason) => reason,
        };
        if reason != Reason::Allowed {
            return (passes, passed, reason.as_str().to_owned());
        }
        passes += 1;
        let of_its_body = told
            .opaque
            .iter()
            .filter(|(start, _)| *start >= request.end);
        passed = of_its_body
            .map(|(start, len)| start + len)
            .max()
            .unwrap_or(request.end);
    }
    let end = match told.end {
        End::Between => "between",
        End::Opaque(_) => "body",
        End::Deciding => "deciding",
        End::Denied(reason) => reason.as_str(),
    };
    (passes, passed, end.to_owned())
}

fn told(case: &Case) -> Told {
    let options = case.options;
    let stream = case.segments.concat();
    let mut lengths: Vec<_> = case.segments.iter().map(Vec::len).collect();
    lengths.push(usize::MAX);
    let told = core::follow(&stream, case.credential, options, &lengths);
    for cut in 1..40 {
        let cut = core::follow(&stream, case.credential, options, &[cut]);
        assert_eq!(cut, told, "{}", case.id);
    }
    let reference = reference::follow(&stream, case.credential, options);
    if let Err(difference) = told.check(&reference) {
        panic!("{}: {}\n{difference}", case.id, shown(&stream));
    }
    told
}

#[test]
fn every_case_is_judged_as_it_must_be() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case = Case::read(line);
        let stream = case.segments.concat();
        let (passes, passed, end) = judged(&told(&case));
        if (passes, &end) != (case.passes, &case.end) {
            wrong.push(format!("{}: {passes} pass, then {end}", case.id));
        }
        let is_in = |token: &[u8]| stream[..passed].windows(token.len()).any(|at| at == token);
        if !case.is_harmless && is_in(b"REVOKEDTOK") {
            wrong.push(format!("{}: a revoked token passes", case.id));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
