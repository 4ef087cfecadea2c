//! Urgent bytes: the kernel takes each out of the stream.
//!
//! In the streams they are exclamation marks.

use std::time::Duration;

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A65", "aa!aa", |play| {
        let urgent = play.urgent()[0];
        let pointer = u16::try_from(urgent + 1)?;
        play.bytes(0..play.stream().len()).urgent(pointer).send()
    })
    .hostile(),
    Case::new("A67", "aaaaabb!bb", |play| {
        let urgent = play.urgent()[0];
        let (cut, pointer) = (urgent - 2, u16::try_from(urgent + 1)?);
        play.bytes(0..cut).urgent(pointer).send()?;
        play.bytes(cut..play.stream().len()).send()
    })
    .hostile(),
    Case::new("A68", "aa!aabb!bb", |play| {
        let [first, second] = play.urgent()[..] else {
            anyhow::bail!("two are urgent");
        };
        let cut = second - 2;
        play.bytes(0..cut)
            .urgent(u16::try_from(first + 1)?)
            .send()?;
        // As long as the first is unread, the kernel takes out only the second.
        play.peer.pause(Duration::from_millis(50))?;
        play.bytes(cut..play.stream().len()).urgent(3).send()
    })
    .hostile(),
    Case::new("A69", "aaaaa", |play| {
        play.real(0..5).urgent_pointer(3).send()
    }),
];
