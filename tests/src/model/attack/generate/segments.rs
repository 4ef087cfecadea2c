//! One segment: where it stands, what it holds, and what is wrong with it.

use std::time::Duration;

use super::{
    super::{AS_FAR, Crafted, Place, SYN_ACK_ALONE},
    Generator,
    taste::Theme,
};
use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::world::Fate,
};

impl Generator {
    pub(super) fn segment(&mut self) -> Crafted {
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
    pub(super) fn as_far(&mut self) -> i32 {
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

    pub(super) fn crafted(&mut self, at: Place, len: usize) -> Crafted {
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
    pub(super) fn version(&mut self) -> u32 {
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
    pub(super) fn cut(&mut self) -> usize {
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
    pub(super) fn up_to_mark(&mut self) -> usize {
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

    pub(super) fn length(&mut self, start: usize) -> usize {
        match self.random.below(6) {
            0 => self.random.between(1, 3),
            1 => self.random.between(1, 60),
            2 => self.plan.bytes.len(),
            _ => self.cut().abs_diff(start).max(1),
        }
    }
}
