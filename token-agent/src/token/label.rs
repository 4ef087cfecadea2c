//! The words a token carries: who owns it, what for, and why it was revoked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::format::may_hold_a_token;

const MAX_OWNER_LEN: usize = 64;
const MAX_TEXT_LEN: usize = 256;

/// Who answers for a token: 1 to 64 of `A-Z a-z 0-9 . _ @ -`, beginning with a letter or digit.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct OwnerName(String);

/// What a token is for: 1 to 256 printable characters, without white space around them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purpose(String);

/// Why a token was revoked: 1 to 256 printable characters, without white space around them.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevokeReason(String);

/// Why a text is no such label.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LabelError {
    /// A control character, or in an owner's name any other it may not have.
    #[error("character {position} of the {noun} ({found:?}) is not allowed: {allowed}")]
    Character {
        /// Which label.
        noun: &'static str,
        /// Counted in characters from 1.
        position: usize,
        /// The character.
        found: char,
        /// What may stand there.
        allowed: &'static str,
    },
    /// Nothing, or white space only.
    #[error("the {noun} is empty")]
    Empty {
        /// Which label.
        noun: &'static str,
    },
    /// A secret where it would be stored and logged. It is not repeated.
    #[error(
        "the {noun} holds what looks like a token; it would be stored and shown, so write something else"
    )]
    Secret {
        /// Which label.
        noun: &'static str,
    },
    /// Too long.
    #[error("the {noun} has {found} characters, at most {max} are allowed")]
    Length {
        /// Which label.
        noun: &'static str,
        /// How many characters it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
}

impl FromStr for OwnerName {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOUN: &str = "owner";
        check_length(NOUN, text, MAX_OWNER_LEN)?;
        check_harmless(NOUN, text)?;
        let wrong = text.chars().enumerate().find(|&(index, c)| {
            !c.is_ascii_alphanumeric() && (index == 0 || !matches!(c, '.' | '_' | '@' | '-'))
        });
        match wrong {
            None => Ok(Self(text.into())),
            Some((index, found)) => Err(LabelError::Character {
                noun: NOUN,
                position: index + 1,
                found,
                allowed: "a letter or digit first, then also `.`, `_`, `@` and `-`",
            }),
        }
    }
}

impl FromStr for Purpose {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        printable("purpose", text).map(Self)
    }
}

impl FromStr for RevokeReason {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        printable("reason", text).map(Self)
    }
}

macro_rules! text_of {
    ($($label:ty),*) => {$(
        impl $label {
            /// The label as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $label {
            type Error = LabelError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$label> for String {
            fn from(label: $label) -> Self {
                label.0
            }
        }

        impl fmt::Display for $label {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

text_of!(OwnerName, Purpose, RevokeReason);

/// Trims `text` and checks that a terminal or a log line shows it harmlessly.
fn printable(noun: &'static str, text: &str) -> Result<String, LabelError> {
    let text = text.trim();
    check_length(noun, text, MAX_TEXT_LEN)?;
    check_harmless(noun, text)?;
    match text.chars().enumerate().find(|&(_, c)| !is_printable(c)) {
        None => Ok(text.into()),
        Some((index, found)) => Err(LabelError::Character {
            noun,
            position: index + 1,
            found,
            allowed: "printable characters only",
        }),
    }
}

/// Neither a control character nor one that breaks lines, reorders what surrounds it, or is not seen.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn check_harmless(noun: &'static str, text: &str) -> Result<(), LabelError> {
    if may_hold_a_token(text) {
        return Err(LabelError::Secret { noun });
    }
    Ok(())
}

fn check_length(noun: &'static str, text: &str, max: usize) -> Result<(), LabelError> {
    match text.chars().count() {
        0 => Err(LabelError::Empty { noun }),
        found if found > max => Err(LabelError::Length { noun, found, max }),
        _fits => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        for good in [
            "a",
            "0",
            "Team-1",
            "ci@example.org",
            "a.b_c-d",
            &"x".repeat(64),
        ] {
            assert_eq!(good.parse::<OwnerName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            ".a",
            "@a",
            "_a",
            "a b",
            " a",
            "a\n",
            "ä",
            "a/b",
            &"x".repeat(65),
        ] {
            assert!(bad.parse::<OwnerName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn purposes_are_trimmed_and_printable() {
        assert_eq!(
            "  ci, für Übungen \n".parse::<Purpose>().unwrap().as_str(),
            "ci, für Übungen"
        );
        assert!("ü".repeat(256).parse::<Purpose>().is_ok());
        for bad in [
            "",
            " \t\n",
            "a\nb",
            "a\u{1b}[31mb",
            "a\0b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{feff}b",
            "a\u{200b}b",
            "a\u{e0061}b",
        ] {
            assert!(bad.parse::<Purpose>().is_err(), "{bad:?}");
        }
        assert!("ü".repeat(257).parse::<Purpose>().is_err());
    }

    #[test]
    fn messages_say_where_and_what() {
        let error = "ops team".parse::<OwnerName>().unwrap_err().to_string();
        assert!(
            error.starts_with("character 4 of the owner (' ')"),
            "{error}"
        );
        let error = "".parse::<RevokeReason>().unwrap_err().to_string();
        assert_eq!(error, "the reason is empty");
    }

    #[test]
    fn a_token_is_no_label() {
        let token = format!("tka_{}", "0aB".repeat(15));
        let errors = [
            token.parse::<OwnerName>().unwrap_err(),
            format!("for {token}").parse::<Purpose>().unwrap_err(),
            format!("leaked: {token}.")
                .parse::<RevokeReason>()
                .unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, LabelError::Secret { .. }), "{error}");
            assert!(!error.to_string().contains("0aB"), "{error}");
        }
    }

    #[test]
    fn json_is_checked() {
        let owner: OwnerName = serde_json::from_str("\"orders\"").unwrap();
        assert_eq!(serde_json::to_string(&owner).unwrap(), "\"orders\"");
        assert!(serde_json::from_str::<OwnerName>("\"-\"").is_err());
    }
}
