//! The agent's own token format, as secret scanners recognise it.
//!
//! `<prefix>_<38 random characters><6 check characters>`, all base62 after the
//! underscore: 226 bits from the CSPRNG, then the CRC-32 (ISO-HDLC) of
//! everything before it, big-endian and zero-padded. The checksum is no
//! protection: it lets a typo be told from an unknown token without hashing.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use token_agent_common::digest::MAX_LEN;
use zeroize::{Zeroize, Zeroizing};

use super::random::{self, RandomError};

/// Random characters in a token: 38 * log2(62) = 226 bits.
const RANDOM_LEN: usize = 38;
/// Check characters: 62^6 > 2^32.
const CHECK_LEN: usize = 6;
/// Shortest prefix, without the underscore.
const MIN_PREFIX_LEN: usize = 2;
/// Longest prefix, without the underscore.
const MAX_PREFIX_LEN: usize = 10;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token in plain text. It is wiped on drop and never shown by `Debug`.
///
/// Not necessarily of the agent's own format: a secret to revoke may be
/// anything, so [`Secret::from`] takes any text.
pub struct Secret(String);

impl Secret {
    /// Mints a token: `prefix`, 226 bits of randomness and the checksum.
    ///
    /// # Errors
    /// Only where the operating system gives no randomness.
    pub fn mint(prefix: &Prefix) -> Result<Self, RandomError> {
        let mut characters = Zeroizing::new([0_u8; RANDOM_LEN]);
        random_base62(characters.as_mut_slice())?;
        Ok(Self::assemble(prefix, &characters))
    }

    /// The secret itself, for its one showing and for hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn assemble(prefix: &Prefix, characters: &[u8; RANDOM_LEN]) -> Self {
        // The whole length at once: a growing string would leave copies in freed memory.
        let mut text = String::with_capacity(prefix.0.len() + 1 + RANDOM_LEN + CHECK_LEN);
        text.push_str(&prefix.0);
        text.push('_');
        text.extend(characters.iter().copied().map(char::from));
        let check = checksum(text.as_bytes());
        text.extend(check.into_iter().map(char::from));
        Self(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Whether `text` is a token of this format, of any prefix, with the right checksum.
#[must_use]
pub fn recognise(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('_') else {
        return false;
    };
    if !is_prefix(prefix)
        || rest.len() != RANDOM_LEN + CHECK_LEN
        || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return false;
    }
    let (checked, check) = text.as_bytes().split_at(text.len() - CHECK_LEN);
    check == checksum(checked)
}

/// Whether something in `text` may be a token of this format, of any prefix. The
/// checksum is not asked for: a mistyped token is nearly one.
#[must_use]
pub fn may_hold_a_token(text: &str) -> bool {
    next_token(text).is_some()
}

/// Why no request can bear `text` as its credential, or why it is hardly what was meant,
/// where tokens are issued with the prefix `own`.
#[must_use]
pub fn credential_fault(text: &str, own: &str) -> Option<&'static str> {
    if text.is_empty() || text.len() > MAX_LEN as usize {
        Some("it has no bytes, or more than 8192")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("a credential has no blanks, and visible ASCII characters only")
    } else if recognise(text) {
        None
    } else if next_token(text).is_some_and(|token| recognise(&text[token])) {
        Some("it holds a token and more; give the token alone")
    } else if text
        .strip_prefix(own)
        .is_some_and(|rest| rest.starts_with('_'))
    {
        Some("it begins like a token issued here, but its length or checksum is wrong")
    } else {
        None
    }
}

/// `text` without what may be a token, for where it is shown.
#[must_use]
pub fn without_tokens(mut text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    while let Some(token) = next_token(text) {
        shown.push_str(&text[..token.start]);
        shown.push_str("(not repeated)");
        text = &text[token.end..];
    }
    shown + text
}

/// Where the first one is. Its ends are ASCII, so between characters.
fn next_token(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut underscores = (0..bytes.len()).filter(|&at| bytes[at] == b'_');
    underscores.find_map(|at| {
        let (before, after) = (&bytes[..at], &bytes[at + 1..]);
        let is_prefixed = |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let prefix = before.iter().rev().take_while(is_prefixed).count();
        let is_long = after
            .get(..RANDOM_LEN + CHECK_LEN)
            .is_some_and(|rest| rest.iter().all(u8::is_ascii_alphanumeric));
        // As far as it goes: another one may follow at once.
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let rest = after.iter().take_while(is_word).count();
        (prefix >= MIN_PREFIX_LEN && is_long).then(|| at - prefix..at + 1 + rest)
    })
}

/// What a token begins with, without the underscore: `[a-z][a-z0-9]{1,9}`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_prefix(text) {
            Ok(Self(text.into()))
        } else {
            Err(PrefixError)
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not a token prefix.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a token prefix is a lower-case letter and then 1 to 9 lower-case letters or digits")]
pub struct PrefixError;

fn is_prefix(text: &str) -> bool {
    let bytes = text.as_bytes();
    (MIN_PREFIX_LEN..=MAX_PREFIX_LEN).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let mut rest = crc32fast::hash(bytes);
    let mut digits = [0; CHECK_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Fills `characters` with uniform base62 characters.
fn random_base62(characters: &mut [u8]) -> Result<(), RandomError> {
    let mut pool = Zeroizing::new([0_u8; 64]);
    let mut filled = 0;
    while filled < characters.len() {
        random::fill(pool.as_mut_slice())?;
        let drawn = pool.iter().filter_map(|&byte| base62(byte));
        for (slot, character) in characters[filled..].iter_mut().zip(drawn) {
            *slot = character;
            filled += 1;
        }
    }
    Ok(())
}

/// The character a random byte stands for; the last 8 of the 256 values are
/// rejected, since they would make 8 characters likelier than the others.
fn base62(byte: u8) -> Option<u8> {
    (byte < 248).then(|| ALPHABET[usize::from(byte % 62)])
}

#[cfg(test)]
mod tests;
