//! The header that bears the credential (RFC 9110, section 11.6.2; RFC 6750, section 2.1).
//!
//! A bad credential does not end the parse: the head is framed all the same,
//! and the reason is told when it is complete.

use bytemuck::{Pod, Zeroable};

use super::{CREDENTIAL_MAX, Head, Rules, field::DECIDING_LENGTHS, phase, seam, seen};
use crate::{
    name::Name,
    reason::Reason,
    swar,
    window::{Input, TEXT_MAX},
};

/// Which bytes a token may have. Servers strip 0xa0, 0x85 and padding, so
/// nothing of that kind may slip by as another token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charset {
    /// A b64token: letters, digits, `-._~+/`, then any number of `=`.
    B64Token,
    /// Visible ASCII, 0x21 to 0x7e.
    Visible,
}

/// Where a service's credential is found.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct CredentialRule {
    pub(super) header: Name,
    scheme: Name,
    visible: u64,
    /// The lengths, as bits, of names that may decide.
    lengths: u64,
    start: Start,
}

impl CredentialRule {
    /// The credential in `header`, after `scheme` unless that is empty.
    ///
    /// The header's name is made of letters, digits and `-`, and is none that frames a request: the configuration takes
    /// no other. With another, the ways to read a head could differ in what they make of it.
    #[must_use]
    pub const fn new(header: Name, scheme: Name, charset: Charset) -> Self {
        Self {
            header,
            scheme,
            visible: matches!(charset, Charset::Visible) as u64,
            lengths: DECIDING_LENGTHS | 1u64.wrapping_shl(header.len() as u32),
            start: Start::new(&header, &scheme),
        }
    }

    #[inline(always)]
    pub(super) const fn first_phase(&self) -> u32 {
        if self.scheme.is_empty() {
            phase::TOKEN_START
        } else {
            phase::CREDENTIAL_START
        }
    }

    /// Whether a header with a name of `len` (0 to 16) bytes may be one that decides.
    #[inline(always)]
    pub(super) const fn may_decide(&self, len: u32) -> bool {
        (self.lengths >> len) & 1 != 0
    }

    /// The bytes of `word` a token may have, padding aside.
    #[inline(always)]
    const fn class(&self, word: u64) -> u64 {
        if self.visible != 0 {
            swar::visible(word)
        } else {
            swar::b64token(word)
        }
    }
}

/// What stands before the token of a line of the common kind, as in `Authorization: Bearer `, to be compared at once.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
struct Start {
    /// The bytes, letters in lower case; behind the last one they are 0xff.
    bytes: [u64; START_WORDS],
    /// The bits to set in a line's bytes before they are compared: where letters stand those that differ by case, and
    /// behind the last byte all.
    fold: [u64; START_WORDS],
    /// How many bytes there are; 0 if they are too many.
    len: u64,
}

/// Enough for the above.
const START_WORDS: usize = 3;

impl Start {
    const NONE: Self = Self {
        bytes: [u64::MAX; START_WORDS],
        fold: [u64::MAX; START_WORDS],
        len: 0,
    };

    const fn new(header: &Name, scheme: &Name) -> Self {
        let mut start = Self::NONE.with(header).with_byte(b':').with_byte(b' ');
        if !scheme.is_empty() {
            start = start.with(scheme).with_byte(b' ');
        }
        if start.len as usize > size_of::<[u64; START_WORDS]>() {
            return Self::NONE;
        }
        start
    }

    const fn with(mut self, name: &Name) -> Self {
        let mut i = 0;
        while i < name.len() {
            self = self.with_byte(name.byte(i));
            i += 1;
        }
        self
    }

    /// The same and one more byte, which is only counted where there is no room.
    const fn with_byte(mut self, byte: u8) -> Self {
        let (index, shift) = (self.len as usize / 8, self.len % 8 * 8);
        if index < START_WORDS {
            let fold = if byte.is_ascii_lowercase() { 0x20 } else { 0 };
            self.bytes[index] ^= (0xff ^ byte as u64) << shift;
            self.fold[index] ^= (0xff ^ fold) << shift;
        }
        self.len += 1;
        self
    }

    /// Whether this is what stands there.
    #[inline(always)]
    fn is_at(&self, input: &Input<'_>) -> bool {
        let mut difference = 0;
        let mut i = 0;
        while i < START_WORDS {
            difference |= (input.word_ahead(i) | self.fold[i]) ^ self.bytes[i];
            i += 1;
        }
        difference == 0 && self.len != 0
    }
}

impl Head {
    /// Reads a whole line with a credential, of the common kind: the way of most. False, and nothing changed, if it is
    /// another.
    #[inline(always)]
    pub(super) fn credential_at_once(&mut self, input: &mut Input<'_>, rules: &Rules<'_>) -> bool {
        const UNFIT: u32 = seen::CREDENTIAL_HEADER | seen::TRAILERS;
        let start = &rules.credential.start;
        if self.place.seen & UNFIT != 0 || !start.is_at(input) {
            return false;
        }
        let token = start.len as u32;
        let len = input.text_behind(token);
        if len.wrapping_sub(1) >= TEXT_MAX
            || !input.is_crlf(token + len)
            || !input.all(token, len, swar::common_token)
        {
            return false;
        }
        let at = input.cursor.at.wrapping_add(token);
        self.hasher.start(rules.key, input.window, at, len);
        self.place.seen |= seen::CREDENTIAL_HEADER | seen::TOKEN;
        input.consume(token + len + 2);
        self.begin_field();
        true
    }

    /// The phases of the credential header's value.
    #[inline(always)]
    pub(super) fn credential_steps(
        &mut self,
        input: &mut Input<'_>,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if self.place.phase == phase::CREDENTIAL_START {
            self.blanks_step(input);
        }
        seam(self, input);
        if self.place.phase == phase::SCHEME {
            self.scheme_step(input, rules.credential)?;
        }
        seam(self, input);
        if self.place.phase == phase::TOKEN_START {
            self.blanks_step(input);
        }
        seam(self, input);
        if self.place.phase == phase::TOKEN {
            self.token_step(input, rules)?;
        }
        seam(self, input);
        if self.place.phase == phase::PADDING {
            self.padding_step(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::TOKEN_END {
            self.token_end_step(input)?;
        }
        Ok(())
    }

    /// The scheme is case-insensitive; another one than asked for is no credential.
    #[inline(always)]
    fn scheme_step(&mut self, input: &mut Input<'_>, rule: &CredentialRule) -> Result<(), Reason> {
        let word = input.word(0);
        let run = swar::leading(swar::plain_name(word));
        self.name.append(word | swar::LOWER, run);
        let mut used = run;
        if run < 8 {
            let stop = input.byte(run);
            match stop {
                b' ' | b'\t' => {
                    self.place.phase = if self.name.is(&rule.scheme) {
                        phase::TOKEN_START
                    } else {
                        phase::VALUE
                    };
                    used += 1;
                }
                b'\r' => {
                    self.end_line(input, run);
                    return Ok(());
                }
                _ if swar::is_tchar(stop) => {
                    self.name.append(u64::from(stop), 1);
                    used += 1;
                }
                _ if input.is_end(run) => {}
                _ => return self.bad_token(input, run),
            }
        }
        input.consume(used);
        Ok(())
    }

    #[inline(always)]
    fn token_step(&mut self, input: &mut Input<'_>, rules: &Rules<'_>) -> Result<(), Reason> {
        if self.count == 0 {
            self.hasher.reset(rules.key);
        }
        let run = swar::leading_of::<8>(|i| rules.credential.class(input.word_ahead(i)));
        if self.take(input, run) < run || run == 64 {
            // One that is full and not the last is closed at once, not by a step of its own.
            let more = swar::leading(rules.credential.class(input.word(0)));
            if self.hasher.room() == 0 && more > 0 {
                self.hasher.make_room();
            }
            return Ok(());
        }
        match input.byte(0) {
            b'=' if self.count > 0 => self.place.phase = phase::PADDING,
            b'\r' if self.count == 0 => self.end_line(input, 0),
            _ if input.is_end(0) => {}
            _ if self.count == 0 => return self.bad_token(input, 0),
            _ => {
                self.place.seen |= seen::TOKEN;
                self.place.phase = phase::TOKEN_END;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn padding_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = swar::leading(swar::equal(input.word(0), b'='));
        if self.take(input, run) == run && run < 8 && !input.is_end(0) {
            self.place.seen |= seen::TOKEN;
            self.place.phase = phase::TOKEN_END;
        }
        Ok(())
    }

    /// What may follow a token: blanks and the end of the line.
    #[inline(always)]
    fn token_end_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = swar::leading(swar::blank(input.word(0)));
        match input.byte(run) {
            _ if run == 8 => input.consume(run),
            b'\r' => self.end_line(input, run),
            _ if input.is_end(run) => input.consume(run),
            _ => return self.bad_token(input, run),
        }
        Ok(())
    }

    /// Takes at most `count` bytes to be hashed and says how many; none of a
    /// credential that is too long.
    #[inline(always)]
    fn take(&mut self, input: &mut Input<'_>, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.count + count > CREDENTIAL_MAX {
            self.place.seen |= seen::LONG_TOKEN;
            self.place.phase = phase::VALUE;
            return 0;
        }
        let room = self.hasher.room();
        if room == 0 {
            // Nothing is consumed, but the hasher has work to do.
            self.hasher.make_room();
            return 0;
        }
        let count = count.min(room);
        self.hasher.push(input.window, input.cursor.at, count);
        self.count += count;
        input.consume(count);
        count
    }

    /// The byte at `offset` has no place in a token; it may in a field value.
    #[inline(always)]
    fn bad_token(&mut self, input: &mut Input<'_>, offset: u32) -> Result<(), Reason> {
        let stop = input.byte(offset);
        if stop < 0x20 || stop == 0x7f {
            return Err(Reason::Malformed);
        }
        self.place.seen |= seen::BAD_TOKEN;
        self.place.phase = phase::VALUE;
        input.consume(offset + 1);
        Ok(())
    }
}
