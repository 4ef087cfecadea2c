//! What is wrong with a configuration, told so that it can be mended: where, what, and what to write instead.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::duration::DurationError;

/// One thing to mend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// Counted from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// The table, with its name where it has one: `agent`, `service "orders"`.
    pub table: Option<String>,
    pub key: Option<String>,
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Everything that keeps a configuration from being used: never empty, in the order of the files and their lines.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ConfigErrors(pub Vec<Problem>);

/// Why one value is not acceptable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid {
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Invalid {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

impl From<DurationError> for Invalid {
    fn from(error: DurationError) -> Self {
        Self::new(error.to_string()).help(r#"write it like "90s", "15m", "24h" or "30d""#)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        match (&self.table, &self.key) {
            (Some(table), Some(key)) => write!(f, "[{table}] {key}: ")?,
            (Some(table), None) => write!(f, "[{table}]: ")?,
            (None, Some(key)) => write!(f, "{key}: ")?,
            (None, None) => {}
        }
        told(f, &self.message, self.help.as_deref())
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        told(f, &self.message, self.help.as_deref())
    }
}

impl Error for ConfigErrors {}

impl Error for Invalid {}

/// A value from a file, quoted for a message: escaped, so that it cannot steer a terminal, and not at any length.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

/// A key as TOML writes it, under the same care.
pub(super) fn quote_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=60).contains(&key.len()) && key.bytes().all(is_bare) {
        key.to_owned()
    } else {
        quote(key)
    }
}

/// The candidate a misspelt word was probably meant to be.
pub(super) fn closest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    // The comparison takes time and memory of the product of the lengths.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

fn told(f: &mut fmt::Formatter<'_>, message: &str, help: Option<&str>) -> fmt::Result {
    f.write_str(message)?;
    match help {
        None => Ok(()),
        Some(help) => write!(f, "; {help}"),
    }
}

/// Not every path is UTF-8, and serde refuses those that are not.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_place_what_is_wrong_and_what_to_write() {
        let problem = Problem {
            file: "/etc/x.toml".into(),
            line: Some(7),
            table: Some(r#"service "orders""#.into()),
            key: Some("listen".into()),
            message: "wrong".into(),
            help: Some("write right".into()),
        };
        assert_eq!(
            problem.to_string(),
            r#"/etc/x.toml:7: [service "orders"] listen: wrong; write right"#
        );
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"file":"/etc/x.toml","line":7,"table":"service \"orders\"","key":"listen","message":"wrong","help":"write right"}"#
        );
        let bare = Problem {
            line: None,
            table: None,
            key: None,
            help: None,
            ..problem
        };
        assert_eq!(bare.to_string(), "/etc/x.toml: wrong");
        assert_eq!(
            ConfigErrors(vec![bare.clone(), bare]).to_string(),
            "/etc/x.toml: wrong\n/etc/x.toml: wrong"
        );
    }

    #[test]
    fn a_path_that_is_not_utf8_can_be_told() {
        use std::os::unix::ffi::OsStrExt;

        let problem = Problem {
            file: Path::new(std::ffi::OsStr::from_bytes(b"/etc/\xff.toml")).into(),
            line: None,
            table: None,
            key: None,
            message: String::new(),
            help: None,
        };
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["file"], "/etc/\u{fffd}.toml");
    }

    #[test]
    fn quotes_are_escaped_and_bounded() {
        assert_eq!(quote("a\u{1b}[2J\n"), r#""a\u{1b}[2J\n""#);
        assert_eq!(quote(&"ä".repeat(60)), format!("{:?}", "ä".repeat(60)));
        assert_eq!(quote(&"ä".repeat(61)), format!("{:?}...", "ä".repeat(60)));
    }

    #[test]
    fn only_what_is_close_is_suggested() {
        let keys = ["interfaces", "hook", "max_flows"];
        assert_eq!(closest("interface", &keys), Some("interfaces"));
        assert_eq!(closest("hokk", &keys), Some("hook"));
        assert_eq!(closest("max_tokens", &keys), None);
        assert_eq!(closest(&"a".repeat(1 << 20), &keys), None);
    }
}
