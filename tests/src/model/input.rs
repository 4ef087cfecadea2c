//! What a fuzzer's input stands for: an attack, bytes for bytes.
//!
//! Every input stands for one. The first [`HEADER`] bytes are the server, the policy and the guard's room, then come
//! the steps, [`STEP`] bytes each, then the sites, and at last the text.

mod numbers;
mod parts;

use std::time::Duration;

use super::{
    attack::Attack,
    check::Judges,
    guard::{Guard, Policy},
    guards::{Room, StreamGuard},
    plan::{Plan, Site},
    receiver::{Choices, Coalescing, Options},
    world::{Host, Trace},
};
use numbers::{code, number};

/// The server's kind, its numbers and choices, the policy, the room, how many steps there are, and sites.
pub const HEADER: usize = 16;

/// How many bytes a step has.
pub const STEP: usize = 12;

/// The most steps and sites, and the longest text.
const STEPS: usize = 40;
const SITES: usize = 16;
const TEXT: usize = 6_000;

/// Initial sequence numbers, at which others do not wrap around.
const ISNS: [u32; 4] = [1_000, 0, u32::MAX - 40, u32::MAX];

/// How far others are off.
const NEAR: [u32; 4] = [1, 50, 5_000, 1 << 31];

const BUFFERS: [usize; 4] = [65_535, 4_096, 1_000, 200];

/// So long is one unit of the time at which a token is revoked.
const UNIT: Duration = Duration::from_millis(50);

/// In a room: [`Room::is_told_late`].
const TOLD_LATE: u8 = 0x40;

/// As a room: a buffer, and pages without end.
pub const AMPLE: u8 = 15;

/// Where in the header.
mod at {
    pub(super) const KIND: usize = 0;
    pub(super) const POLICY: usize = 1;
    pub(super) const ENDS: usize = 2;
    pub(super) const ROOM: usize = 3;
    pub(super) const ISNS: usize = 4;
    pub(super) const STEPS: usize = 5;
    pub(super) const SITES: usize = 6;
    /// What a server does with one segment after the other; to the header's end.
    pub(super) const CHOICES: usize = 7;
}

/// What the input stands for; `None` if it is too short.
#[must_use]
pub fn decode(input: &[u8]) -> Option<(Attack, Room)> {
    let (header, mut rest) = input.split_first_chunk::<HEADER>()?;
    let steps = usize::from(header[at::STEPS]) % (STEPS + 1);
    let mut attack = Attack {
        host: host(header),
        policy: Policy {
            ends: (header[at::POLICY] & 2 != 0).then(|| UNIT * header[at::ENDS].into()),
            websocket: header[at::POLICY] & 1 != 0,
            pages: None,
        },
        plan: Plan::default(),
        isns: isns(header[at::ISNS]).to_vec(),
        steps: Vec::with_capacity(steps),
    };
    for _ in 0..steps {
        let Some((step, after)) = rest.split_first_chunk::<STEP>() else {
            break;
        };
        attack.steps.push(parts::step(step));
        rest = after;
    }
    for _ in 0..usize::from(header[at::SITES]) % (SITES + 1) {
        let Some((&[low, high, len], after)) = rest.split_first_chunk() else {
            break;
        };
        let (other, after) = after.split_at_checked(len.into()).unwrap_or((after, &[]));
        attack.plan.sites.push(Site {
            at: u16::from_le_bytes([low, high]).into(),
            other: other.to_vec(),
        });
        rest = after;
    }
    attack.plan.bytes = rest[..rest.len().min(TEXT)].to_vec();
    let room = header[at::ROOM];
    let room = Room {
        has_buffer: room & 0x20 == 0,
        pages: match room & 0xf {
            AMPLE => usize::MAX,
            pages => pages.into(),
        },
        is_swept: room & 0x10 != 0,
        is_told_late: room & TOLD_LATE != 0,
    };
    Some((attack, room))
}

/// An input that stands for the attack, as far as one can, on a server that does what these `choices` say.
#[must_use]
pub fn encode(attack: &Attack, choices: &[u8; HEADER - at::CHOICES], room: u8) -> Vec<u8> {
    let mut input = vec![0; HEADER];
    input[at::CHOICES..].copy_from_slice(choices);
    input[at::KIND] = choices[0] & 0xf0;
    input[at::POLICY] = u8::from(attack.policy.websocket);
    if let Some(ends) = attack.policy.ends {
        input[at::POLICY] |= 2;
        input[at::ENDS] = u8::try_from(ends.as_millis() / UNIT.as_millis()).unwrap_or(u8::MAX);
    }
    input[at::ROOM] = room;
    let all = 0..=u8::MAX;
    let numbers = all
        .clone()
        .find(|&byte| isns(byte).starts_with(&attack.isns));
    input[at::ISNS] = numbers.unwrap_or_default();
    let steps = attack.steps.iter().take(STEPS);
    input[at::STEPS] = steps.len() as u8;
    for step in steps {
        input.extend(parts::bytes(step));
    }
    let sites = attack.plan.sites.iter().take(SITES);
    input[at::SITES] = sites.len() as u8;
    for site in sites {
        let at = u16::try_from(site.at).unwrap_or(u16::MAX);
        let len = site.other.len().min(u8::MAX.into());
        input.extend(at.to_le_bytes());
        input.push(len as u8);
        input.extend(&site.other[..len]);
    }
    input.extend(&attack.plan.bytes);
    input
}

/// Most inputs have a server that may do anything.
fn host(header: &[u8; HEADER]) -> Host {
    let kind = header[at::KIND];
    let isn = ISNS[usize::from(kind >> 4) % ISNS.len()];
    if kind & 3 != 3 {
        return Host::Loose(Choices {
            isn,
            each: header[at::CHOICES..].to_vec(),
        });
    }
    let more = header[at::CHOICES];
    Host::Linux(Options {
        isn,
        cookies: more & 1 != 0,
        minute: Options::default().minute,
        fast_open: more & 2 != 0,
        multipath: more & 4 != 0,
        buffer: BUFFERS[usize::from(more >> 6)],
        segments_per_ack: if more & 8 != 0 { 100 } else { 1 },
        is_old: more & 16 != 0,
        coalescing: match header[at::CHOICES + 1] % 3 {
            0 => Coalescing::Never,
            1 => Coalescing::Neighbour,
            _ => Coalescing::Any,
        },
        forgets: more & 32 != 0,
    })
}

fn isns(byte: u8) -> [u32; 3] {
    let isn = ISNS[usize::from(byte) % ISNS.len()];
    let near = NEAR[usize::from(byte >> 2) % NEAR.len()];
    [isn, isn.wrapping_add(near), isn.wrapping_sub(near)]
}

/// The same input, where words are told late.
#[must_use]
pub fn told_late(input: &[u8]) -> Vec<u8> {
    let mut input = input.to_vec();
    if let Some(room) = input.get_mut(at::ROOM) {
        *room |= TOLD_LATE;
    }
    input
}

/// Tries inputs out, with one guard.
#[derive(Debug, Default)]
pub struct Trial {
    guard: StreamGuard,
    judges: Judges,
}

impl Trial {
    /// Tries one.
    ///
    /// # Errors
    /// What went wrong, and how it came to it.
    pub fn check(&mut self, input: &[u8]) -> Result<(), String> {
        let Some((attack, room)) = decode(input) else {
            return Ok(());
        };
        self.guard.furnish(room);
        self.judges.looks_at_starts = true;
        let Err(violation) = attack
            .run(&mut self.guard, &self.judges, &mut Trace::default())
            .1
        else {
            // What it has is to be given back.
            self.guard.reset();
            return Ok(());
        };
        let mut trace = Trace::kept();
        let _ = attack.run(&mut self.guard, &self.judges, &mut trace);
        Err(format!("{violation}\n{}", trace.lines().join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_comes_back_from_what_stands_for_it() {
        for seed in 0..2_000 {
            let input = encode(&Attack::new(seed), &[0; _], AMPLE);
            let (once, room) = decode(&input).expect("it is long enough");
            let again = encode(&once, &[0; _], AMPLE);
            assert_eq!(decode(&again), Some((once, room)), "{seed}");
        }
    }
}
