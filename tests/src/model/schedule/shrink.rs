//! Changes that make a schedule simpler, numbered.

use std::time::Duration;

use super::{Attack, Honest};
use crate::{
    frame::ACK,
    model::{
        attack::{Crafted, Event},
        receiver::{Choices, Options},
        world::{Deed, Fate, Host},
    },
};

/// Changes to each step, besides its removal.
const STEP_CHANGES: usize = 10;

/// Changes to the rest.
const OTHER_CHANGES: usize = 9;

#[expect(clippy::option_option, reason = "the end, or nothing here")]
pub(super) fn attack(attack: &Attack, change: usize) -> Option<Option<Attack>> {
    let steps = attack.steps.len();
    let mut changed = attack.clone();
    // From the end on, so that what is left keeps its number.
    if let Some(step) = steps.checked_sub(change + 1) {
        changed.steps.remove(step);
        return Some(Some(changed));
    }
    let change = change - steps;
    if change < OTHER_CHANGES {
        match change {
            0 => changed.host = simplest(&attack.host),
            1 => changed.host = simpler(&attack.host),
            2 => changed.policy.ends = None,
            3 => changed.policy.websocket = false,
            4 => changed.isns[0] = 1_000,
            5 => changed.plan.marks.clear(),
            6 => drop(changed.plan.sites.pop()),
            7 => changed.plan.bytes.truncate(attack.plan.bytes.len() / 2),
            _ => changed.plan.bytes.truncate(attack.plan.bytes.len() * 7 / 8),
        }
        return Some((changed != *attack).then_some(changed));
    }
    let change = change - OTHER_CHANGES;
    let step = changed.steps.get_mut(change / STEP_CHANGES)?;
    match (&mut step.event, change % STEP_CHANGES) {
        (_, 0) => step.wait = Duration::ZERO,
        (_, 1) => step.wait = step.wait.min(Duration::from_millis(1)),
        (Event::Send(crafted), change) => simplify(crafted, change),
        (Event::Application(_), _) => {}
    }
    Some((changed != *attack).then_some(changed))
}

fn simplify(crafted: &mut Crafted, change: usize) {
    match change {
        2 => crafted.fate = Fate::Arrives,
        3 => crafted.replies = Fate::Arrives,
        4 => crafted.acknowledgment = 0,
        5 => crafted.flags = ACK,
        6 => crafted.version = 0,
        7 => crafted.options.clear(),
        // One site less.
        8 => crafted.version &= crafted.version.wrapping_sub(1),
        _ => crafted.version ^= crafted.version.checked_ilog2().map_or(0, |bit| 1 << bit),
    }
}

#[expect(clippy::option_option, reason = "the end, or nothing here")]
pub(super) fn honest(honest: &Honest, change: usize) -> Option<Option<Honest>> {
    let mut changed = honest.clone();
    let faults = honest.faults.len();
    if change < faults {
        changed.faults.remove(change);
        return Some(Some(changed));
    }
    let change = change - faults;
    if change < honest.deeds.len() {
        let (_, removed) = changed.deeds.remove(change);
        // Who pauses must read on, for there is nobody to blame else.
        if matches!(removed, Deed::Socket(_)) {
            changed
                .deeds
                .retain(|(_, deed)| !matches!(deed, Deed::Socket(_)));
        }
        return Some(Some(changed));
    }
    let habits = &mut changed.habits;
    match change - honest.deeds.len() {
        0 => changed.host = simplest(&honest.host),
        1 => changed.host = simpler(&honest.host),
        2 => habits.keepalives = false,
        3 => habits.tail_probes = false,
        4 => habits.probes = false,
        5 => habits.has_fin = false,
        6 => habits.is_patient = false,
        7 => habits.mss = habits.mss.max(1_448),
        8 => habits.isn = 7_000,
        9 => changed.delay = Duration::ZERO,
        _ => return None,
    }
    Some((changed != *honest).then_some(changed))
}

/// A host without quirks.
fn simplest(_: &Host) -> Host {
    Host::Linux(Options::default())
}

/// A host of the same kind with fewer quirks.
fn simpler(host: &Host) -> Host {
    match host {
        Host::Linux(options) => Host::Linux(Options {
            cookies: options.cookies,
            minute: options.minute,
            fast_open: options.fast_open,
            multipath: options.multipath,
            buffer: options.buffer,
            ..Options::default()
        }),
        Host::Smol { .. } => Host::Smol {
            buffer: 65_535,
            seed: 1,
        },
        Host::Loose(choices) => Host::Loose(Choices {
            each: choices.each[..choices.each.len() / 2].to_vec(),
            ..*choices
        }),
    }
}
