//! The same bytes of the stream twice, with other content.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A05", "aaaaabbbbb", |play| {
        play.real(5..10).send()?;
        play.decoy(5..10).send()?;
        play.real(0..5).send()
    }),
    Case::new("A07", "aaaaabbbbbbbbbb", |play| {
        play.real(10..15).send()?;
        play.decoy(5..12).send()?;
        play.real(0..5).send()
    }),
    Case::new("A09", "aaaaabbbbb", |play| {
        play.real(5..10).send()?;
        play.decoy(0..8).send()
    }),
    Case::new("A14", "aaaaabbbbbccccc", |play| {
        play.real(10..15).send()?;
        play.real(5..10).send()?;
        play.real(0..5).send()
    }),
    Case::new("A151", "ab", |play| {
        for island in 0..300 {
            play.real(2 * island + 1..2 * island + 2).send()?;
        }
        for hole in 0..300 {
            play.real(2 * hole..2 * hole + 1).send()?;
        }
        Ok(())
    })
    .times(300),
    Case::new("A169", "g", |play| {
        for island in 0..200 {
            play.decoy(2 * island + 1..2 * island + 2).send()?;
        }
        play.real(0..500).send()
    })
    .times(500),
];
