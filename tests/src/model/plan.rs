//! What a client has to say: a stream of requests, and other versions of it.
//!
//! The versions have the same length and differ at [`Site`]s, so that a piece of one fits between
//! pieces of another: a revoked token for a valid one, a request for a body, another length.

mod requests;
mod text;

use serde::{Deserialize, Serialize};

use super::random::Random;

/// A stream in its versions.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plan {
    /// The first version.
    #[serde(with = "text")]
    pub bytes: Vec<u8>,
    /// Where others differ; they may overlap.
    pub sites: Vec<Site>,
    /// Where it may matter how the stream is cut.
    #[serde(default)]
    pub marks: Vec<usize>,
}

/// A kind of request that there is more of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Favourite {
    /// With a body that waits to be asked for.
    Expecting,
    /// That asks for another protocol.
    Upgrade,
    /// With a body in chunks.
    Chunked,
    /// With a long head.
    Long,
}

/// A place where versions differ.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Site {
    /// Where it starts.
    pub at: usize,
    /// What another version has there.
    #[serde(with = "text")]
    pub other: Vec<u8>,
}

impl Plan {
    /// Short requests with much that could go wrong about them, some of them of a favoured kind.
    #[must_use]
    pub fn attack(random: &mut Random, favourite: Option<Favourite>) -> Self {
        let mut plan = Self::default();
        for number in 0..random.between(1, 4) {
            plan.marks.push(plan.bytes.len());
            match favourite {
                Some(favourite) if random.percent(70) => {
                    requests::favourite(&mut plan, random, number, favourite);
                }
                Some(_) | None => requests::attack(&mut plan, random, number),
            }
        }
        plan.sites.truncate(u32::BITS as usize);
        for site in &plan.sites {
            plan.marks.extend([site.at, site.at + site.other.len()]);
        }
        plan.marks.push(plan.bytes.len());
        plan
    }

    /// Requests as they should be, of at most about that many bytes.
    #[must_use]
    pub fn honest(random: &mut Random, size: usize) -> Self {
        let mut plan = Self::default();
        let mut number = 0;
        while plan.bytes.len() < size && number < 20 {
            plan.marks.push(plan.bytes.len());
            let room = size - plan.bytes.len();
            requests::honest(&mut plan, random, number, room);
            number += 1;
        }
        plan
    }

    /// `len` bytes from `at` on, in the version that has the other bytes at the sites whose bit is set in
    /// `version`. Where there is no stream, there are dots.
    #[must_use]
    pub fn text(&self, at: i64, len: usize, version: u32) -> Vec<u8> {
        let mut text: Vec<u8> = (at..at + len as i64)
            .map(|i| usize::try_from(i).ok().and_then(|i| self.bytes.get(i)))
            .map(|byte| *byte.unwrap_or(&b'.'))
            .collect();
        for (bit, site) in self.sites.iter().enumerate() {
            if version >> bit & 1 == 0 {
                continue;
            }
            for (i, &byte) in site.other.iter().enumerate() {
                let place = (site.at + i) as i64 - at;
                if let Some(place) = usize::try_from(place).ok().and_then(|i| text.get_mut(i)) {
                    *place = byte;
                }
            }
        }
        text
    }

    /// Appends, with another version of it.
    fn site(&mut self, text: impl AsRef<[u8]>, other: impl AsRef<[u8]>) {
        let (text, other) = (text.as_ref(), other.as_ref());
        debug_assert_eq!(text.len(), other.len());
        self.sites.push(Site {
            at: self.bytes.len(),
            other: other.to_vec(),
        });
        self.push(text);
    }

    fn push(&mut self, text: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(text.as_ref());
    }

    fn mark(&mut self) {
        self.marks.push(self.bytes.len());
    }
}
