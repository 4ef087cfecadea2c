//! Below HTTP: segments, packets and frames that make the server see another stream than the guard might.
//!
//! Each case is played with a *real* stream and a *decoy* of the same length. Where the catalogue measured what a
//! socket gets, both are letters and nothing guards the server ([`measured`]): so the attack is what it claims to be. Then both are
//! requests, one with a valid and one with a revoked token, in either role ([`guarded`]).

mod checksums;
mod ends;
mod fragments;
mod handshake;
mod ipv6;
mod layers;
mod overlaps;
mod play;
mod run;
mod syn_cookies;
mod urgent;
mod windows;

use std::collections::BTreeSet;

use token_agent_tests::{ground::Way, host::Pair};

use crate::catalogue;

pub(crate) use play::{Case, Play};

/// Those the catalogue only describes; they are tried elsewhere.
const DESCRIBED: [&str; 3] = ["A184", "A185", "A190"];

/// Those in which no server gets anything, with or without a guard.
const HARMLESS: [&str; 9] = [
    "A30", "A73", "A78", "A78d", "A79", "A80", "A135", "A140", "A127",
];

#[test]
fn none_is_left_out() {
    let here: BTreeSet<_> = cases()
        .into_iter()
        .chain(syn_cookies::cases())
        .map(|case| case.id)
        .chain(DESCRIBED)
        .collect();
    let there: BTreeSet<_> = catalogue::group('A')
        .map(|case| catalogue::text(case, "id"))
        .collect();
    assert_eq!(here, there);
}

/// All that need no host of their own.
fn cases() -> Vec<&'static Case> {
    [
        checksums::CASES,
        ends::CASES,
        fragments::CASES,
        handshake::CASES,
        ipv6::CASES,
        layers::CASES,
        overlaps::CASES,
        urgent::CASES,
        windows::CASES,
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn sockets_get_what_was_measured() -> anyhow::Result<()> {
    run::measured(&cases())
}

#[test]
fn requests_get_to_an_unguarded_server() -> anyhow::Result<()> {
    for pair in [Pair::new()?, Pair::bridged()?] {
        let successful = run::successful(&pair, &cases())?;
        let rest: Vec<_> = cases()
            .into_iter()
            .map(|case| case.id)
            .filter(|id| !successful.contains(id))
            .collect();
        assert_eq!(rest, HARMLESS, "{pair:?}");
    }
    Ok(())
}

#[test]
fn on_the_way_to_a_service() -> anyhow::Result<()> {
    run::guarded(Way::Service, &cases())
}

#[test]
fn on_tc() -> anyhow::Result<()> {
    run::guarded(Way::Tc, &cases())
}

#[test]
fn on_xdp() -> anyhow::Result<()> {
    run::guarded(Way::Xdp, &cases())
}
