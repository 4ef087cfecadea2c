//! The framing of a connection's requests, at any cut, and against a reference.

mod changed;
mod chunks;
mod core;
mod generated;
mod heads;
mod input;
mod proxy;
mod reference;
mod seeds;
mod told;
mod upgrades;

use token_agent_common::reason::Reason;

use crate::told::{Credential, End, Told};

/// Reads `stream` at many cuts, which must make no difference, and compares with the reference.
fn follow(stream: &[u8], credential: Credential, options: u32) -> Told {
    let whole = core::follow(stream, credential, options, &[usize::MAX]);
    for cut in (1..=24).chain([31, 64, 100, 511, 512, 513, 1000]) {
        if cut < 8 && stream.len() > 100_000 {
            continue;
        }
        let cuts = [cut, cut, 1, cut];
        for cuts in [&cuts[..1], &cuts] {
            let told = core::follow(stream, credential, options, cuts);
            assert_eq!(told, whole, "cut by {cuts:?}: {:?}", shown(stream));
        }
    }
    let reference = reference::follow(stream, credential, options);
    if let Err(difference) = whole.check(&reference) {
        panic!("{:?}\n{difference}", shown(stream));
    }
    whole
}

fn shown(stream: &[u8]) -> String {
    stream[..stream.len().min(2000)].escape_ascii().to_string()
}

fn bearer(stream: impl AsRef<[u8]>, options: u32) -> Told {
    follow(stream.as_ref(), told::BEARER, options)
}

/// Fails unless the first request of `stream` is read and what follows is denied.
fn denied_behind_one(stream: &str, options: u32, reason: Reason) {
    let told = bearer(stream, options);
    assert_eq!(told.end, End::Denied(reason), "{stream:?}");
    assert_eq!(told.requests.len(), 1, "{stream:?}");
}

/// Fails unless nothing of `stream` is a request.
fn denied(stream: impl AsRef<[u8]>, options: u32, reason: Reason) {
    let stream = stream.as_ref();
    let told = bearer(stream, options);
    assert_eq!(told.end, End::Denied(reason), "{}", shown(stream));
    assert!(told.requests.is_empty(), "{}", shown(stream));
}

/// Fails unless all of `stream` is read; gives what was.
fn whole(stream: impl AsRef<[u8]>, options: u32) -> Told {
    let stream = stream.as_ref();
    let told = bearer(stream, options);
    assert_eq!(told.end, End::Between, "{}", shown(stream));
    told
}
