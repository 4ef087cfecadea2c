//! How long a token may live: every one expires.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How far in the past a wished beginning may lie and still mean "now": a caller's clock and the way of the request.
const BACKDATING: Duration = Duration::from_secs(60);

/// When a token is valid: from `not_before` until just before `expires_at`, in whole seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lifetime {
    not_before: Timestamp,
    expires_at: Timestamp,
}

impl Lifetime {
    /// From `not_before` until `expires_at`, both cut to whole seconds.
    ///
    /// # Errors
    /// Shorter than a second, or before 1970.
    pub fn between(not_before: Timestamp, expires_at: Timestamp) -> Result<Self, PolicyError> {
        let (not_before, expires_at) = (floor(not_before)?, floor(expires_at)?);
        if not_before < Timestamp::UNIX_EPOCH {
            return Err(PolicyError::OutOfRange);
        }
        if expires_at <= not_before {
            return Err(PolicyError::NoTtl);
        }
        Ok(Self {
            not_before,
            expires_at,
        })
    }

    /// The first moment the token is valid.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The first moment it is valid no more; always after [`Lifetime::not_before`].
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// Decides the lifetime of a token issued at `now`.
///
/// It begins at the later of `now` and `not_before` and lasts `ttl` from there,
/// or `default_ttl`, shortened to `max_ttl`, where the caller wishes nothing.
/// Fractions of a second are rounded so that a token is never valid before the
/// wished beginning nor longer than the wished time.
///
/// # Errors
/// [`PolicyError`]: a wish is never quietly changed.
pub fn lifetime(
    now: Timestamp,
    ttl: Option<Duration>,
    not_before: Option<Timestamp>,
    default_ttl: Duration,
    max_ttl: Duration,
) -> Result<Lifetime, PolicyError> {
    let ttl = ttl.unwrap_or(default_ttl.min(max_ttl));
    if ttl.as_secs() == 0 {
        return Err(PolicyError::NoTtl);
    }
    if ttl > max_ttl {
        return Err(PolicyError::TooLong { ttl, max: max_ttl });
    }
    let beginning = match not_before {
        None => floor(now)?,
        Some(wish) => {
            check_beginning(now, wish, max_ttl)?;
            ceil(wish)?.max(floor(now)?)
        }
    };
    let end = later(beginning, Duration::from_secs(ttl.as_secs()))?;
    Lifetime::between(beginning, end)
}

/// Why a token cannot be issued as wished.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PolicyError {
    /// The beginning lies in the past.
    #[error(
        "the token would begin at {not_before}, which is past ({now}); leave it out to begin now"
    )]
    Backdated {
        /// The wished beginning.
        not_before: Timestamp,
        /// The agent's time.
        now: Timestamp,
    },
    /// Less than a second.
    #[error("a token lives at least one second")]
    NoTtl,
    /// Before 1970 or beyond what a timestamp can say.
    #[error("the token's lifetime is not within the years 1970 to 9999")]
    OutOfRange,
    /// The beginning lies too far in the future.
    #[error("the token would begin at {not_before}, more than the maximum lifetime of {} after now ({now})", Units(*.max))]
    TooFarAhead {
        /// The wished beginning.
        not_before: Timestamp,
        /// The agent's time.
        now: Timestamp,
        /// The longest lifetime allowed.
        max: Duration,
    },
    /// Longer than allowed.
    #[error("a lifetime of {} is longer than the maximum of {}", Units(*.ttl), Units(*.max))]
    TooLong {
        /// The wished lifetime.
        ttl: Duration,
        /// The longest one allowed.
        max: Duration,
    },
}

fn check_beginning(now: Timestamp, wish: Timestamp, max_ttl: Duration) -> Result<(), PolicyError> {
    let ahead = wish.duration_since(now);
    let (distance, future) = (ahead.unsigned_abs(), ahead.is_positive());
    if future && distance > max_ttl {
        return Err(PolicyError::TooFarAhead {
            not_before: wish,
            now,
            max: max_ttl,
        });
    }
    if !future && distance > BACKDATING {
        return Err(PolicyError::Backdated {
            not_before: wish,
            now,
        });
    }
    Ok(())
}

/// `time` without its fraction of a second.
fn floor(time: Timestamp) -> Result<Timestamp, PolicyError> {
    let second = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
    Timestamp::from_second(second).map_err(|_| PolicyError::OutOfRange)
}

/// The first whole second not before `time`.
fn ceil(time: Timestamp) -> Result<Timestamp, PolicyError> {
    let second = time.as_second() + i64::from(time.subsec_nanosecond() > 0);
    Timestamp::from_second(second).map_err(|_| PolicyError::OutOfRange)
}

fn later(time: Timestamp, by: Duration) -> Result<Timestamp, PolicyError> {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| time.checked_add(by).ok())
        .ok_or(PolicyError::OutOfRange)
}

/// A duration as users write it: `90s`, `15m`, `24h`, `30d`.
struct Units(Duration);

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, char); 3] = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let seconds = self.0.as_secs();
        // More than one of the unit: people write 24h rather than 1d, and 90s rather than 1m30s.
        match UNITS
            .into_iter()
            .find(|&(unit, _)| seconds > unit && seconds.is_multiple_of(unit))
        {
            Some((unit, letter)) => write!(f, "{}{letter}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests;
