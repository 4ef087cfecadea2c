//! Durations as users write them: a whole number and one unit, `90s`, `15m`, `24h` or `30d`.

use std::time::Duration;

/// The longest duration accepted, a century: whatever adds one to a clock stays far from overflow.
pub const MAX: Duration = Duration::from_secs(36_500 * DAY);

/// Reads a duration such as `90s`, `15m`, `24h` or `30d`; `0s` is one too.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = &text[digits.len()..];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NotANumber);
    }
    if unit.is_empty() {
        return Err(DurationError::NoUnit);
    }
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(DurationError::UnknownUnit);
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*seconds))
        .map(Duration::from_secs)
        .filter(|duration| *duration <= MAX)
        .ok_or(DurationError::TooLong)
}

/// Writes a duration in the largest unit that loses nothing; what is below a second is left out.
#[must_use]
pub fn format(duration: Duration) -> String {
    let total = duration.as_secs();
    let (unit, seconds) = UNITS
        .iter()
        .rev()
        .find(|(_, seconds)| total != 0 && total.is_multiple_of(*seconds))
        .unwrap_or(&UNITS[0]);
    format!("{}{unit}", total / seconds)
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    #[error("a duration is a whole number and one unit")]
    NotANumber,
    #[error("a duration needs a unit")]
    NoUnit,
    #[error("a duration is longer than 36500d")]
    TooLong,
    #[error("a duration has one of the units s, m, h and d")]
    UnknownUnit,
}

const DAY: u64 = 24 * 60 * 60;

/// From the smallest to the largest.
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 60 * 60), ("d", DAY)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_each_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("15m", 900),
            ("24h", 86_400),
            ("30d", 2_592_000),
            ("007s", 7),
            ("36500d", 3_153_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_anything_else() {
        for (text, error) in [
            ("", DurationError::NotANumber),
            ("s", DurationError::NotANumber),
            ("-5s", DurationError::NotANumber),
            ("+5s", DurationError::NotANumber),
            ("1.5h", DurationError::NotANumber),
            ("1h30m", DurationError::NotANumber),
            (" 5s", DurationError::NotANumber),
            ("٣s", DurationError::NotANumber),
            ("90", DurationError::NoUnit),
            ("90 s", DurationError::UnknownUnit),
            ("90s ", DurationError::UnknownUnit),
            ("90S", DurationError::UnknownUnit),
            ("5ms", DurationError::UnknownUnit),
            ("2w", DurationError::UnknownUnit),
            ("36501d", DurationError::TooLong),
            ("18446744073709551615d", DurationError::TooLong),
            ("99999999999999999999s", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn writes_the_largest_exact_unit() {
        for (seconds, text) in [
            (0, "0s"),
            (1, "1s"),
            (90, "90s"),
            (900, "15m"),
            (5_400, "90m"),
            (86_400, "1d"),
            (90_000, "25h"),
        ] {
            assert_eq!(format(Duration::from_secs(seconds)), text);
        }
        assert_eq!(format(Duration::from_millis(1_999)), "1s");
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(seconds in 0..=MAX.as_secs()) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
