//! From a seed to a schedule.

use std::time::Duration;

use super::{AS_FAR, Attack, Crafted, Event, Place, SYN_ACK_ALONE, Step};
use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::{
        guard::Policy,
        plan::{Favourite, Plan},
        random::Random,
        receiver::{Action, Coalescing, Options},
        world::{Deed, Fate, Host},
    },
};

/// TCP options of a SYN that change what follows.
const FAST_OPEN_REQUEST: [u8; 4] = [34, 2, 1, 1];
const FAST_OPEN_COOKIE: [u8; 8] = [34, 6, b'b', b'i', b's', b'c', 1, 1];
const SELECTIVE_ACKS: [u8; 4] = [4, 2, 1, 1];
/// 1,460 bytes.
const SEGMENT_SIZE: [u8; 4] = [2, 4, 5, 0xb4];
const MULTIPATH: [u8; 12] = [30, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// What a schedule is about, so that things come together that need each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Theme {
    /// Nothing in particular.
    Anything,
    /// Bodies that wait to be asked for, and answers that do not ask for them.
    Waiting,
    /// Other protocols.
    Upgrade,
    /// Bodies in chunks.
    Chunks,
    /// Connections that end, and others between the same ports.
    Reuse,
    /// Tokens that are revoked meanwhile.
    Time,
    /// A guard that cannot keep all there is.
    Memory,
}

/// How much of everything there is in one schedule, in percent: most have a little of some things.
#[derive(Clone, Copy, Debug)]
struct Taste {
    theme: Theme,
    /// Segments that are in order, where the server waits for them.
    order: usize,
    /// Bytes of another version.
    versions: usize,
    /// Losses and the like behind the guard.
    faults: usize,
    /// The same for the server's packets.
    reply_faults: usize,
    /// Flags and numbers that are not as they should be.
    forgery: usize,
    /// FINs.
    fins: usize,
    /// Things that the application does.
    application: usize,
    /// Long waits.
    waits: usize,
    /// Further attempts to connect.
    attempts: usize,
    /// Segments that fit the SYN cookie.
    cookies: usize,
    /// How far cookies come in a minute, if that is not far.
    minute: Option<i32>,
}

impl Taste {
    fn new(random: &mut Random) -> Self {
        let theme = random.pick(&[
            Theme::Anything,
            Theme::Anything,
            Theme::Anything,
            Theme::Waiting,
            Theme::Upgrade,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Reuse,
            Theme::Reuse,
            Theme::Time,
            Theme::Memory,
        ]);
        let mut some = |choices: &[usize]| random.pick(choices);
        let mut taste = Self {
            theme,
            order: some(&[0, 20, 50, 50, 80]),
            versions: some(&[0, 10, 30, 50, 50]),
            faults: some(&[0, 10, 25, 50]),
            reply_faults: some(&[0, 0, 0, 10, 30]),
            forgery: some(&[0, 0, 0, 5, 20]),
            fins: some(&[0, 3, 3, 15]),
            application: some(&[0, 0, 5, 20]),
            waits: some(&[0, 0, 5, 15]),
            attempts: some(&[0, 0, 0, 0, 10]),
            cookies: some(&[0, 0, 0, 0, 0, 0, 10, 30]),
            minute: None,
        };
        match theme {
            Theme::Anything | Theme::Memory => {}
            Theme::Chunks => {
                taste.order = some(&[50, 80, 95]);
                taste.faults = some(&[0, 0, 10, 25]);
            }
            Theme::Waiting | Theme::Upgrade => taste.application = some(&[10, 30]),
            Theme::Reuse => {
                taste.attempts = some(&[0, 10, 30, 30]);
                taste.application = some(&[0, 10, 20]);
                taste.forgery = some(&[0, 5, 20]);
            }
            Theme::Time => taste.waits = some(&[5, 15, 30]),
        }
        if taste.cookies > 0 && random.percent(30) {
            let far = random.pick(&[2, 60, 100, 200, 66_000]);
            taste.minute = Some(random.pick(&[far, -far]));
        }
        taste
    }

    const fn favourite(&self) -> Option<Favourite> {
        match self.theme {
            Theme::Waiting => Some(Favourite::Expecting),
            Theme::Upgrade => Some(Favourite::Upgrade),
            Theme::Chunks => Some(Favourite::Chunked),
            Theme::Memory => Some(Favourite::Long),
            Theme::Anything | Theme::Reuse | Theme::Time => None,
        }
    }
}

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

    /// Connects, mostly as one should.
    fn connect(&mut self) {
        let mut syn = self.syn();
        match self.random.below(6) {
            0 => syn.options = SELECTIVE_ACKS.to_vec(),
            1 => syn.options = SEGMENT_SIZE.to_vec(),
            2 => syn.options = [SEGMENT_SIZE, SELECTIVE_ACKS].concat(),
            _ => {}
        }
        let options: [&[u8]; 3] = [&FAST_OPEN_REQUEST, &FAST_OPEN_COOKIE, &MULTIPATH];
        if self.random.percent(5) {
            syn.options = self.random.pick(&options).to_vec();
            if self.random.percent(30) {
                syn.at = Place::Stream(-1);
                syn.len = self.length(0);
            }
        }
        self.push(syn.clone());
        if self.random.percent(self.taste.attempts / 2) {
            // More pairs than are kept, some of which differ in the cookie alone.
            for _ in 0..self.random.between(2, 6) {
                let other = self.random.below(self.attempts);
                let options = self.random.pick(&[Vec::new(), SEGMENT_SIZE.to_vec()]);
                // What is offered late may be taken up when the server has begun with another.
                let replies = match self.random.below(2) {
                    0 => Fate::Late(Duration::from_millis(self.random.between(1, 200) as u64)),
                    _ => syn.replies,
                };
                self.push(Crafted {
                    attempt: other,
                    options,
                    replies,
                    ..syn.clone()
                });
            }
            self.attempt = self.random.below(self.attempts);
        } else if self.random.percent(self.taste.attempts) {
            // Two pairs, and the server takes either if it uses cookies.
            let other = self.random.below(self.attempts);
            self.push(Crafted {
                attempt: other,
                ..syn
            });
            if self.random.percent(50) {
                self.attempt = other;
            }
        }
        if self.taste.minute.is_some() && self.random.percent(50) {
            // In the next minute, the cookie is another one; both are good.
            let again = self.syn();
            self.push(again);
            if let Some(step) = self.steps.last_mut() {
                step.wait = Duration::from_secs(64);
            }
        }
        if self.taste.theme == Theme::Reuse && self.random.percent(20) {
            // Offered again, when the connection may be over.
            let delay = self.random.between(1, 200) as u64;
            let mut again = self.syn();
            again.replies = Fate::Late(Duration::from_millis(delay));
            self.push(again);
        }
        if self.random.percent(80) {
            let ack = self.crafted(Place::Stream(0), 0);
            self.push(ack);
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

    fn syn(&mut self) -> Crafted {
        Crafted {
            flags: SYN,
            fate: Fate::Arrives,
            ..self.crafted(Place::Stream(-1), 0)
        }
    }

    /// Ends the connection, as the guard sees it at least, and begins from the start, as if it were another.
    fn begin_again(&mut self) {
        let mut last = self.crafted(Place::Acked(0), 0);
        if self.random.percent(50) {
            last.flags = RST | ACK;
            last.fate = self.random.pick(&[Fate::Lost, Fate::Arrives]);
            self.push(last);
        } else {
            last.flags = FIN | ACK;
            self.push(last);
            if self.random.percent(70) {
                let end = self.random.pick(&[Action::Shutdown, Action::Close]);
                self.push_event(Event::Application(Deed::Socket(end)));
            }
            let mut ack = self.crafted(Place::Acked(0), 0);
            if self.random.percent(30) {
                // Linux obeys it here, too.
                ack.flags = RST | ACK;
                ack.at = Place::Acked(-1);
            }
            self.push(ack);
        }
        if self.random.percent(30) {
            self.attempt = self.random.below(self.attempts);
        }
        if self.random.percent(50) {
            let mut syn = self.syn();
            let delay = self.random.between(1, 200) as u64;
            // Before the offer is seen, the server may take up one that it made before.
            let is_early = self.random.percent(30);
            if is_early {
                syn.replies = Fate::Late(Duration::from_millis(delay));
            }
            self.push(syn);
            if is_early {
                let at = self.cut() as i64;
                let mut ack = self.crafted(Place::Stream(at), 0);
                ack.acknowledgment = self.as_far();
                self.push(ack);
                self.push_event(Event::Application(Deed::Socket(Action::Read)));
                if let Some(step) = self.steps.last_mut() {
                    step.wait = Duration::from_millis(delay);
                }
            }
        }
        for _ in 0..self.random.between(1, 2) {
            let start = self.random.pick(&[0, 0, 0, 1, 2, 3]);
            let len = self.length(0);
            let mut first = self.crafted(Place::Stream(start), len);
            first.acknowledgment = SYN_ACK_ALONE;
            self.push(first);
        }
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

    /// Has the server close its side in the middle of something, and forget it, and goes on with what fits the cookie.
    fn outlive(&mut self) {
        let len = self.up_to_mark();
        let first = self.crafted(Place::Acked(0), len);
        self.push(first);
        let said = vec![b'x'; self.random.between(50, 400)];
        for end in [Action::Write(said), Action::Close] {
            self.push_event(Event::Application(Deed::Socket(end)));
        }
        let ack = self.crafted(Place::Acked(0), 0);
        self.push(ack);
        for _ in 0..self.random.between(1, 2) {
            let at = self.cut();
            let len = self.length(at);
            let mut next = self.crafted(Place::Stream(at as i64), len);
            next.acknowledgment = self.as_far();
            self.push(next);
        }
    }

    /// Ends the stream before something that has passed, if that lies in the middle of a body.
    fn end_before_the_end(&mut self) {
        let gap = self.random.between(1, 20);
        let len = self.random.between(1, 20);
        let early = self.crafted(Place::Acked(gap as i64), len);
        self.push(early);
        let len = self.random.below(gap + 1);
        let mut end = self.crafted(Place::Acked(0), len);
        end.flags |= FIN;
        self.push(end);
        let mut rest = self.crafted(Place::Acked(0), 1);
        rest.flags |= FIN;
        self.push(rest);
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

    fn segment(&mut self) -> Crafted {
        let mut crafted = if self.random.percent(self.taste.order) {
            let share = if self.taste.theme == Theme::Chunks {
                80
            } else {
                40
            };
            let len = if self.random.percent(share) {
                self.up_to_mark()
            } else {
                self.length(0)
            };
            let offset = if self.random.percent(80) {
                0
            } else {
                self.random.between(0, 20) as i64 - 10
            };
            self.crafted(Place::Acked(offset), len)
        } else {
            let start = self.cut();
            let len = self.length(start);
            self.crafted(Place::Stream(start as i64), len)
        };
        if self.taste.theme == Theme::Reuse && self.random.percent(20) {
            crafted.acknowledgment = SYN_ACK_ALONE;
        }
        if self.random.percent(self.taste.cookies) {
            crafted.acknowledgment = self.as_far();
        }
        if let Some(minute) = self.taste.minute
            && self.random.percent(30)
        {
            // What fits the other cookie.
            let off = self.random.between(0, 6) as i64 - 3;
            crafted.at = Place::Stream(i64::from(minute.abs()) + off);
        }
        if self.random.percent(self.taste.forgery) {
            self.forge(&mut crafted);
        } else if self.random.percent(3) {
            // A probe, or a bare ACK.
            crafted.len = self.random.below(2);
            crafted.at = Place::Acked(-1);
        } else if self.random.percent(self.taste.fins) {
            crafted.flags |= FIN;
        }
        crafted
    }

    /// An acknowledgment number with which a segment fits the SYN cookie.
    fn as_far(&mut self) -> i32 {
        AS_FAR + self.random.pick(&[0, 0, 0, -3, -1, 1, 2])
    }

    /// Makes something about it wrong.
    fn forge(&mut self, crafted: &mut Crafted) {
        let random = &mut self.random;
        match random.below(12) {
            0 => crafted.flags = SYN,
            1 => crafted.flags = SYN | ACK,
            2 => crafted.flags = FIN | ACK,
            3 => crafted.flags = RST | ACK,
            4 => crafted.flags = RST,
            5 => {
                crafted.flags |= URG;
                crafted.urgent = random.between(0, 2 + crafted.len * 2) as u16;
            }
            6 => crafted.flags = random.pick(&[0, FIN, URG, SYN | FIN, FIN | RST | ACK]),
            7 => {
                let most = random.pick(&[1, 3_000]);
                crafted.acknowledgment = random.between(1, most) as i32;
            }
            8 => {
                let most = random.pick(&[1, 2, 100_000]);
                crafted.acknowledgment = -(random.between(1, most) as i32);
            }
            9 => crafted.at = Place::Acked(random.between(1_000, 100_000) as i64),
            10 => {
                crafted.at =
                    Place::Stream(random.pick(&[-1, -5, -100, 1 << 30, 1 << 31, -(1 << 30)]));
            }
            _ => {
                // A reset where it counts, or almost.
                crafted.flags = RST | ACK;
                crafted.len = 0;
                crafted.at = Place::Acked(random.pick(&[0, 0, 1, -1]));
            }
        }
        if random.percent(30) {
            crafted.len = 0;
        }
    }

    fn crafted(&mut self, at: Place, len: usize) -> Crafted {
        let version = self.version();
        Crafted {
            attempt: self.attempt,
            at,
            len,
            version,
            flags: ACK,
            acknowledgment: 0,
            urgent: 0,
            options: Vec::new(),
            fate: self.fate(self.taste.faults),
            replies: self.fate(self.taste.reply_faults),
        }
    }

    /// A version: often the first, or the one that a single site makes.
    fn version(&mut self) -> u32 {
        let sites = self.plan.sites.len();
        if sites == 0 || !self.random.percent(self.taste.versions) {
            return 0;
        }
        if self.random.percent(50) {
            return 1 << self.random.below(sites);
        }
        self.random.next() as u32 & u32::MAX >> (u32::BITS as usize - sites)
    }

    fn fate(&mut self, percent: usize) -> Fate {
        if !self.random.percent(percent) {
            return Fate::Arrives;
        }
        match self.random.below(8) {
            0..3 => Fate::Corrupt,
            3..6 => Fate::Lost,
            6 => Fate::Late(Duration::from_millis(self.random.between(1, 300) as u64)),
            _ => Fate::Twice,
        }
    }

    /// Where to cut: where it matters, or was cut before, or next to it, or anywhere.
    fn cut(&mut self) -> usize {
        let random = &mut self.random;
        let cut = match random.below(10) {
            0 | 1 => random.below(self.plan.bytes.len() + 1),
            2 => (random.pick(&self.cuts) + random.below(3)).saturating_sub(1),
            3 => random.pick(&[0, 0, 1, 2, 3, 4]),
            _ => random.pick(&self.cuts),
        };
        self.cuts.push(cut);
        cut
    }

    /// How long a segment is that goes on in order, if all before it have arrived, up to where it matters.
    fn up_to_mark(&mut self) -> usize {
        let start = self.in_order;
        let marks = self.plan.marks.iter().copied();
        let mut ahead: Vec<_> = marks.filter(|mark| *mark > start).collect();
        ahead.sort_unstable();
        ahead.truncate(20);
        if ahead.is_empty() {
            return self.length(0);
        }
        self.in_order = self.random.pick(&ahead);
        self.in_order - start
    }

    fn length(&mut self, start: usize) -> usize {
        match self.random.below(6) {
            0 => self.random.between(1, 3),
            1 => self.random.between(1, 60),
            2 => self.plan.bytes.len(),
            _ => self.cut().abs_diff(start).max(1),
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
