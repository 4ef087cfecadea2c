//! `[tokens]`: what tokens look like, and how long they live.

use std::time::Duration;

use super::problem::{Invalid, quote};
use super::report::Report;
use super::table::Table;
use crate::duration;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tokens {
    /// What every token issued here begins with.
    pub prefix: String,
    pub default_ttl: Duration,
    pub max_ttl: Duration,
    /// How long a dead token keeps its reason; then it is unknown.
    pub retain: Duration,
    /// How long the revocation of a secret is kept that was not issued here and shows no expiry.
    pub foreign_ttl: Duration,
}

impl Tokens {
    pub(super) fn read(mut table: Table<'_>, report: &mut Report<'_>) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);

        let tokens = Self {
            prefix: table
                .text("prefix", report, prefix)
                .unwrap_or_else(|| "tka".into()),
            default_ttl: table.text("default_ttl", report, positive).unwrap_or(DAY),
            max_ttl: table.text("max_ttl", report, positive).unwrap_or(DAY * 90),
            retain: table
                .text("retain", report, |text| Ok(duration::parse(text)?))
                .unwrap_or(DAY * 7),
            foreign_ttl: table
                .text("foreign_ttl", report, positive)
                .unwrap_or(DAY * 30),
        };
        tokens.check_lifetimes(&table, report);
        table.finish(report);
        tokens
    }

    fn check_lifetimes(&self, table: &Table<'_>, report: &mut Report<'_>) {
        if self.default_ttl <= self.max_ttl {
            return;
        }
        let [default, max] = [self.default_ttl, self.max_ttl].map(duration::format);
        // Either may be a default, but not both.
        let (key, what) = if table.is_written("default_ttl") {
            let what = Invalid::new(format!("{default} is longer than max_ttl, {max}"))
                .help(format!("write default_ttl = \"{max}\" or less"));
            ("default_ttl", what)
        } else {
            let what = Invalid::new(format!("{max} is shorter than default_ttl, {default}"))
                .help(format!("write default_ttl = \"{max}\" or less, too"));
            ("max_ttl", what)
        };
        report.error(table.at(key), what);
    }
}

fn prefix(text: &str) -> Result<String, Invalid> {
    let is_good = (2..=10).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !is_good {
        return Err(Invalid::new(format!("{} cannot be a prefix", quote(text)))
            .help("write a lower-case letter and 1 to 9 more or digits"));
    }
    Ok(text.to_owned())
}

fn positive(text: &str) -> Result<Duration, Invalid> {
    let duration = duration::parse(text)?;
    if duration.is_zero() {
        return Err(Invalid::new("must be more than nothing").help(r#"write "1s" or more"#));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_two_to_ten_lower_case_letters_or_digits() {
        for good in ["tka", "a1", "abcdefghij"] {
            assert_eq!(prefix(good), Ok(good.to_owned()));
        }
        for bad in ["", "a", "1a", "Ab", "aB", "a_b", "é1", "abcdefghijk"] {
            assert!(prefix(bad).is_err(), "{bad:?}");
        }
    }
}
