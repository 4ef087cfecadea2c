//! The header that bears the credential (RFC 9110, section 11.6.2; RFC 6750, section 2.1).
//!
//! A bad credential does not end the parse: the head is framed all the same,
//! and the reason is told when it is complete.

use bytemuck::{Pod, Zeroable};

use super::{CREDENTIAL_MAX, Head, Packed, Rules, View, phase, seen};
use crate::{name::Name, reason::Reason, swar};

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
    #[inline(never)]
    pub(super) fn credential_step(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Packed {
        Packed::new(self.read_credential(view, rules))
    }

    #[inline(always)]
    fn read_credential(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Result<u32, Reason> {
        match self.phase {
            phase::SCHEME => self.scheme_step(view, rules.credential),
            phase::TOKEN => self.token_step(view, rules),
            phase::PADDING => self.padding_step(view),
            phase::TOKEN_END => {
                let run = swar::leading(swar::blank(view.word())).min(view.available);
                if run == 8 || run == view.available {
                    return Ok(run);
                }
                self.after_credential(view, run)
            }
            _ => Err(Reason::Malformed),
        }
    }

    /// The scheme is case-insensitive; another one than asked for is no credential.
    #[inline(always)]
    fn scheme_step(&mut self, view: &View<'_>, rule: &CredentialRule) -> Result<u32, Reason> {
        let word = view.word();
        let run = swar::leading(swar::common_name(word)).min(view.available);
        self.name.append(word | swar::LOWER, run);
        if run == 8 || run == view.available {
            return Ok(run);
        }
        let stop = view.byte_at(run);
        match stop {
            b' ' | b'\t' => {
                self.phase = if self.name.is(&rule.scheme) {
                    phase::TOKEN_START
                } else {
                    phase::VALUE
                };
                Ok(run + 1)
            }
            b'\r' => self.end_line(view, run),
            _ if swar::is_tchar(stop) => {
                self.name.append(u64::from(stop), 1);
                Ok(run + 1)
            }
            _ => self.bad_token(view, run),
        }
    }

    #[inline(always)]
    fn token_step(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Result<u32, Reason> {
        if self.count == 0 {
            self.hasher.reset(rules.key);
        }
        let run = swar::leading_of::<8>(|i| rules.credential.class(view.word_at(i * 8)));
        let run = run.min(view.available);
        let taken = self.take(view, run);
        if taken < run || run == 64 || run == view.available {
            return Ok(taken);
        }
        match view.byte_at(run) {
            b'=' if self.count > 0 => {
                self.phase = phase::PADDING;
                if run > 0 {
                    Ok(run)
                } else {
                    self.padding_step(view)
                }
            }
            b'\r' if self.count == 0 => self.end_line(view, run),
            _ if self.count == 0 => self.bad_token(view, run),
            _ => {
                self.seen |= seen::TOKEN;
                self.after_credential(view, run)
            }
        }
    }

    #[inline(always)]
    fn padding_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let run = swar::leading(swar::equal(view.word(), b'=')).min(view.available);
        let taken = self.take(view, run);
        if taken < run || run == 8 || run == view.available {
            return Ok(taken);
        }
        self.seen |= seen::TOKEN;
        self.after_credential(view, run)
    }

    /// Takes at most `count` bytes to be hashed and says how many; none of a
    /// credential that is too long.
    #[inline(always)]
    fn take(&mut self, view: &View<'_>, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.count + count > CREDENTIAL_MAX {
            self.seen |= seen::LONG_TOKEN;
            self.phase = phase::VALUE;
            // One byte: fewer than asked for, so that the caller stops here.
            return count.min(1);
        }
        let room = self.hasher.room();
        if room == 0 {
            // Nothing is consumed, but the hasher has work to do.
            self.hasher.make_room();
            return 0;
        }
        let count = count.min(room);
        self.hasher.push(view.window, view.at, count);
        self.count += count;
        count
    }

    /// What may follow a token: blanks and the end of the line.
    #[inline(always)]
    fn after_credential(&mut self, view: &View<'_>, offset: u32) -> Result<u32, Reason> {
        match view.byte_at(offset) {
            b'\r' => self.end_line(view, offset),
            b' ' | b'\t' => {
                self.phase = phase::TOKEN_END;
                Ok(offset + 1)
            }
            _ => self.bad_token(view, offset),
        }
    }

    /// The byte at `offset` has no place in a token; it may in a field value.
    #[inline(always)]
    fn bad_token(&mut self, view: &View<'_>, offset: u32) -> Result<u32, Reason> {
        let stop = view.byte_at(offset);
        if stop < 0x20 || stop == 0x7f {
            return Err(Reason::Malformed);
        }
        self.seen |= seen::BAD_TOKEN;
        self.phase = phase::VALUE;
        Ok(offset + 1)
    }

    /// The byte at `offset` is the line's CR.
    #[inline(always)]
    fn end_line(&mut self, view: &View<'_>, offset: u32) -> Result<u32, Reason> {
        if view.crlf_at(offset) {
            self.begin_field();
            return Ok(offset + 2);
        }
        self.phase = phase::LF;
        Ok(offset + 1)
    }
}
