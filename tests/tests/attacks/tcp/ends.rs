//! RST and FIN, where they end something and where they do not.

use std::time::Duration;

use token_agent_tests::raw::flags::{ACK, RST};

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A27", "aaaaa", |play| {
        play.decoy(100..105).flags(RST | ACK).send()?;
        play.real(0..5).send()
    }),
    Case::new("A28", "aaaaa", |play| {
        play.peer.rst(-1).send()?;
        play.real(0..5).send()
    }),
    Case::new("A29", "aaaaa", |play| {
        play.peer.rst(1).send()?;
        play.real(0..5).send()
    }),
    Case::new("A30", "aaaaa", |play| {
        play.peer.rst(0).send()?;
        play.real(0..5).send()
    })
    .hostile(),
    Case::new("A31", "aaaaa", |play| {
        play.peer.rst(0).bad_checksum().send()?;
        play.real(0..5).send()
    })
    .hostile(),
    Case::new("A33", "aaaaa", |play| {
        play.peer.fin(play.at(5)).send()?;
        play.real(0..5).send()
    }),
    Case::new("A34", "aaaaa", |play| {
        play.peer.fin(play.at(100)).send()?;
        play.real(0..5).send()
    })
    .hostile(),
    Case::new("A83", "firstsecond", |play| {
        play.real(0..5).send()?;
        play.peer.rst(play.at(5)).send()?;
        // The server's threads write down what they got in the order in which they get to it.
        play.peer.pause(Duration::from_millis(300))?;
        play.peer.restart(-5_000);
        play.peer.connect()?;
        if play.is_http {
            play.peer.data(0, play.stream()).send()
        } else {
            play.peer.data(0, b"second").send()
        }
    }),
    Case::new("A168", "aaaaa", |play| {
        play.real(0..5).send()?;
        play.peer.rst(play.at(5)).send()
    })
    .hostile(),
];
