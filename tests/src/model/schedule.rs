//! What a seed stands for, and how little of it is needed to show what went wrong.

use serde::{Deserialize, Serialize};

use super::{
    attack::Attack,
    check::{Judges, Violation},
    guard::Guard,
    honest::Honest,
    segment::Time,
    world::{Counts, Trace},
};

/// hyper is asked in one of so many.
const THOROUGH: u64 = 64;

/// How often a failing schedule is run, at most, to make it shorter.
const ATTEMPTS: u32 = 3_000;

/// Which schedules to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Those of an attacker.
    Attack,
    /// Those of an honest client.
    Honest,
}

/// A schedule.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Schedule {
    /// See [`Attack`].
    Attack(Box<Attack>),
    /// See [`Honest`].
    Honest(Box<Honest>),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What went by.
    pub counts: Counts,
    /// How many requests were served, in all.
    pub served: u64,
    /// How long an honest client took.
    pub taken: Option<Time>,
    /// What went wrong.
    pub violation: Option<Violation>,
}

impl Schedule {
    /// The schedule of this seed and kind.
    #[must_use]
    pub fn new(kind: Kind, seed: u64) -> Self {
        match kind {
            Kind::Attack => Self::Attack(Box::new(Attack::new(seed))),
            Kind::Honest => Self::Honest(Box::new(Honest::new(seed))),
        }
    }

    /// Which kind a seed is of if no other was asked for: one of four is honest.
    #[must_use]
    pub const fn kind(seed: u64) -> Kind {
        if seed.is_multiple_of(4) {
            Kind::Honest
        } else {
            Kind::Attack
        }
    }

    /// Whether the seed's streams are shown to slow servers, too.
    #[must_use]
    pub const fn is_thorough(seed: u64) -> bool {
        seed % THOROUGH == 1
    }

    /// Runs it.
    pub fn run(&self, guard: &mut dyn Guard, judges: &Judges, trace: &mut Trace) -> Outcome {
        match self {
            Self::Attack(attack) => {
                let (counts, result) = attack.run(guard, judges, trace);
                Outcome {
                    counts,
                    served: *result.as_ref().unwrap_or(&0),
                    taken: None,
                    violation: result.err(),
                }
            }
            Self::Honest(honest) => {
                let (counts, result) = honest.run(guard, judges, trace);
                let served = result.as_ref().ok();
                Outcome {
                    counts,
                    served: served.map_or(0, |served| served.requests),
                    taken: served.map(|served| served.taken),
                    violation: result.err(),
                }
            }
        }
    }

    /// A smaller one that fails as well.
    #[must_use]
    pub fn shrink(self, guard: &mut dyn Guard, judges: &Judges) -> Self {
        let mut best = self;
        let mut left = ATTEMPTS;
        loop {
            let mut is_smaller = false;
            for change in 0.. {
                let Some(smaller) = best.changed(change) else {
                    break;
                };
                let Some(smaller) = smaller else {
                    continue;
                };
                if left == 0 {
                    return best;
                }
                left -= 1;
                let outcome = smaller.run(guard, judges, &mut Trace::default());
                if outcome.violation.is_some() {
                    best = smaller;
                    is_smaller = true;
                }
            }
            if !is_smaller {
                return best;
            }
        }
    }

    /// The schedule with one thing less: `None` behind the last thing, `Some(None)` if there is nothing to take away.
    #[expect(clippy::option_option, reason = "the end, or nothing here")]
    fn changed(&self, change: usize) -> Option<Option<Self>> {
        match self {
            Self::Attack(attack) => {
                let changed = shrink::attack(attack, change)?;
                Some(changed.map(|attack| Self::Attack(Box::new(attack))))
            }
            Self::Honest(honest) => {
                let changed = shrink::honest(honest, change)?;
                Some(changed.map(|honest| Self::Honest(Box::new(honest))))
            }
        }
    }
}

mod shrink;
