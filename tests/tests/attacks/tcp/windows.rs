//! Where data may begin and end, and how much the server takes.

use std::time::Duration;

use token_agent_tests::raw::flags::ACK;

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A44", "aaaaa", |play| {
        play.decoy(100_000..100_005).send()?;
        play.real(0..5).send()
    }),
    Case::new("A45", "aaaaa", |play| {
        play.decoy(-5..0).send()?;
        play.real(0..5).send()
    })
    .hostile(),
    Case::new("A46", "aaaaa", |play| play.real(-3..5).send()).hostile(),
    Case::new("A88", "aaaaabbbbb", |play| {
        play.real(0..5).send()?;
        play.peer.segment(ACK, play.at(5) - 1, b"").send()?;
        play.real(5..10).send()
    }),
    Case::new("A90", "aaaaabcdef", |play| {
        play.real(0..5).send()?;
        play.real(5..6).send()?;
        play.real(5..10).send()
    }),
    Case::new("A92", "aaaaabbbbbccccc", |play| {
        play.real(0..5).send()?;
        play.real(5..10).send()?;
        play.real(5..10).send()?;
        play.real(10..15).send()
    }),
    Case::new("A152", "q", |play| {
        play.peer.connect_with(&[2, 4, 0, 88])?;
        (0..11).try_for_each(|segment| play.real(88 * segment..88 * (segment + 1)).send())
    })
    .times(968)
    .with_handshake(),
    Case::new("A160", "R", |play| {
        for segment in 0..7 {
            play.decoy(500 * segment..500 * (segment + 1)).send()?;
        }
        // What the server's buffer did not take, it takes when that was read.
        play.peer.pause(Duration::from_millis(1_500))?;
        for at in (play.peer.acked()?.cast_signed()..3_500).step_by(500) {
            play.real(at..3_500.min(at + 500)).send()?;
            play.peer.pause(Duration::from_millis(50))?;
        }
        Ok(())
    })
    .times(3_500)
    .slow()
    // It sends more than the window has room for.
    .hostile(),
    Case::new("A161", "a", |play| {
        let beyond = i32::from(play.peer.window());
        play.decoy(beyond..beyond + 100).send()?;
        play.real(0..100).send()
    })
    .times(100),
    Case::new("A170", "q", |play| {
        play.real(0..1_460).send()?;
        play.real(1_460..2_920).send()
    })
    .times(2_920),
];
