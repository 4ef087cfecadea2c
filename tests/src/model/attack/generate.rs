//! From a seed to a schedule.

mod connections;
mod segments;
mod taste;

use std::time::Duration;

use taste::{Taste, Theme};

use super::{Attack, Crafted, Event, Place, SYN_ACK_ALONE, Step};
use crate::{
    frame::{ACK, FIN, SYN},
    model::{
        guard::Policy,
        plan::Plan,
        random::Random,
        receiver::{Action, Coalescing, Options},
        world::{Deed, Fate, Host},
    },
};

struct Generator {
    random: Random,
    taste: Taste,
    plan: Plan,
    /// Where segments were cut before.
    cuts: Vec<usize>,
    /// Up to where it was sent in order.
    in_order: usize,
    steps: Vec<Step>,
    attempts: usize,
    attempt: usize,
}

impl Attack {
    /// The schedule of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let taste = Taste::new(&mut random);
        let plan = Plan::attack(&mut random, taste.favourite());
        let mut generator = Generator {
            taste,
            cuts: plan.marks.clone(),
            plan,
            in_order: 0,
            steps: Vec::new(),
            attempts: if taste.attempts > 0 { 3 } else { 1 },
            attempt: 0,
            random,
        };
        generator.connect();
        generator.open();
        if taste.theme == Theme::Time && generator.random.percent(20) {
            generator.hold_back();
        }
        for _ in 0..generator.random.between(1, 14) {
            generator.step();
        }
        generator.finish();
        generator.attack()
    }
}

impl Generator {
    fn attack(mut self) -> Attack {
        let random = &mut self.random;
        let isn = random.pick(&[1_000, 0, u32::MAX - 40, u32::MAX]);
        let near = random.pick(&[1, 50, 5_000, 1 << 20, 1 << 31]);
        let steps = self.steps.iter().map(|step| step.wait).sum();
        let share = if self.taste.theme == Theme::Time {
            100
        } else {
            30
        };
        let ends = random.percent(share).then(|| {
            let share = random.between(0, 100) as u32;
            let total: Duration = steps;
            total * share / 100
        });
        let mut host = host(random);
        if let (Theme::Reuse, Host::Linux(options)) = (self.taste.theme, &mut host) {
            options.cookies |= random.percent(50);
        }
        if let (1.., Host::Linux(options)) = (self.taste.cookies, &mut host) {
            options.cookies |= random.percent(80);
            options.minute = self.taste.minute.map_or(options.minute, i32::cast_unsigned);
        }
        let policy = Policy {
            ends,
            websocket: random.percent(70),
            pages: (self.taste.theme == Theme::Memory).then(|| random.pick(&[0, 1])),
        };
        if self.taste.minute.is_some() {
            // An offer that is good and not yet seen could only be guessed, if it were not as near as these are.
            for step in &mut self.steps {
                if let Event::Send(crafted) = &mut step.event
                    && crafted.flags & SYN != 0
                {
                    crafted.replies = Fate::Arrives;
                }
            }
        }
        Attack {
            host,
            policy,
            plan: self.plan,
            isns: [isn, isn.wrapping_add(near), isn.wrapping_sub(near)][..self.attempts].to_vec(),
            steps: self.steps,
        }
    }

    /// Loses the first segment, sends what follows it while that is not yet overdue, and then what was lost.
    fn hold_back(&mut self) {
        for i in 0..self.random.between(3, 6) {
            let len = self.up_to_mark();
            let start = self.in_order - len.min(self.in_order);
            let mut next = self.crafted(Place::Stream(start as i64), len);
            next.version = 0;
            if i == 0 {
                next.fate = Fate::Lost;
            }
            self.steps.push(Step {
                wait: Duration::from_millis(900),
                event: Event::Send(next),
            });
        }
        let mut first = self.crafted(Place::Stream(0), self.in_order);
        first.version = 0;
        self.push(first);
    }

    /// Sends the first request, or its head, where that is what the schedule is about, and has it answered.
    fn open(&mut self) {
        let is_about_it = matches!(self.taste.theme, Theme::Upgrade | Theme::Waiting);
        if !is_about_it || self.random.percent(50) {
            return;
        }
        let heads = &self.plan.marks[1..self.plan.marks.len().min(3)];
        let len = self.random.pick(heads);
        let mut first = self.crafted(Place::Stream(0), len);
        first.version = 0;
        if self.random.percent(20) {
            first.fate = Fate::Lost;
        }
        self.push(first.clone());
        let deed = self.deed();
        self.push_event(Event::Application(deed));
        if self.random.percent(30) {
            self.push(first);
        }
    }

    fn step(&mut self) {
        if self.random.percent(self.taste.application) {
            let deed = self.deed();
            self.push_event(Event::Application(deed));
            return;
        }
        if self.random.percent(self.taste.attempts) {
            self.attempt = self.random.below(self.attempts);
            if self.random.percent(70) {
                self.connect();
            }
        }
        if self.taste.theme == Theme::Reuse && self.random.percent(10) {
            self.begin_again();
            return;
        }
        if self.taste.theme == Theme::Chunks && self.random.percent(3) {
            self.end_before_the_end();
            return;
        }
        if self.taste.cookies > 0 && self.random.percent(8) {
            self.outlive();
            return;
        }
        let crafted = self.segment();
        let twice = self.random.percent(5).then(|| crafted.clone());
        self.push(crafted);
        if let Some(again) = twice {
            self.push(again);
        }
    }

    /// Sends what is missing, so that there is something to be served.
    fn finish(&mut self) {
        let version = self.version();
        let (faults, versions) = (self.taste.faults, self.taste.versions);
        // From the start, in case that there is another server now.
        if self.taste.theme == Theme::Reuse && self.random.percent(30) {
            let mut first = self.crafted(Place::Stream(0), 200);
            first.acknowledgment = SYN_ACK_ALONE;
            first.version = version;
            self.push(first);
        }
        self.taste.versions = 0;
        self.taste.forgery = 0;
        self.taste.faults = faults / 4;
        for _ in 0..self.random.between(0, 6) {
            let len = self.random.pick(&[1, 20, 60, 200, 4_000]);
            let mut crafted = self.crafted(Place::Acked(0), len);
            if self.random.percent(80) {
                crafted.version = version;
            }
            self.push(crafted);
        }
        self.taste.versions = versions;
        if self.random.percent(30) {
            let mut fin = self.crafted(Place::Acked(0), 0);
            fin.flags = ACK | FIN;
            self.push(fin);
        }
    }

    fn deed(&mut self) -> Deed {
        let random = &mut self.random;
        let socket = [
            Action::Pause,
            Action::Read,
            Action::Shutdown,
            Action::Close,
            Action::Abort,
        ];
        let speech = [Deed::Respond, Deed::Continue, Deed::Refuse, Deed::Upgrade];
        // Too little of an answer to tell what it is.
        let part = Deed::Socket(Action::Write(b"HTTP/1.".to_vec()));
        match (self.taste.theme, random.below(3)) {
            (Theme::Waiting, 0) => Deed::Refuse,
            (Theme::Waiting, 1) => random.pick(&[Deed::Respond, Deed::Continue, part]),
            (Theme::Upgrade, 0) => Deed::Upgrade,
            (Theme::Upgrade, 1) => random.pick(&[Deed::Respond, Deed::PretendUpgrade, part]),
            (Theme::Reuse, 0) => Deed::Socket(random.pick(&socket[2..])),
            (Theme::Reuse, 1) => Deed::Respond,
            (Theme::Anything | Theme::Chunks | Theme::Time | Theme::Memory, 0) => Deed::Respond,
            (_, 2) => Deed::Socket(random.pick(&socket)),
            (_, _) => random.pick(&speech),
        }
    }

    fn push(&mut self, crafted: Crafted) {
        self.push_event(Event::Send(crafted));
    }

    fn push_event(&mut self, event: Event) {
        let wait = if self.random.percent(self.taste.waits) {
            let seconds = [0.3, 0.9, 1.2, 2.0, 4.0, 60.0, 400.0, 10_000.0];
            Duration::from_secs_f64(self.random.pick(&seconds))
        } else {
            Duration::from_millis(self.random.pick(&[0, 1, 5, 50]))
        };
        self.steps.push(Step { wait, event });
    }
}

/// A server; mostly as Linux is.
pub(in crate::model) fn host(random: &mut Random) -> Host {
    let buffer = random.pick(&[65_535, 65_535, 65_535, 4_096, 1_000, 200]);
    if random.percent(15) {
        return Host::Smol {
            buffer,
            seed: random.next(),
        };
    }
    Host::Linux(Options {
        isn: random.pick(&[5_000_000, 0, u32::MAX, u32::MAX - 60]),
        cookies: random.percent(20),
        fast_open: random.percent(10),
        multipath: random.percent(10),
        buffer,
        segments_per_ack: random.pick(&[1, 1, 2, 100]),
        is_old: random.percent(50),
        coalescing: random.pick(&[Coalescing::Never, Coalescing::Neighbour, Coalescing::Any]),
        forgets: random.percent(30),
        ..Options::default()
    })
}
