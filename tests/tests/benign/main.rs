//! Benign traffic comes to no harm: real clients and servers, kernels that cut, lose and repeat segments, and the
//! guard between them.
//!
//! In every case others send requests with a revoked token meanwhile. What is asked of each case: every request is
//! answered with 200; the application got as many bodies as were sent, unchanged; the guard denied nothing but the revoked requests,
//! and all of those.

mod application;
mod clients;
mod connections;
mod pattern;
mod place;
mod segments;
mod slow;
mod tokens;
mod uploads;
mod weather;
mod websocket;

use anyhow::Result;

use place::{Case, Way};

const CASES: [&[Case]; 6] = [
    clients::CASES,
    connections::CASES,
    segments::CASES,
    slow::CASES,
    uploads::CASES,
    websocket::CASES,
];

#[test]
fn on_lo() -> Result<()> {
    place::by(Way::Lo, &CASES.concat())
}

#[test]
fn on_lo_by_generic_xdp() -> Result<()> {
    place::by(Way::LoXdp, &CASES.concat())
}

#[test]
fn towards_a_container() -> Result<()> {
    place::by(Way::Service, &CASES.concat())
}

#[test]
fn on_tc() -> Result<()> {
    place::by(Way::Tc, &CASES.concat())
}

#[test]
fn on_xdp() -> Result<()> {
    place::by(Way::Xdp, &CASES.concat())
}
