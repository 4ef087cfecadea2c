//! The header that bears the credential (RFC 9110, section 11.6.2; RFC 6750, section 2.1).
//!
//! A bad credential does not end the parse: the head is framed all the same,
//! and the reason is told when it is complete.

use bytemuck::{Pod, Zeroable};

use super::{CREDENTIAL_MAX, Head, Rules, field::line_start, phase, seam, seen};
use crate::{name::Name, reason::Reason, swar, window::Input};

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
}

impl CredentialRule {
    /// The credential in `header`, after `scheme` unless that is empty.
    #[must_use]
    pub const fn new(header: Name, scheme: Name, charset: Charset) -> Self {
        Self {
            header,
            scheme,
            visible: matches!(charset, Charset::Visible) as u64,
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

impl Head {
    /// Reads a whole line with a credential, of the common kind: the way of most. False, and nothing changed, if it is
    /// another.
    #[inline(always)]
    pub(super) fn credential_at_once(&mut self, input: &mut Input<'_>, rules: &Rules<'_>) -> bool {
        let Rules {
            credential: rule,
            key,
            ..
        } = rules;
        const UNFIT: u32 = seen::CREDENTIAL_HEADER | seen::TRAILERS;
        if self.place.seen & UNFIT != 0 {
            return false;
        }
        let (words, header) = line_start(input);
        if !rule.header.is_start(words, header)
            || input.word(header) as u16 != u16::from_le_bytes(*b": ")
        {
            return false;
        }
        let mut token = header + 2;
        if !rule.scheme.is_empty() {
            let word = input.word(token);
            let scheme = swar::leading(swar::common_name(word));
            if !rule.scheme.is_start([word, 0], scheme) || input.byte(token + scheme) != b' ' {
                return false;
            }
            token += scheme + 1;
        }
        let len = swar::leading_of::<8>(|i| swar::common_token(input.word_behind(token, i)));
        // Bytes of a kind each, up to the last: so none of them is behind the window's end.
        if len.wrapping_sub(1) >= 63 || !input.is_crlf(token + len) {
            return false;
        }
        let at = input.cursor.at.wrapping_add(token);
        self.hasher.start(key, input.window, at, len);
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
        let run = swar::leading(swar::common_name(word));
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
