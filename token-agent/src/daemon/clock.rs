//! Whether the clock can be believed: what is forgotten on a wrong date does not come back.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How far the clock may drift from the time that passed, between two looks.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// No agent ran before this: 2025-01-01.
const EARLIEST: i64 = 1_735_689_600;

/// Compares the clock with the time that passes.
#[derive(Debug)]
pub(super) struct ClockGuard {
    last: (Timestamp, Instant),
}

impl ClockGuard {
    pub(super) const fn new(clock: Timestamp, passing: Instant) -> Self {
        Self {
            last: (clock, passing),
        }
    }

    /// Whether the clock went on as time did since the last look. A clock that
    /// was set is believed only at the next look, when it has gone on well.
    pub(super) fn is_plausible(&mut self, clock: Timestamp, passing: Instant) -> bool {
        let (last_clock, last_passing) = self.last;
        self.last = (clock, passing);
        let passed = passing.saturating_duration_since(last_passing);
        let ticked = clock.duration_since(last_clock);
        clock.as_second() >= EARLIEST
            && !ticked.is_negative()
            && ticked.unsigned_abs().abs_diff(passed) <= TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed_at_once() {
        let start = Instant::now();
        let clock = |second| Timestamp::from_second(EARLIEST + second).unwrap();
        let passing = |second| start + Duration::from_secs(second);
        let mut guard = ClockGuard::new(clock(0), passing(0));
        assert!(guard.is_plausible(clock(3600), passing(3600)));
        assert!(guard.is_plausible(clock(7210), passing(7200)));
        let year = 365 * 86_400;
        assert!(!guard.is_plausible(clock(year), passing(10_800)));
        assert!(guard.is_plausible(clock(year + 3600), passing(14_400)));
        assert!(!guard.is_plausible(clock(14_400), passing(18_000)));
        assert!(guard.is_plausible(clock(18_000), passing(21_600)));
    }

    #[test]
    fn a_clock_before_this_program_is_never_believed() {
        let start = Instant::now();
        let mut guard = ClockGuard::new(Timestamp::UNIX_EPOCH, start);
        assert!(!guard.is_plausible(Timestamp::UNIX_EPOCH, start));
    }
}
