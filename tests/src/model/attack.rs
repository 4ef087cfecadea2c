//! An attacker's schedule: whatever segments, in whatever order, and what the network, the server
//! and time do meanwhile.

mod generate;

pub(super) use generate::host;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    check::{Judges, Violation},
    guard::{Guard, Policy},
    plan::Plan,
    receiver::Receiver,
    segment::{Segment, ahead},
    world::{Counts, Deed, Fate, Host, Trace, World},
};
use crate::frame::{ACK, SYN};

/// No version of a plan differs so early.
const START: usize = 5;

/// A schedule: all that is to happen.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attack {
    /// The server.
    pub host: Host,
    /// Which tokens are valid when.
    pub policy: Policy,
    /// What the client could say.
    pub plan: Plan,
    /// The initial sequence numbers of its attempts to connect.
    pub isns: Vec<u32>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Step {
    /// How long after the one before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: Duration,
    /// What.
    pub event: Event,
}

/// See [`Step`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Event {
    /// The attacker sends a segment.
    Send(Crafted),
    /// The application does something.
    Application(Deed),
}

/// As an acknowledgment: of the SYN-ACK and nothing more, as if it were the handshake's end.
pub const SYN_ACK_ALONE: i32 = i32::MIN;

/// As an acknowledgment: of as much as lies before the segment itself; or up to three more or less, if so much is
/// added. By numbers that are both off by as much, a SYN cookie is not told from another.
pub const AS_FAR: i32 = i32::MIN + 8;

/// How much may be added to [`AS_FAR`].
const FURTHER: i32 = 3;

/// A segment, in terms of its connection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Crafted {
    /// Of which of the attempts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: usize,
    /// Where it starts.
    pub at: Place,
    /// How many bytes it carries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub len: usize,
    /// Of which version of the plan; see [`Plan::text`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: u32,
    /// Its flags.
    pub flags: u8,
    /// How far its acknowledgment number is from the right one; or [`SYN_ACK_ALONE`], or about [`AS_FAR`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub acknowledgment: i32,
    /// Urgent pointer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub urgent: u16,
    /// TCP options.
    #[serde(default, skip_serializing_if = "is_default")]
    pub options: Vec<u8>,
    /// What becomes of it behind the guard.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fate: Fate,
    /// What becomes of the packets sent because of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replies: Fate,
}

/// Where a segment starts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Place {
    /// So far from the stream's first byte; the SYN is at -1.
    Stream(i64),
    /// So far from what the server has acknowledged, as far as the client knows.
    Acked(i64),
}

/// What the attacker knows of an attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The server's first byte.
    server: u32,
    /// What the server has sent in order, as an offset from that.
    received: u32,
    /// What it has acknowledged, as an offset from the stream's first byte.
    acked: u32,
}

impl Attack {
    /// Runs it, and says what happened.
    ///
    /// # Errors
    /// If a server serves what it must not.
    pub fn run(
        &self,
        guard: &mut dyn Guard,
        judges: &Judges,
        trace: &mut Trace,
    ) -> (Counts, Result<u64, Violation>) {
        let mut world = World::new(guard, &self.host, &self.policy, std::mem::take(trace));
        let mut known = vec![Known::default(); self.isns.len()];
        for step in &self.steps {
            let until = world.now + step.wait;
            world.advance(until);
            self.learn(&mut world, &mut known);
            match &step.event {
                Event::Send(crafted) => {
                    let segment = self.build(crafted, &known[crafted.attempt]);
                    world.send(segment, crafted.fate, crafted.replies);
                    self.learn(&mut world, &mut known);
                }
                Event::Application(deed) => world.act(deed),
            }
        }
        let last = world.now + Duration::from_secs(1);
        world.advance(last);
        let result = judges
            .look(&*world.receiver, &world.application, &self.policy)
            .and_then(|served| {
                if judges.looks_at_starts {
                    self.look_at_starts(&*world.receiver)?;
                }
                Ok(served)
            });
        *trace = std::mem::take(&mut world.trace);
        (world.counts, result)
    }

    /// Whether streams begin where the client's does: a guard and a server that disagree on that disagree on
    /// the first request, if only on its method.
    fn look_at_starts(&self, receiver: &dyn Receiver) -> Result<(), Violation> {
        // With other SYNs, the same place in the sequence space is another one in the stream.
        let is_other_syn = |step: &Step| match &step.event {
            Event::Send(crafted) => {
                crafted.flags & SYN != 0 && !matches!(crafted.at, Place::Stream(-1))
            }
            Event::Application(_) => false,
        };
        if self.isns.len() > 1 || self.steps.iter().any(is_other_syn) {
            return Ok(());
        }
        // Once a server has forgotten one, another may begin where its next request would have.
        let forgets = matches!(&self.host, Host::Linux(options) if options.forgets);
        let count = if forgets { 1 } else { usize::MAX };
        for connection in receiver.connections().iter().take(count) {
            let length = connection.stream.len().min(START);
            let start = &connection.stream[..length];
            if start != self.plan.text(0, length, 0) {
                return Err(Violation::Shifted {
                    start: start.to_vec(),
                });
            }
        }
        Ok(())
    }

    fn learn(&self, world: &mut World<'_>, known: &mut [Known]) {
        for packet in world.inbox.drain(..) {
            if !packet.has(ACK) {
                continue;
            }
            if packet.has(SYN) {
                let first = packet.acknowledgment.wrapping_sub(1);
                for (isn, known) in self.isns.iter().zip(&mut *known) {
                    if *isn == first {
                        *known = Known {
                            server: packet.sequence.wrapping_add(1),
                            ..Known::default()
                        };
                    }
                }
                continue;
            }
            for (isn, known) in self.isns.iter().zip(&mut *known) {
                let acked = packet.acknowledgment.wrapping_sub(isn.wrapping_add(1));
                let received = packet.sequence.wrapping_sub(known.server);
                // Of this attempt, and not of another.
                if acked > 1 << 20 || received > 1 << 20 {
                    continue;
                }
                known.acked = known.acked.max(acked);
                if ahead(packet.sequence, known.server.wrapping_add(known.received)) <= 0 {
                    known.received = known.received.max(received + packet.space());
                }
            }
        }
    }

    fn build(&self, crafted: &Crafted, known: &Known) -> Segment {
        let at = match crafted.at {
            Place::Stream(at) => at,
            Place::Acked(offset) => i64::from(known.acked) + offset,
        };
        let first = self.isns[crafted.attempt].wrapping_add(1);
        Segment {
            sequence: first.wrapping_add(at as u32),
            acknowledgment: if crafted.flags & ACK == 0 {
                0
            } else {
                let right = known.server.wrapping_add(known.received);
                match crafted.acknowledgment {
                    SYN_ACK_ALONE => known.server,
                    off if off <= AS_FAR + FURTHER => known
                        .server
                        .wrapping_add(at as u32)
                        .wrapping_add_signed(off - AS_FAR),
                    off => right.wrapping_add_signed(off),
                }
            },
            flags: crafted.flags,
            window: u16::MAX,
            urgent: crafted.urgent,
            options: crafted.options.clone(),
            // A SYN stands before the data that it carries.
            payload: self.plan.text(
                at + i64::from(crafted.flags & SYN != 0),
                crafted.len,
                crafted.version,
            ),
            is_corrupt: false,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
