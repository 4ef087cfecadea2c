//! Guards that are wrong.

use crate::model::{
    guard::{Guard, Policy, Verdict},
    parsers::{Naive, Parser as _},
    segment::{Segment, ServerPacket, Time},
};

/// Lets everything pass.
#[derive(Clone, Copy, Debug)]
pub struct PassAll;

impl Guard for PassAll {
    fn reset(&mut self) {}

    fn client(&mut self, _: &Segment, _: &Policy, _: Time) -> Verdict {
        Verdict::Pass
    }

    fn server(&mut self, _: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        Verdict::Pass
    }
}

/// Judges each segment as if it were all there is.
#[derive(Clone, Copy, Debug)]
pub struct NaiveSegmentGuard;

impl Guard for NaiveSegmentGuard {
    fn reset(&mut self) {}

    fn client(&mut self, segment: &Segment, policy: &Policy, now: Time) -> Verdict {
        for request in Naive.served(&segment.payload, false) {
            let is_allowed = |token: &Vec<u8>| policy.allows(token, now);
            if request.credentials.is_empty() || !request.credentials.iter().all(is_allowed) {
                return Verdict::Drop;
            }
        }
        Verdict::Pass
    }

    fn server(&mut self, _: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        Verdict::Pass
    }
}
