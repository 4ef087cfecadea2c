//! Whether bytes that are sent again are those that were kept.

use super::{Plan, buffer::Buffer};

/// How far comparing has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Comparison {
    /// The bytes to be compared, as positions.
    from: u64,
    to: u64,
    /// The position of the payload's first byte.
    start: u64,
    /// The run at hand.
    run: u32,
    /// 1 if a byte was another one.
    differs: u32,
}

impl Comparison {
    /// Nothing to compare.
    pub const NONE: Self = Self {
        from: 0,
        to: 0,
        start: 0,
        run: 0,
        differs: 0,
    };

    /// Begins with what `plan` wants compared.
    #[inline(always)]
    pub const fn begin(&mut self, plan: &Plan, buffer: &Buffer) {
        self.start = plan.position;
        self.from = plan.position.wrapping_add(plan.compare_from as u64);
        self.to = plan.position.wrapping_add(plan.compare_to as u64);
        self.run = buffer.oldest();
        self.differs = 0;
    }

    /// An upper bound on the turns it takes.
    pub const TURNS: u32 = super::buffer::CAPACITY / 8 + 3 * super::buffer::RUNS as u32 + 1;

    /// Whether a byte was another one.
    #[inline(always)]
    #[must_use]
    pub const fn differs(&self) -> bool {
        self.differs != 0
    }

    /// Compares up to eight bytes; `load` gives as many of the payload's as asked for from an
    /// offset on, `kept` eight from a page's offset on, or none if they are not there. True when all is done.
    #[inline(always)]
    pub fn turn(
        &mut self,
        buffer: &Buffer,
        load: impl FnOnce(u32, u32) -> Option<u64>,
        kept: impl FnOnce(u32, u32) -> Option<u64>,
    ) -> bool {
        if self.run == buffer.newest() {
            return true;
        }
        let (position, at, len) = buffer.at_run(self.run);
        let end = position + u64::from(len);
        let from = self.from.max(position);
        let to = self.to.min(end);
        if from >= to {
            self.run = self.run.wrapping_add(1);
            return position >= self.to;
        }
        let count = (to - from).min(8) as u32;
        let offset = from.wrapping_sub(self.start) as u32;
        let (page, at) = buffer.place(at.wrapping_add((from - position) as u32));
        self.from = from + u64::from(count);
        let (Some(sent), Some(kept)) = (load(offset, count), kept(page, at)) else {
            self.differs = 1;
            return true;
        };
        if (sent ^ kept) & crate::swar::first_bytes(count) != 0 {
            self.differs = 1;
            return true;
        }
        false
    }
}
