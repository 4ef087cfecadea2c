//! An attacker's schedule: whatever segments, in whatever order, and what the network, the server
//! and time do meanwhile.

mod generate;

pub(super) use generate::host;

use std::time::Duration;

use super::{
    check::{Judges, Violation},
    guard::{Guard, Policy},
    plan::Plan,
    segment::{Segment, ahead},
    world::{Counts, Deed, Fate, Host, Trace, World},
};
use crate::frame::{ACK, SYN};

/// A schedule: all that is to happen.
#[derive(Clone, Debug, Eq, PartialEq)]
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// How long after the one before.
    pub wait: Duration,
    /// What.
    pub event: Event,
}

/// See [`Step`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The attacker sends a segment.
    Send(Crafted),
    /// The application does something.
    Application(Deed),
}

/// A segment, in terms of its connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Crafted {
    /// Of which of the attempts.
    pub attempt: usize,
    /// Where it starts.
    pub at: Place,
    /// How many bytes it carries.
    pub len: usize,
    /// Of which version of the plan; see [`Plan::text`].
    pub version: u32,
    /// Its flags.
    pub flags: u8,
    /// How far its acknowledgment number is from the right one.
    pub acknowledgment: i32,
    /// Urgent pointer.
    pub urgent: u16,
    /// TCP options.
    pub options: Vec<u8>,
    /// What becomes of it behind the guard.
    pub fate: Fate,
    /// What becomes of the packets sent because of it.
    pub replies: Fate,
}

/// Where a segment starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
        let result = judges.look(&*world.receiver, &world.application, &self.policy);
        *trace = std::mem::take(&mut world.trace);
        (world.counts, result)
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
                right.wrapping_add_signed(crafted.acknowledgment)
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
