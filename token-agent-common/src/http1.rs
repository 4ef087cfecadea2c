//! The requests of a connection, one after the other, strictly (RFC 9112).
//!
//! A [`Head`] is fed bytes in order, at any cut, and never looks back: what it
//! must remember is in its few hundred bytes, so it can live in a kernel map
//! and go on in the next segment. It takes apart just what decides: the
//! version, the framing (`Content-Length`, `Transfer-Encoding`), what would end the
//! framing (`Upgrade`, `CONNECT`) or delay it (`Expect`), and the one
//! header that bears the credential, which it hashes as it passes. Everything
//! else is only checked for being HTTP.
//!
//! What follows what:
//!
//! ```text
//!      ┌───────────────────────────────────────────┐
//!      v                                           │
//!   between ───> head ──┬──────────────────────────┤
//!   requests            ├──> body of known length ─┤
//!      ^                └──> size ───> trailers ───┘
//!      │                     ^  │
//! PROXY header      CRLF ────┘  v
//!                     ^────── data of a chunk
//! ```
//!
//! In a body of known length and in a chunk's data bytes are [opaque](Head::opaque), and
//! the caller [passes](Head::pass) over them. All others decide and are [read](Head::read).
//! When a head is [complete](Head::is_complete), its credential is to be
//! [finished](Head::finish) and the request told; then it [goes on](Head::go_on).
//! Between two requests and in opaque bytes a [`Place`] is all there is to remember.
//!
//! A step goes down the phases in the order in which they follow each other in a
//! head, so that an ordinary line takes one.
//!
//! Contract: whatever the bytes are, [`Head::read`] consumes at least one byte
//! or fails, if not at once then when called again; it never panics, and a request it
//! completes has one meaning for every server that follows RFC 9112. Where servers
//! are known to differ, it fails.

mod chunk;
mod credential;
mod field;
mod keyword;
mod place;
mod proxy;
mod request_line;
mod upgrade;

pub use chunk::{CHUNK_LINE_MAX, CHUNK_MAX};
pub use credential::{Charset, CredentialRule};
pub use field::CONTENT_LENGTH_MAX;
pub use place::{Part, Place};
pub use proxy::{PROXY_V1_MAX, PROXY_V2_MAX};

use crate::{
    digest::{Digest, Hasher, KeyWords},
    name::Name,
    opaque,
    reason::Reason,
    window::{Cursor, Input, Window},
};

/// The longest head, and the longest trailers, in bytes from the first to the last: more
/// than any server in common use accepts by default.
pub const HEAD_MAX: u32 = 65_536;

/// The longest method, in bytes. The longest registered one is 17 (UPDATEREDIRECTREF).
pub const METHOD_MAX: u32 = 32;

/// The longest credential, in bytes: a JWT of 8 KiB.
pub const CREDENTIAL_MAX: u32 = crate::digest::MAX_LEN;

/// How many steps are taken in one call: each makes the program some 30,000
/// instructions longer for the verifier, who follows the loop, and more than four
/// gain next to nothing.
const STEPS: u32 = 4;

/// The same for steps of mostly one byte, as many as the shortest chunk's frame has.
const SHORT_STEPS: u32 = 8;

/// Where the next byte stands, in the order in which a step goes through a head, and
/// then what stands around heads. Plain numbers, since the state lives in memory the
/// kernel's verifier takes for unknown.
mod phase {
    /// Before the request line; CRLFs are skipped (RFC 9112, section 2.2).
    pub(super) const START: u32 = 0;
    /// After the CR of such a CRLF.
    pub(super) const START_LF: u32 = 1;
    pub(super) const METHOD: u32 = 2;
    pub(super) const TARGET: u32 = 3;
    pub(super) const VERSION: u32 = 4;
    /// After the version: CR.
    pub(super) const VERSION_CR: u32 = 5;
    /// In a field name, or before the CR of the empty line.
    pub(super) const NAME: u32 = 6;
    /// In a field value that decides nothing.
    pub(super) const VALUE: u32 = 7;
    /// Before the value of the credential header: blanks.
    pub(super) const CREDENTIAL_START: u32 = 8;
    pub(super) const SCHEME: u32 = 9;
    /// Between the scheme and the token, or before a token without scheme: blanks.
    pub(super) const TOKEN_START: u32 = 10;
    pub(super) const TOKEN: u32 = 11;
    pub(super) const PADDING: u32 = 12;
    /// After the token: only blanks.
    pub(super) const TOKEN_END: u32 = 13;
    /// Before the value of a `Content-Length`: blanks.
    pub(super) const LENGTH_START: u32 = 14;
    pub(super) const LENGTH: u32 = 15;
    /// Before the value of a `Transfer-Encoding`: blanks.
    pub(super) const CODING_START: u32 = 16;
    pub(super) const CODING: u32 = 17;
    /// Before the value of an `Upgrade`: blanks.
    pub(super) const UPGRADE_START: u32 = 18;
    pub(super) const UPGRADE: u32 = 19;
    /// Before the value of an `Expect`: blanks.
    pub(super) const EXPECT_START: u32 = 20;
    pub(super) const EXPECT: u32 = 21;
    /// After the value of an `Upgrade` that may be: blanks.
    pub(super) const UPGRADE_END: u32 = 22;
    /// After a value that decides framing: only blanks.
    pub(super) const FRAMING_END: u32 = 23;
    /// After the CR of a line of the head.
    pub(super) const LF: u32 = 24;
    /// After the CR of the empty line.
    pub(super) const END_LF: u32 = 25;
    pub(super) const COMPLETE: u32 = 26;
    /// Complete, and the credential was closed.
    pub(super) const FINISHED: u32 = 27;

    /// In or before the digits of a chunk's size.
    pub(super) const CHUNK_SIZE: u32 = 28;
    pub(super) const CHUNK_EXTENSION: u32 = 29;
    /// After the CR of a chunk's line.
    pub(super) const CHUNK_LF: u32 = 30;
    /// After a chunk's data: CR.
    pub(super) const DATA_CR: u32 = 31;
    pub(super) const DATA_LF: u32 = 32;

    /// Before the header of the PROXY protocol.
    pub(super) const PROXY_START: u32 = 33;
    /// In `PROXY` or the protocol after it.
    pub(super) const PROXY_V1: u32 = 34;
    pub(super) const PROXY_SOURCE: u32 = 35;
    pub(super) const PROXY_DESTINATION: u32 = 36;
    pub(super) const PROXY_FROM_PORT: u32 = 37;
    pub(super) const PROXY_TO_PORT: u32 = 38;
    /// After `UNKNOWN`, up to the line's end.
    pub(super) const PROXY_UNKNOWN: u32 = 39;
    /// After the CR of the header of version 1.
    pub(super) const PROXY_LF: u32 = 40;
    /// In the fixed part of a header of version 2.
    pub(super) const PROXY_V2: u32 = 41;
    /// In the rest of it.
    pub(super) const PROXY_V2_REST: u32 = 42;

    /// In a body of known length; this and what follows is opaque.
    pub(super) const BODY: u32 = 43;
    pub(super) const CHUNK_DATA: u32 = 44;
    /// What is no HTTP any more.
    pub(super) const TUNNEL: u32 = 45;
}

mod seen {
    pub(super) const VERSION_10: u32 = 1 << 0;
    pub(super) const CONTENT_LENGTH: u32 = 1 << 1;
    pub(super) const TRANSFER_ENCODING: u32 = 1 << 2;
    pub(super) const CREDENTIAL_HEADER: u32 = 1 << 3;
    pub(super) const SECOND_CREDENTIAL: u32 = 1 << 4;
    /// The current field's name has another character where it may have a `-`.
    pub(super) const FOLDED: u32 = 1 << 5;
    /// A whole token of the right characters.
    pub(super) const TOKEN: u32 = 1 << 6;
    pub(super) const BAD_TOKEN: u32 = 1 << 7;
    pub(super) const LONG_TOKEN: u32 = 1 << 8;
    pub(super) const UPGRADE: u32 = 1 << 9;
    /// To something else, or twice.
    pub(super) const OTHER_UPGRADE: u32 = 1 << 10;
    pub(super) const EXPECT: u32 = 1 << 11;
    /// It asks for what it may not have; see [`option`](super::option).
    pub(super) const REFUSED: u32 = 1 << 12;
    /// What is read are trailers.
    pub(super) const TRAILERS: u32 = 1 << 13;
}

/// What of the policy the parser needs: where the credential is and how it is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Where the credential is.
    pub credential: &'a CredentialRule,
    /// The key it is hashed with.
    pub key: &'a KeyWords,
    /// See [`option`].
    pub options: u32,
}

/// What a service allows or asks for beyond plain requests: bits of [`Rules::options`].
pub mod option {
    /// A PROXY protocol header, version 1 or 2, stands before a connection's first request.
    pub const PROXY_PROTOCOL: u32 = 1 << 0;
    /// A connection's first request may upgrade it to `websocket` (RFC 6455).
    pub const WEBSOCKET: u32 = 1 << 1;
    /// A connection's first request may be a `CONNECT`.
    pub const CONNECT: u32 = 1 << 2;
    /// A GET or HEAD has no body.
    pub const NO_BODY_ON_GET: u32 = 1 << 3;
}

/// A stream of requests being read, and the head or the frame that it stands in.
#[derive(Debug)]
#[repr(C)]
pub struct Head {
    hasher: Hasher,
    /// The name or scheme being read.
    name: Name,
    /// The version or PROXY header being read.
    literal: u64,
    /// The method's first eight bytes.
    method: u64,
    place: Place,
    /// Bytes read so far of the head or of the trailers, nothing of what stands around
    /// them; while reading, less where the cursor stands.
    len: u32,
    /// Bytes of the element being read.
    count: u32,
}

const _: () = assert!(size_of::<Head>() == 360);

/// `Result<(), Reason>` in one number: what a function in the kernel can return.
#[derive(Clone, Copy)]
struct Packed(u32);

impl Packed {
    const OK: Self = Self(u32::MAX);

    #[inline(always)]
    const fn new(result: Result<(), Reason>) -> Self {
        match result {
            Ok(()) => Self::OK,
            Err(reason) => Self(reason as u32),
        }
    }

    #[inline(always)]
    const fn result(self) -> Result<(), Reason> {
        if self.0 == Self::OK.0 {
            return Ok(());
        }
        match Reason::from_code(self.0 as u8) {
            Some(reason) => Err(reason),
            None => Err(Reason::Malformed),
        }
    }
}

/// A place where the ways through a step meet again. Nothing about the head or the
/// cursor stays in registers across it, so that the kernel's verifier, coming by
/// another way, finds what it has seen before and follows what comes next only once.
#[inline(always)]
fn seam(head: &mut Head, input: &mut Input<'_>) {
    opaque::memory(head);
    opaque::memory(input.cursor);
}

impl Head {
    /// A head of which nothing was read.
    #[must_use]
    pub const fn new(key: &KeyWords) -> Self {
        Self {
            hasher: Hasher::new(key),
            name: Name::EMPTY,
            literal: 0,
            method: 0,
            place: Place::START,
            len: 0,
            count: 0,
        }
    }

    /// Forgets everything, in place: ready for the next head.
    #[inline(always)]
    pub const fn reset(&mut self) {
        self.hasher.stop();
        self.literal = 0;
        self.method = 0;
        self.place = Place::START;
        self.len = 0;
        self.count = 0;
    }

    /// Reads on from `cursor`, which stands before the end of `window`, and moves it. Not
    /// to be called where the next byte is [opaque](Self::opaque).
    ///
    /// # Errors
    /// The reason why this is no request the guard lets pass; where the next
    /// request starts is unknown then.
    #[inline(always)]
    pub fn read(
        &mut self,
        window: &Window,
        cursor: &mut Cursor,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if self.place.phase >= phase::COMPLETE {
            return self.short_steps(window, cursor).result();
        }
        self.steps(window, cursor, rules).result()?;
        if self.place.phase == phase::COMPLETE {
            self.complete(rules.options)?;
        }
        Ok(())
    }

    /// Reads heads and trailers.
    ///
    /// A function of its own in the kernel too, as is `hash`: its stack has
    /// room for one of them at a time.
    #[inline(never)]
    fn steps(&mut self, window: &Window, cursor: &mut Cursor, rules: &Rules<'_>) -> Packed {
        let mut input = Input { window, cursor };
        self.len = self.len.wrapping_sub(input.cursor.at);
        for _ in 0..STEPS {
            if let Err(reason) = self.step(&mut input, rules) {
                return Packed::new(Err(reason));
            }
            if input.is_end(0) || self.place.phase == phase::COMPLETE || self.is_hashing() {
                break;
            }
        }
        self.len = self.len.wrapping_add(input.cursor.at);
        if self.len > HEAD_MAX {
            return Packed::new(Err(Reason::HeadTooLong));
        }
        Packed::OK
    }

    /// Reads what stands around heads: the frames of chunks, and the PROXY header.
    #[inline(never)]
    fn short_steps(&mut self, window: &Window, cursor: &mut Cursor) -> Packed {
        let mut input = Input { window, cursor };
        for _ in 0..SHORT_STEPS {
            seam(self, &mut input);
            let result = match self.place.phase {
                phase::CHUNK_SIZE..=phase::DATA_LF => self.chunk_step(&mut input),
                phase::PROXY_START..=phase::PROXY_V2_REST => self.proxy_step(&mut input),
                // Opaque, or told already: whoever asks has lost track.
                _ => Err(Reason::Undecided),
            };
            if result.is_err() {
                return Packed::new(result);
            }
            if input.is_end(0) || self.place.phase < phase::CHUNK_SIZE || self.is_opaque() {
                break;
            }
        }
        Packed::OK
    }

    /// Goes once through the phases, at most to the end of a line.
    #[inline(always)]
    fn step(&mut self, input: &mut Input<'_>, rules: &Rules<'_>) -> Result<(), Reason> {
        if self.place.phase < phase::NAME {
            self.request_line(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::NAME {
            self.name_step(input, rules)?;
        }
        seam(self, input);
        match self.place.phase {
            phase::VALUE => self.value_step(input),
            phase::CREDENTIAL_START..=phase::TOKEN_END => self.credential_steps(input, rules),
            phase::LENGTH_START..=phase::END_LF => self.framing_steps(input),
            _ => Ok(()),
        }
    }

    /// Whether a request's head was just read, whole.
    #[inline(always)]
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.place.phase == phase::COMPLETE
    }

    /// The length of the body, in bytes. Valid once complete.
    #[inline(always)]
    #[must_use]
    pub const fn content_length(&self) -> u64 {
        self.place.opaque
    }

    /// Whether the body is chunked. Valid once complete.
    #[inline(always)]
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        self.place.seen & seen::TRANSFER_ENCODING != 0
    }

    /// The first eight bytes of the method, zero-padded; zero until the request line
    /// was read: before, they may be of anything.
    #[inline(always)]
    #[must_use]
    pub const fn method(&self) -> [u8; 8] {
        let method = if self.place.phase < phase::NAME {
            0
        } else {
            self.method
        };
        method.to_le_bytes()
    }

    /// Whether [`hash`](Self::hash) must be called before anything else.
    #[inline(always)]
    #[must_use]
    pub const fn is_hashing(&self) -> bool {
        self.hasher.is_busy()
    }

    /// Does one step of hashing the credential.
    #[inline(never)]
    pub fn hash(&mut self) {
        self.hasher.work();
    }

    /// Closes the credential, if there is one to be judged. Call it once, when
    /// complete, then [`hash`](Self::hash) while [`is_hashing`](Self::is_hashing).
    #[inline(always)]
    pub fn finish(&mut self) {
        if self.fault().is_none() {
            self.hasher.finish();
        }
        self.place.phase = phase::FINISHED;
    }

    /// Whether the credential was closed.
    #[inline(always)]
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.place.phase == phase::FINISHED
    }

    /// The digest of the credential, when finished.
    ///
    /// # Errors
    /// Why there is none, or why the request is refused whatever its credential.
    #[inline(always)]
    pub fn credential(&self) -> Result<Digest, Reason> {
        match self.fault() {
            Some(reason) => Err(reason),
            None => Ok(self.hasher.digest()),
        }
    }

    #[inline(always)]
    const fn fault(&self) -> Option<Reason> {
        const FAULTS: u32 =
            seen::REFUSED | seen::SECOND_CREDENTIAL | seen::LONG_TOKEN | seen::BAD_TOKEN;
        if self.place.seen & (FAULTS | seen::TOKEN) == seen::TOKEN {
            None
        } else if self.place.seen & seen::REFUSED != 0 {
            Some(Reason::UpgradeRefused)
        } else if self.place.seen & seen::SECOND_CREDENTIAL != 0 {
            Some(Reason::DuplicateCredential)
        } else if self.place.seen & seen::LONG_TOKEN != 0 {
            Some(Reason::CredentialTooLong)
        } else if self.place.seen & seen::BAD_TOKEN != 0 {
            Some(Reason::MalformedToken)
        } else {
            Some(Reason::Missing)
        }
    }
}

#[cfg(test)]
mod tests;
