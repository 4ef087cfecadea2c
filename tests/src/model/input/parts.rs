//! The bytes of a step.
//!
//! | byte | of a segment | of a deed |
//! |---|---|---|
//! | 0 | how long after the one before | the same |
//! | 1 | attempt, where its place counts from, 128 | which |
//! | 2, 3 | place | |
//! | 4 | length | |
//! | 5 | flags | |
//! | 6, 7 | version | |
//! | 8 | its fate, and that of the replies | |
//! | 9 | acknowledgment | |
//! | 10 | options | |
//! | 11 | urgent pointer | |

use std::time::Duration;

use super::{STEP, code, number};
use crate::model::{
    attack::{Crafted, Event, Place, SYN_ACK_ALONE, Step},
    receiver::Action,
    world::{Deed, Fate},
};

/// In milliseconds.
const WAITS: [i64; 14] = [
    0, 1, 5, 50, 300, 900, 1_100, 1_200, 2_000, 2_500, 4_000, 60_000, 400_000, 10_000_000,
];

/// Lengths beyond 200.
const LENGTHS: [i64; 6] = [250, 300, 600, 1_460, 4_000, 65_000];

/// In milliseconds.
const DELAYS: [i64; 6] = [1, 10, 45, 100, 300, 1_500];

const ACKNOWLEDGMENTS: [i64; 12] = [
    0,
    SYN_ACK_ALONE as i64,
    1,
    -1,
    3_000,
    -100,
    -100_000,
    1 << 30,
    -(1 << 30),
    -(1 << 30) - 1,
    i32::MAX as i64,
    -70_000,
];

/// Places beyond these.
const FAR: i64 = 30_000;
const PLACES: [i64; 10] = [
    1 << 30,
    (1 << 30) - 1,
    (1 << 30) + 1,
    -(1 << 30),
    -(1 << 30) - 1,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    100_000,
    -100_000,
];

const OPTIONS: [&[u8]; 7] = [
    &[],
    &[4, 2, 1, 1],
    &[2, 4, 5, 0xb4],
    &[2, 4, 5, 0xb4, 4, 2, 1, 1],
    &[34, 2, 1, 1],
    &[34, 6, b'b', b'i', b's', b'c', 1, 1],
    &[30, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
];

const DEEDS: [Deed; 10] = [
    Deed::Respond,
    Deed::Continue,
    Deed::Refuse,
    Deed::Upgrade,
    Deed::PretendUpgrade,
    Deed::Socket(Action::Pause),
    Deed::Socket(Action::Read),
    Deed::Socket(Action::Shutdown),
    Deed::Socket(Action::Close),
    Deed::Socket(Action::Abort),
];

/// In the byte at 1.
const IS_SEGMENT: u8 = 0x80;
const IN_STREAM: u8 = 0x40;

pub(super) fn step(bytes: &[u8; STEP]) -> Step {
    let [
        wait,
        kind,
        low,
        high,
        len,
        flags,
        version_low,
        version_high,
        fates,
        acknowledgment,
        options,
        urgent,
    ] = *bytes;
    let wait = milliseconds(number(&WAITS, wait));
    if kind & IS_SEGMENT == 0 {
        let deed = DEEDS[usize::from(kind) % DEEDS.len()].clone();
        return Step {
            wait,
            event: Event::Application(deed),
        };
    }
    let at = match i64::from(i16::from_le_bytes([low, high])) {
        at if at.abs() <= FAR => at,
        _ => number(&PLACES, low),
    };
    let crafted = Crafted {
        attempt: usize::from(kind & 3) % 3,
        at: if kind & IN_STREAM != 0 {
            Place::Stream(at)
        } else {
            Place::Acked(at)
        },
        len: match len {
            0..=200 => len.into(),
            _ => number(&LENGTHS, len - 201) as usize,
        },
        version: u16::from_le_bytes([version_low, version_high]).into(),
        flags: flags & 0x3f,
        acknowledgment: number(&ACKNOWLEDGMENTS, acknowledgment) as i32,
        urgent: urgent.into(),
        options: OPTIONS[usize::from(options) % OPTIONS.len()].to_vec(),
        fate: fate(fates & 0xf),
        replies: fate(fates >> 4),
    };
    Step {
        wait,
        event: Event::Send(crafted),
    }
}

pub(super) fn bytes(step: &Step) -> [u8; STEP] {
    let mut bytes = [0; STEP];
    bytes[0] = code(&WAITS, step.wait.as_millis() as i64);
    let crafted = match &step.event {
        Event::Send(crafted) => crafted,
        Event::Application(deed) => {
            let which = DEEDS.iter().position(|one| one == deed);
            bytes[1] = which.unwrap_or_default() as u8;
            return bytes;
        }
    };
    let (at, base) = match crafted.at {
        Place::Stream(at) => (at, IN_STREAM),
        Place::Acked(at) => (at, 0),
    };
    bytes[1] = IS_SEGMENT | base | crafted.attempt as u8;
    let near = if at.abs() <= FAR {
        at as i16
    } else {
        i16::from_le_bytes([code(&PLACES, at), 0x7f])
    };
    bytes[2..4].copy_from_slice(&near.to_le_bytes());
    bytes[4] = match u8::try_from(crafted.len) {
        Ok(len @ 0..=200) => len,
        _ => 201 + code(&LENGTHS, crafted.len as i64),
    };
    bytes[5] = crafted.flags;
    bytes[6..8].copy_from_slice(&(crafted.version as u16).to_le_bytes());
    bytes[8] = fate_code(crafted.fate) | fate_code(crafted.replies) << 4;
    bytes[9] = code(&ACKNOWLEDGMENTS, crafted.acknowledgment.into());
    let options = OPTIONS.iter().position(|one| *one == crafted.options);
    bytes[10] = options.unwrap_or_default() as u8;
    bytes[11] = u8::try_from(crafted.urgent).unwrap_or(u8::MAX);
    bytes
}

fn fate(code: u8) -> Fate {
    match code {
        0 => Fate::Arrives,
        1 => Fate::Twice,
        2 => Fate::Lost,
        3 => Fate::Corrupt,
        later => Fate::Late(milliseconds(number(&DELAYS, later - 4))),
    }
}

fn fate_code(fate: Fate) -> u8 {
    match fate {
        Fate::Arrives => 0,
        Fate::Twice => 1,
        Fate::Lost => 2,
        Fate::Corrupt => 3,
        Fate::Late(delay) => 4 + code(&DELAYS, delay.as_millis() as i64),
    }
}

const fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(count as u64)
}
