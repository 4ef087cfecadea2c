//! An honest client's schedule: it sends valid requests over a network that loses, delays, repeats
//! and merges, and it must be served.

pub mod sender;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use sender::{Habits, Sender};
use serde::{Deserialize, Serialize};

use super::{
    attack::host,
    check::{Judges, Violation},
    guard::{Guard, Policy},
    plan::Plan,
    random::Random,
    receiver::{Action, End},
    segment::{Segment, ServerPacket, Time},
    world::{Counts, Deed, Fate, Host, Trace, World},
};

/// When it must be through. Senders wait for at most [`sender::MAX_RTO`], once for each fault.
const LIMIT: Time = Duration::from_secs(600);

/// How often the server's timers are looked at.
const TICK: Duration = Duration::from_millis(20);

/// A schedule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Honest {
    /// The server.
    pub host: Host,
    /// What the client has to say.
    pub plan: Plan,
    /// How it says it.
    pub habits: Habits,
    /// How long a packet takes, from the client to the guard.
    pub delay: Duration,
    /// What happens to packets.
    pub faults: Vec<Fault>,
    /// What the application does, and when.
    pub deeds: Vec<(Time, Deed)>,
    /// Whether so much is lost behind the guard that it may give up; but it must change nothing.
    pub is_rough: bool,
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// Which one, of those its side sends.
    pub packet: usize,
    /// What.
    pub kind: FaultKind,
}

/// See [`Fault`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum FaultKind {
    /// The client's packet, between the client and the guard.
    Before(Fate),
    /// The client's packet, behind the guard.
    Behind(Fate),
    /// The client's packet waits, and is merged with the next one if that continues it.
    Merged,
    /// The server's packet, between the guard's witness and the client.
    Reply(Fate),
}

enum Travelling {
    ToGuard(Segment, Fate),
    ToClient(ServerPacket),
}

/// A client on the other side of a network.
struct Network<'a> {
    honest: &'a Honest,
    sender: Sender,
    faults: BTreeMap<(bool, usize), FaultKind>,
    under_way: BinaryHeap<Reverse<(Time, usize)>>,
    parcels: Vec<Option<Travelling>>,
    sent: usize,
    received: usize,
    merging: Option<Segment>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Served {
    /// How many requests were served.
    pub requests: u64,
    /// How long it took.
    pub taken: Time,
}

impl Honest {
    /// The schedule of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let size = random.pick(&[100, 500, 2_000, 2_000, 10_000, 60_000]);
        let plan = Plan::honest(random, size);
        let mut host = host(random);
        let mss = random.pick(&[1, 7, 88, 536, 1_448, 1_448, 1_448, 16_000, 60_000]);
        let mss = mss.max(plan.bytes.len() / 200);
        let habits = Habits {
            isn: random.pick(&[7_000, 0, u32::MAX, u32::MAX - 1_000]),
            mss,
            cuts: random.next(),
            is_patient: random.percent(30),
            has_fin: random.percent(60),
            fin_apart: random.percent(50),
            probes: random.percent(20),
            tail_probes: random.percent(30),
            keepalives: random.percent(10),
        };
        let packets = plan.bytes.len() / mss + 10;
        let is_rough = random.percent(15);
        let behind = match (is_rough, random.percent(40)) {
            (true, _) => random.between(1, 8),
            (false, true) => 1,
            (false, false) => 0,
        };
        // A guard may take a head for held back that is not acknowledged for a second.
        let before = if behind == 0 || is_rough {
            random.pick(&[0, 1, 3, 10, 30])
        } else {
            random.between(0, 1)
        };
        let mut faults = Vec::new();
        let mut add = |random: &mut Random, count, kinds: &dyn Fn(&mut Random) -> FaultKind| {
            for _ in 0..count {
                faults.push(Fault {
                    packet: random.below(packets),
                    kind: kinds(random),
                });
            }
        };
        add(random, before, &|random| {
            // What is corrupt passes the guard.
            FaultKind::Before(match fate(random) {
                Fate::Corrupt => Fate::Lost,
                fate @ (Fate::Arrives | Fate::Twice | Fate::Lost | Fate::Late(_)) => fate,
            })
        });
        add(random, behind, &|random| FaultKind::Behind(fate(random)));
        let merged = random.pick(&[0, 0, 3, 30]);
        add(random, merged, &|_| FaultKind::Merged);
        let replies = random.pick(&[0, 0, 2, 10]);
        add(random, replies, &|random| FaultKind::Reply(fate(random)));
        if let Host::Linux(options) = &mut host {
            options.fast_open = false;
            options.multipath = false;
            // With cookies, Linux resets whose first segment is lost.
            options.cookies &= before + behind == 0;
        }
        Self {
            host,
            plan,
            habits,
            delay: Duration::from_millis(random.between(0, 30) as u64),
            faults,
            deeds: deeds(random),
            is_rough,
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// If the client is not served, or otherwise than it asked for.
    pub fn run(
        &self,
        guard: &mut dyn Guard,
        judges: &Judges,
        trace: &mut Trace,
    ) -> (Counts, Result<Served, Violation>) {
        let policy = Policy::default();
        let mut world = World::new(guard, &self.host, &policy, std::mem::take(trace));
        let mut network = Network::new(self);
        let mut deeds = self.deeds.iter().peekable();
        network.sender.start(world.now);
        let result = loop {
            network.dispatch(world.now);
            if let Some(result) = self.result(&network.sender, &world) {
                break result;
            }
            let mut next = world.now + TICK;
            for at in [
                network.next_arrival(),
                network.sender.next_timer(),
                world.next_arrival(),
                deeds.peek().map(|deed| deed.0),
            ] {
                next = next.min(at.unwrap_or(next).max(world.now));
            }
            world.advance(next);
            network.collect(&mut world);
            while let Some((_, deed)) = deeds.next_if(|deed| deed.0 <= world.now) {
                world.act(deed);
                network.collect(&mut world);
            }
            network.deliver(&mut world);
            network.sender.tick(world.now);
        };
        let now = world.now;
        let result = result.and_then(|()| {
            let requests = judges.look(&*world.receiver, &world.application, &policy)?;
            Ok(Served {
                requests,
                taken: now,
            })
        });
        *trace = std::mem::take(&mut world.trace);
        (world.counts, result)
    }

    /// How it ended, if it has.
    fn result(&self, sender: &Sender, world: &World<'_>) -> Option<Result<(), Violation>> {
        let got = world.receiver.stream();
        let sent = &self.plan.bytes;
        if !sent.starts_with(got) {
            let same = got.iter().zip(sent).take_while(|(a, b)| a == b);
            return Some(Err(Violation::Changed { at: same.count() }));
        }
        let has_fin = world
            .receiver
            .connections()
            .last()
            .is_some_and(|connection| connection.end == Some(End::Fin));
        if sender.is_through() && got == sent && has_fin == self.habits.has_fin {
            return Some(Ok(()));
        }
        let violation = if sender.was_reset() {
            Violation::Reset
        } else if world.now >= LIMIT {
            Violation::Starved {
                delivered: got.len(),
                of: sent.len(),
            }
        } else {
            return None;
        };
        Some(if self.is_rough {
            Ok(())
        } else {
            Err(violation)
        })
    }
}

impl<'a> Network<'a> {
    fn new(honest: &'a Honest) -> Self {
        let key = |fault: &Fault| (matches!(fault.kind, FaultKind::Reply(_)), fault.packet);
        Self {
            honest,
            sender: Sender::new(&honest.plan, &honest.habits, honest.delay * 2),
            faults: honest
                .faults
                .iter()
                .map(|fault| (key(fault), fault.kind))
                .collect(),
            under_way: BinaryHeap::new(),
            parcels: Vec::new(),
            sent: 0,
            received: 0,
            merging: None,
        }
    }

    fn next_arrival(&self) -> Option<Time> {
        self.under_way.peek().map(|Reverse((at, _))| *at)
    }

    /// Puts what the client sends on its way.
    fn dispatch(&mut self, now: Time) {
        for segment in std::mem::take(&mut self.sender.out) {
            let kind = self.faults.get(&(false, self.sent)).copied();
            self.sent += 1;
            let segment = match self.merging.take() {
                None => segment,
                Some(first) => match merged(&first, &segment) {
                    Some(both) => both,
                    None => {
                        self.launch(now, first, Fate::Arrives, Fate::Arrives);
                        segment
                    }
                },
            };
            match kind {
                None | Some(FaultKind::Reply(_)) => {
                    self.launch(now, segment, Fate::Arrives, Fate::Arrives);
                }
                Some(FaultKind::Merged) => self.merging = Some(segment),
                Some(FaultKind::Before(fate)) => self.launch(now, segment, fate, Fate::Arrives),
                Some(FaultKind::Behind(fate)) => self.launch(now, segment, Fate::Arrives, fate),
            }
        }
        if let Some(segment) = self.merging.take() {
            self.launch(now, segment, Fate::Arrives, Fate::Arrives);
        }
    }

    fn launch(&mut self, now: Time, segment: Segment, before: Fate, behind: Fate) {
        let at = now + self.honest.delay;
        let parcel = |segment| Travelling::ToGuard(segment, behind);
        match before {
            Fate::Arrives => self.add(at, parcel(segment)),
            Fate::Twice => {
                self.add(at, parcel(segment.clone()));
                self.add(at, parcel(segment));
            }
            // A network card drops what is corrupt, or else the server will.
            Fate::Lost => {}
            Fate::Corrupt => self.add(at, Travelling::ToGuard(segment, Fate::Corrupt)),
            Fate::Late(delay) => self.add(at + delay, parcel(segment)),
        }
    }

    fn add(&mut self, at: Time, travelling: Travelling) {
        self.under_way.push(Reverse((at, self.parcels.len())));
        self.parcels.push(Some(travelling));
    }

    /// Takes over what the server sends.
    fn collect(&mut self, world: &mut World<'_>) {
        for packet in world.inbox.drain(..) {
            let kind = self.faults.get(&(true, self.received)).copied();
            self.received += 1;
            let at = world.now + self.honest.delay;
            let fate = match kind {
                Some(FaultKind::Reply(fate)) => fate,
                None | Some(FaultKind::Before(_) | FaultKind::Behind(_) | FaultKind::Merged) => {
                    Fate::Arrives
                }
            };
            match fate {
                Fate::Arrives => self.add(at, Travelling::ToClient(packet)),
                Fate::Twice => {
                    self.add(at, Travelling::ToClient(packet.clone()));
                    self.add(at, Travelling::ToClient(packet));
                }
                Fate::Lost | Fate::Corrupt => {}
                Fate::Late(delay) => self.add(at + delay, Travelling::ToClient(packet)),
            }
        }
    }

    /// Lets arrive what is due.
    fn deliver(&mut self, world: &mut World<'_>) {
        while let Some(Reverse((at, number))) = self.under_way.peek().copied()
            && at <= world.now
        {
            self.under_way.pop();
            match self.parcels[number].take() {
                None => {}
                Some(Travelling::ToGuard(segment, fate)) => {
                    world.send(segment, fate, Fate::Arrives);
                    self.collect(world);
                }
                Some(Travelling::ToClient(packet)) => self.sender.receive(&packet, world.now),
            }
        }
    }
}

/// The two as one, if the second continues the first: what receive offload makes of them.
fn merged(first: &Segment, second: &Segment) -> Option<Segment> {
    let continues = first.end() == second.sequence
        && first.space() == first.len()
        && !first.is_empty()
        && !second.is_empty()
        && first.len() + second.len() <= 64_000;
    continues.then(|| Segment {
        flags: first.flags | second.flags,
        acknowledgment: second.acknowledgment,
        payload: [&first.payload[..], &second.payload].concat(),
        ..first.clone()
    })
}

fn fate(random: &mut Random) -> Fate {
    match random.below(6) {
        0..3 => Fate::Lost,
        3 => Fate::Corrupt,
        4 => Fate::Twice,
        _ => Fate::Late(Duration::from_millis(random.between(1, 100) as u64)),
    }
}

/// Answers now and then; sometimes the application does not read for a while.
fn deeds(random: &mut Random) -> Vec<(Time, Deed)> {
    let mut deeds = Vec::new();
    let at = |random: &mut Random| Duration::from_millis(random.between(0, 2_000) as u64);
    for _ in 0..random.pick(&[0, 1, 5]) {
        deeds.push((at(random), Deed::Respond));
    }
    if random.percent(20) {
        let start = at(random);
        let length = at(random);
        deeds.push((start, Deed::Socket(Action::Pause)));
        deeds.push((start + length, Deed::Socket(Action::Read)));
    }
    deeds.sort_by_key(|deed| deed.0);
    deeds
}
