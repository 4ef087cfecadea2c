//! Odd headers, below TCP and in it.

use token_agent_tests::raw::flags::{CWR, ECE};

use super::Case;

/// Loose source routing, over one host, which is the next.
const SOURCE_ROUTE: [u8; 8] = [131, 7, 4, 10, 77, 0, 2, 1];

pub(super) const CASES: &[Case] = &[
    Case::new("A38", "aaaaa", |play| play.real(0..5).and(ECE | CWR).send()),
    Case::new("A39", "aaaaa", |play| play.real(0..5).reserved(0xf).send()),
    Case::new("A56", "aaaaa", |play| {
        play.real(0..5).tcp_options(&[28, 4, 0, 30]).send()
    }),
    Case::new("A57", "aaaaa", |play| {
        play.real(0..5).tcp_options(&[254, 4, 0xf9, 0x89]).send()
    }),
    Case::new("A100", "aaaaa", |play| play.real(0..5).ttl(1).send()),
    Case::new("A102", "aaaaa", |play| {
        play.real(0..5).ip_options(&[1; 40]).send()
    }),
    Case::new("A104", "aaaaa", |play| {
        play.decoy(0..5).ip_options(&SOURCE_ROUTE).send()?;
        play.real(0..5).send()
    }),
    Case::new("A106", "aaaaa", |play| {
        play.real(0..5)
            .trailer(b"\r\n\r\nGET / HTTP/1.1\r\n")
            .send()
    }),
    Case::new("A109", "aaaaa", |play| {
        play.decoy(0..5).ip_words(4).send()?;
        play.real(0..5).send()
    }),
    Case::new("A110", "aaaaa", |play| play.real(0..5).tos(0xff).send()),
    Case::new("A119b", "aaaaa", |play| {
        play.decoy(0..5).to_ethernet([1, 0, 0x5e, 0, 0, 1]).send()?;
        play.real(0..5).send()
    }),
    Case::new("A127", "aaaaa", |play| play.real(0..5).snap().send()),
];
