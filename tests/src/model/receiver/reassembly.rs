//! Linux's queue of what came out of order.
//!
//! In-order data beats queued data; of queued segments the one that starts earlier
//! wins, at equal start the longer, at equal range the first.

use serde::{Deserialize, Serialize};

use crate::model::segment::ahead;

/// A segment in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Queued {
    pub(super) sequence: u32,
    /// The sequence number behind it, its FIN included.
    pub(super) end: u32,
    pub(super) has_fin: bool,
    /// What it carries.
    pub(super) payload: Vec<u8>,
}

/// When a segment becomes part of one that ends where it begins. In Linux that depends on how its
/// bytes lie in memory, and on the shape of a tree.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Coalescing {
    /// It does not.
    #[default]
    Never,
    /// If that is the last one that starts no later.
    Neighbour,
    /// If there is one, others overlapping it or not.
    Any,
}

/// The queue, ordered by sequence number.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    segments: Vec<Queued>,
}

impl Queue {
    pub(super) fn clear(&mut self) {
        self.segments.clear();
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// How many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|one| one.payload.len()).sum()
    }

    /// The end of the last segment, which the server has told the client by SACK.
    pub(super) fn end(&self) -> Option<u32> {
        self.segments.last().map(|last| last.end)
    }

    /// Throws away the last segment: memory is short, and only ACKs are promises.
    pub(super) fn prune(&mut self) -> bool {
        self.segments.pop().is_some()
    }

    /// Takes a segment in.
    pub(super) fn insert(&mut self, new: Queued, coalescing: Coalescing) {
        // Those before `at` start no later.
        let mut at = self
            .segments
            .partition_point(|one| ahead(one.sequence, new.sequence) <= 0);
        let mut before = self.segments[..at].iter_mut();
        let left = match coalescing {
            Coalescing::Never => None,
            Coalescing::Neighbour => before.next_back().filter(|one| one.end == new.sequence),
            Coalescing::Any => before.find(|one| one.end == new.sequence),
        };
        if let Some(left) = left {
            // Whatever stood at its end: what follows a FIN then comes before it.
            left.end = new.end;
            left.has_fin |= new.has_fin;
            left.payload.extend_from_slice(&new.payload);
            return;
        }
        if let Some(before) = at.checked_sub(1).map(|i| &self.segments[i])
            && ahead(new.sequence, before.end) < 0
        {
            if ahead(new.end, before.end) <= 0 {
                return;
            }
            if new.sequence == before.sequence {
                at -= 1;
                self.segments.remove(at);
            }
        }
        self.segments.insert(at, new);
        self.drop_covered(at);
    }

    /// Drops what lies wholly within the segment at `at` and starts no earlier.
    fn drop_covered(&mut self, at: usize) {
        let end = self.segments[at].end;
        let covered = self.segments[at + 1..]
            .iter()
            .take_while(|one| ahead(end, one.sequence) > 0 && ahead(one.end, end) <= 0)
            .count();
        self.segments.drain(at + 1..at + 1 + covered);
    }

    /// Takes out the first segment that has something to add at `next`, if nothing is missing before it.
    pub(super) fn pop(&mut self, next: u32) -> Option<Queued> {
        while let Some(first) = self.segments.first() {
            if ahead(first.sequence, next) > 0 {
                return None;
            }
            let first = self.segments.remove(0);
            if ahead(first.end, next) > 0 {
                return Some(first);
            }
        }
        None
    }
}
