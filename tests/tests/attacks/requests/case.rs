//! A case of HTTP.

use anyhow::{Context as _, Result};
use serde_json::Value;
use token_agent_tests::{
    ground::{GOOD, REVOKED},
    servers::{Door, Make},
};

use crate::catalogue::{group, text};

/// Bytes to send.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    pub(crate) recipe: &'static str,
    pub(crate) must: &'static str,
    /// Which servers are said to serve the revoked token.
    served: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// The same in parts, if time is to pass between them.
    pub(crate) parts: Vec<Vec<u8>>,
    pub(crate) door: Door,
}

impl Case {
    /// All that are given in bytes, with this valid token.
    pub(crate) fn all(good: &str) -> Result<Vec<Self>> {
        "BCE"
            .chars()
            .flat_map(group)
            .filter(|case| case["raw_b64"].is_string())
            .map(|case| Self::read(case, good).with_context(|| case.to_string()))
            .collect()
    }

    fn read(case: &'static Value, good: &str) -> Result<Self> {
        // No length in them counts a valid token's bytes.
        let bytes = |base64: &str| Ok::<_, anyhow::Error>(replace(&decode(base64)?, GOOD, good));
        let whole = bytes(text(case, "raw_b64"))?;
        let has = |name: &str| String::from_utf8_lossy(&whole).contains(name);
        Ok(Self {
            id: text(case, "id"),
            recipe: text(case, "recipe"),
            must: text(case, "must"),
            served: text(case, "served_revoked_current"),
            parts: case["segs_b64"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|part| bytes(part.as_str().context("a text")?))
                .collect::<Result<_>>()?,
            door: if has("X-API-Key") && !has("Authorization") {
                Door::Keys
            } else {
                Door::Web
            },
            bytes: whole,
        })
    }

    /// With a valid token in place of the revoked one, if that is all that is wrong with it
    /// and no length counts it.
    pub(crate) fn made_honest(mut self, good: &str) -> Option<Self> {
        const ONLY_REVOKED: [&str; 9] = [
            "DROP (revoked token found by RFC-normal parsing",
            "DROP: accept any tchar method",
            "DROP: match the full field name",
            "DROP: scheme match must be case-insensitive",
            "DROP: skip 1*SP",
            "Frame and DROP the second request",
            "Frame exactly, parse the next request, DROP",
            "Keep parsing state over any head size",
            "Skip CRLF/LF between requests then DROP",
        ];
        /// `CONNECT` and userinfo, a head longer than all servers take, a token longer than
        /// the valid one, a bare LF, one request without a token.
        const WRONG_ANYHOW: [&str; 6] = ["B01c", "B11c", "C20f", "C20h", "C22q", "C22s"];
        if self.must.starts_with("PASS") && !self.must.starts_with("PASS/unknown") {
            return Some(self);
        }
        let is_only_revoked = ONLY_REVOKED
            .iter()
            .any(|begin| self.must.starts_with(begin));
        if !is_only_revoked || WRONG_ANYHOW.contains(&self.id) {
            return None;
        }
        self.bytes = replace(&self.bytes, REVOKED, good);
        self.parts.clear();
        Some(self)
    }

    /// Whether this server is said to serve the revoked token.
    pub(crate) fn is_served_by(&self, make: Make) -> bool {
        let code = match make {
            Make::Haproxy => "ha",
            Make::Node => "no",
            Make::Nginx => "ng",
            Make::Python => "ph",
        };
        let named = self.served.split(' ').any(|word| word == code);
        if self.served.starts_with("all but") {
            !named
        } else {
            named || self.served.starts_with("ALL")
        }
    }
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = find(rest, from.as_bytes()) {
        out.extend(&rest[..at]);
        out.extend(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend(rest);
    out
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Base64 (RFC 4648, section 4).
fn decode(text: &str) -> Result<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|&known| known == letter);
        bits = bits << 6 | u32::try_from(value.context("no base64")?)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff)?);
        }
    }
    Ok(bytes)
}
