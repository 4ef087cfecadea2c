//! Segments the server's kernel throws away, and others in their place.

use token_agent_tests::raw::flags::{ACK, PSH, SYN};

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A20", "aaaaa", |play| {
        play.decoy(0..5).bad_checksum().send()?;
        play.real(0..5).send()
    }),
    Case::new("A21", "aaaaa", |play| {
        play.decoy(0..5).bad_ip_checksum().send()?;
        play.real(0..5).send()
    }),
    Case::new("A23", "aaaaa", |play| {
        play.decoy(0..5).flags(PSH).send()?;
        play.real(0..5).send()
    }),
    Case::new("A24", "aaaaa", |play| {
        play.decoy(0..5).flags(0).send()?;
        play.real(0..5).send()
    }),
    Case::new("A26", "aaaaa", |play| {
        play.decoy(0..5).flags(SYN).send()?;
        play.real(0..5).send()
    }),
    Case::new("A41", "aaaaa", |play| {
        play.decoy(0..5).acknowledging(1_000).send()?;
        play.real(0..5).send()
    }),
    Case::new("A47", "aaaaa", |play| {
        play.decoy(0..5).tcp_words(4).send()?;
        play.real(0..5).send()
    }),
    Case::new("A49", "aaaaa", |play| {
        play.real(0..5)
            .tcp_options(b"GET / HTTP/1")
            .flags(PSH | ACK)
            .send()
    }),
];
