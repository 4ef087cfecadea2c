//! Public names of things: `t-` for a token, `f-` for a rotation family.
//!
//! An id is random and says nothing of the secret, so it may be logged, typed
//! and passed on a command line. It never looks like a token.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format::recognise;
use super::random::{self, RandomError};

/// The id of one token.
pub type TokenId = Id<Token>;
/// The id of all tokens that came from one another by rotation.
pub type FamilyId = Id<Family>;

/// A letter, `-`, and 16 lower-case Crockford base32 digits: 80 random bits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id<K> {
    digits: [u8; DIGITS],
    kind: PhantomData<K>,
}

/// What an id names.
pub trait Kind {
    /// The letter before the hyphen.
    const LETTER: char;
    /// The word for it in messages.
    const NOUN: &'static str;
}

/// Marks the id of a token.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Token {}

/// Marks the id of a family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {}

impl Kind for Token {
    const LETTER: char = 't';
    const NOUN: &'static str = "token";
}

impl Kind for Family {
    const LETTER: char = 'f';
    const NOUN: &'static str = "family";
}

const DIGITS: usize = 16;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl<K: Kind> Id<K> {
    /// A new id.
    ///
    /// # Errors
    /// Only where the operating system gives no randomness.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; DIGITS];
        random::fill(&mut bytes)?;
        // 5 of each byte's 8 bits: 32 divides 256, so the digits are uniform.
        Ok(Self::new(
            bytes.map(|byte| ALPHABET[usize::from(byte % 32)]),
        ))
    }

    const fn new(digits: [u8; DIGITS]) -> Self {
        Self {
            digits,
            kind: PhantomData,
        }
    }
}

/// Why a text is not the id asked for. The text itself is never repeated: it may be a pasted secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdError {
    /// A character that is no digit of the id.
    #[error(
        "character {position} of the {noun} id is not a digit of it: only 0-9 and a-z without i, l, o and u occur, in lower case"
    )]
    Digit {
        /// What was asked for.
        noun: &'static str,
        /// Counted in characters from 1.
        position: usize,
    },
    /// Too short or too long.
    #[error(
        "a {noun} id has {} characters after `{letter}-`, this one has {found}",
        DIGITS
    )]
    Length {
        /// What was asked for.
        noun: &'static str,
        /// The letter it begins with.
        letter: char,
        /// How many characters follow the hyphen.
        found: usize,
    },
    /// Another kind of id, or none.
    #[error("a {noun} id begins with `{letter}-`")]
    Letter {
        /// What was asked for.
        noun: &'static str,
        /// The letter it begins with.
        letter: char,
    },
    /// A token in plain text.
    #[error(
        "this is a token itself, not the {noun} id asked for; a secret is given on standard input only, and this one may now be in a history or a log"
    )]
    Secret {
        /// What was asked for.
        noun: &'static str,
    },
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (noun, letter) = (K::NOUN, K::LETTER);
        if recognise(text) {
            return Err(IdError::Secret { noun });
        }
        let Some(tail) = text
            .strip_prefix(letter)
            .and_then(|rest| rest.strip_prefix('-'))
        else {
            return Err(IdError::Letter { noun, letter });
        };
        if let Some(index) = tail
            .chars()
            .position(|c| !c.is_ascii() || !ALPHABET.contains(&(c as u8)))
        {
            return Err(IdError::Digit {
                noun,
                position: index + 3,
            });
        }
        match tail.as_bytes().try_into() {
            Ok(digits) => Ok(Self::new(digits)),
            Err(_) => Err(IdError::Length {
                noun,
                letter,
                found: tail.len(),
            }),
        }
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", K::LETTER)?;
        self.digits
            .iter()
            .try_for_each(|&digit| fmt::Write::write_char(f, char::from(digit)))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Owned: text with escapes in it cannot be borrowed.
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
