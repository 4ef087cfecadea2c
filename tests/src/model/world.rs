//! Between a client and an application: the guard, the network behind it, the server's TCP.

mod application;
mod trace;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

pub use application::{Application, Deed, Turn};
use serde::{Deserialize, Serialize};
pub use trace::Trace;

use super::{
    guard::{Guard, Policy, Verdict},
    receiver::{Choices, Linux, Loose, Options, Receiver, Smol},
    segment::{Segment, ServerPacket, Time},
};
use crate::frame::{FIN, RST, SYN};

/// A server's TCP and its settings.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Host {
    /// See [`Linux`].
    Linux(Options),
    /// See [`Smol`].
    Smol {
        /// The receive buffer's size.
        buffer: usize,
        /// What its sequence numbers come from.
        seed: u64,
    },
    /// See [`Loose`].
    Loose(Choices),
}

impl Host {
    fn receiver(&self) -> Box<dyn Receiver> {
        match self {
            Self::Linux(options) => Box::new(Linux::new(options.clone())),
            Self::Smol { buffer, seed } => Box::new(Smol::new(*buffer, *seed)),
            Self::Loose(choices) => Box::new(Loose::new(choices.clone())),
        }
    }
}

/// What the network behind the guard does to a segment, or to a packet before the guard's witness.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Fate {
    /// It arrives.
    #[default]
    Arrives,
    /// It arrives twice.
    Twice,
    /// It is lost.
    Lost,
    /// It arrives with a wrong checksum.
    Corrupt,
    /// It arrives so much later.
    Late(Duration),
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// The client's segments that the guard let pass.
    pub passed: u64,
    /// Those that it did not.
    pub dropped: u64,
    /// Those that it changed.
    pub rewritten: u64,
    /// Those that it answered.
    pub answered: u64,
    /// The server's packets.
    pub replies: u64,
    /// The server's packets that the guard held back.
    pub held: u64,
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Travelling {
    ToServer(usize),
    ToWitness(usize),
}

/// A run of a simulation.
pub struct World<'a> {
    /// Under test.
    pub guard: &'a mut dyn Guard,
    /// Which requests may be served.
    pub policy: Policy,
    /// The time.
    pub now: Time,
    /// The server's TCP.
    pub receiver: Box<dyn Receiver>,
    /// What the application does.
    pub application: Application,
    /// What has arrived at the client.
    pub inbox: Vec<ServerPacket>,
    /// What happened.
    pub counts: Counts,
    /// What happened, in words.
    pub trace: Trace,
    keeps_cookies: bool,
    late: BinaryHeap<Reverse<(Time, usize, Travelling)>>,
    parcels: Vec<Segment>,
}

impl<'a> World<'a> {
    /// A world in which nothing has happened.
    #[must_use]
    pub fn new(guard: &'a mut dyn Guard, host: &Host, policy: &Policy, trace: Trace) -> Self {
        guard.reset();
        Self {
            guard,
            policy: policy.clone(),
            now: Time::ZERO,
            receiver: host.receiver(),
            keeps_cookies: matches!(host, Host::Linux(options) if options.cookies),
            application: Application::default(),
            inbox: Vec::new(),
            counts: Counts::default(),
            trace,
            late: BinaryHeap::new(),
            parcels: Vec::new(),
        }
    }

    /// A segment comes to the guard. `replies`: what becomes of the packets that the server sends because of it.
    pub fn send(&mut self, segment: Segment, fate: Fate, replies: Fate) {
        let mut segment = segment;
        // The guard cannot tell; but what it makes out of the segment stays what it was.
        segment.is_corrupt |= fate == Fate::Corrupt;
        let verdict = self.guard.client(&segment, &self.policy, self.now);
        self.trace
            .client(self.now, &segment, &verdict, fate, replies);
        let segment = match verdict {
            Verdict::Pass => {
                self.counts.passed += 1;
                segment
            }
            Verdict::Drop => {
                self.counts.dropped += 1;
                return;
            }
            Verdict::Rewrite(segment) => {
                self.counts.rewritten += 1;
                segment
            }
            Verdict::Answer(packet) => {
                self.counts.answered += 1;
                self.inbox.push(packet);
                return;
            }
        };
        match fate {
            Fate::Arrives | Fate::Corrupt => self.arrive(&segment, replies),
            Fate::Lost => {}
            // From a cookie the server would make a connection anew, of whatever comes first, though the one it
            // belongs to is over: with a segment that was judged before that. Between guard and server there
            // is no such time, on one host.
            Fate::Late(_) | Fate::Twice if self.keeps_cookies => self.arrive(&segment, replies),
            Fate::Twice => {
                self.arrive(&segment, replies);
                self.arrive(&segment, replies);
            }
            Fate::Late(delay) => self.delay(delay, segment, Travelling::ToServer),
        }
    }

    /// The application does something.
    pub fn act(&mut self, deed: &Deed) {
        let mut out = Vec::new();
        let is_quiet = !{ self.late.iter() }
            .any(|Reverse((.., travelling))| matches!(travelling, Travelling::ToServer(_)));
        let Some(action) = self.application.action(deed, &*self.receiver, is_quiet) else {
            return;
        };
        self.trace.application(self.now, deed);
        self.receiver.act(&action, self.now, &mut out);
        self.replies(out, Fate::Arrives);
    }

    /// Lets time pass until then.
    pub fn advance(&mut self, until: Time) {
        while let Some(Reverse((at, ..))) = self.late.peek()
            && *at <= until
            && let Some(Reverse((at, _, travelling))) = self.late.pop()
        {
            self.poll(at);
            match travelling {
                Travelling::ToServer(i) => {
                    let segment = std::mem::take(&mut self.parcels[i]);
                    self.trace.late(self.now, &segment);
                    self.arrive(&segment, Fate::Arrives);
                }
                Travelling::ToWitness(i) => {
                    let packet = std::mem::take(&mut self.parcels[i]);
                    self.witness(packet);
                }
            }
        }
        self.poll(until);
    }

    /// When something is to arrive that is under way.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.late.peek().map(|Reverse((at, ..))| *at)
    }

    fn poll(&mut self, now: Time) {
        self.now = now;
        let mut out = Vec::new();
        self.receiver.poll(now, &mut out);
        self.replies(out, Fate::Arrives);
    }

    fn arrive(&mut self, segment: &Segment, replies: Fate) {
        let mut out = Vec::new();
        self.receiver.receive(segment, self.now, &mut out);
        self.replies(out, replies);
    }

    fn replies(&mut self, packets: Vec<ServerPacket>, fate: Fate) {
        for packet in packets {
            match fate {
                // What was offered in a cookie stays good, whoever has seen it, and makes another connection once
                // this one is over. Between server and witness nothing is lost that an attacker could choose.
                Fate::Lost if self.keeps_cookies && packet.has_any(SYN | FIN | RST) => {
                    self.witness(packet);
                }
                Fate::Late(_) if self.keeps_cookies && packet.has_any(FIN | RST) => {
                    self.witness(packet);
                }
                // The host computes the checksum.
                Fate::Arrives | Fate::Corrupt => self.witness(packet),
                Fate::Twice => {
                    self.witness(packet.clone());
                    self.witness(packet);
                }
                Fate::Lost => self.trace.lost(self.now, &packet),
                Fate::Late(delay) => self.delay(delay, packet, Travelling::ToWitness),
            }
        }
    }

    fn witness(&mut self, packet: ServerPacket) {
        self.counts.replies += 1;
        let verdict = self.guard.server(&packet, &self.policy, self.now);
        self.trace.server(self.now, &packet, &verdict);
        match verdict {
            Verdict::Pass => self.inbox.push(packet),
            Verdict::Drop => self.counts.held += 1,
            Verdict::Rewrite(packet) => self.inbox.push(packet),
            Verdict::Answer(segment) => {
                self.counts.held += 1;
                self.arrive(&segment, Fate::Arrives);
            }
        }
    }

    fn delay(&mut self, delay: Duration, segment: Segment, to: fn(usize) -> Travelling) {
        let number = self.parcels.len();
        self.parcels.push(segment);
        self.late
            .push(Reverse((self.now + delay, number, to(number))));
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
