//! Header fields (RFC 9112, section 5), and the two that frame the body (section 6).

use super::{Head, Packed, Rules, View, phase, seen};
use crate::{name::Name, reason::Reason, swar};

const fn name(text: &str) -> Name {
    match Name::new(text) {
        Some(name) => name,
        None => panic!("too long for a name"),
    }
}

const CONTENT_LENGTH: Name = name("content-length");
const TRANSFER_ENCODING: Name = name("transfer-encoding");
const CHUNKED: u64 = u64::from_le_bytes(*b"chunked\0");

impl Head {
    #[inline(never)]
    pub(super) fn fields(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Packed {
        Packed::new(self.read_fields(view, rules))
    }

    #[inline(always)]
    fn read_fields(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Result<u32, Reason> {
        if let phase::LENGTH_START
        | phase::CODING_START
        | phase::CREDENTIAL_START
        | phase::TOKEN_START = self.phase
        {
            let blanks = swar::leading(swar::blank(view.word())).min(view.available);
            if blanks < 8 && blanks < view.available {
                self.phase = match self.phase {
                    phase::LENGTH_START => phase::LENGTH,
                    phase::CODING_START => phase::CODING,
                    phase::CREDENTIAL_START => phase::SCHEME,
                    _ => phase::TOKEN,
                };
            }
            if blanks > 0 || self.phase >= phase::SCHEME {
                return Ok(blanks);
            }
        }
        match self.phase {
            phase::NAME => {
                let used = self.name_step(view, rules)?;
                // Nearly every field ends up here: go on in the same step.
                if self.phase == phase::VALUE && used < view.available {
                    let rest = View {
                        window: view.window,
                        at: view.at.wrapping_add(used),
                        available: view.available - used,
                    };
                    return Ok(used + self.value_step(&rest)?);
                }
                Ok(used)
            }
            phase::VALUE => self.value_step(view),
            phase::LF => match view.byte_at(0) {
                b'\n' => {
                    self.begin_field();
                    Ok(1)
                }
                _ => Err(Reason::Malformed),
            },
            phase::END_LF => match view.byte_at(0) {
                b'\n' => {
                    self.phase = phase::COMPLETE;
                    Ok(1)
                }
                _ => Err(Reason::Malformed),
            },
            phase::LENGTH => self.length_step(view),
            phase::CODING => self.coding_step(view),
            phase::FRAMING_END => self.framing_end_step(view),
            _ => Err(Reason::Malformed),
        }
    }

    #[inline(always)]
    pub(super) const fn begin_field(&mut self) {
        self.phase = phase::NAME;
        self.count = 0;
        self.seen &= !seen::UNDERSCORE;
        self.name.clear();
    }

    #[inline(always)]
    fn name_step(&mut self, view: &View<'_>, rules: &Rules<'_>) -> Result<u32, Reason> {
        let word = view.word();
        let run = swar::leading(swar::common_name(word)).min(view.available);
        // Letters, digits and `-` all lose their case this way.
        self.name.append(word | swar::LOWER, run);
        if run == 8 || run == view.available {
            return Ok(run);
        }
        let stop = view.byte_at(run);
        match stop {
            b':' if !self.name.is_empty() => {
                self.count = 0;
                self.begin_value(rules)?;
            }
            b'\r' if self.name.is_empty() => {
                self.phase = phase::END_LF;
                if view.crlf_at(run) {
                    self.phase = phase::COMPLETE;
                    return Ok(run + 2);
                }
            }
            // CGI-style gateways make no difference between the two.
            b'_' => {
                self.seen |= seen::UNDERSCORE;
                self.name.append(u64::from(b'-'), 1);
            }
            _ if swar::is_tchar(stop) => self.name.append(u64::from(stop), 1),
            // A blank before the colon, a folded line, a control character.
            _ => return Err(Reason::Malformed),
        }
        Ok(run + 1)
    }

    /// What the name asks for.
    #[inline(always)]
    fn begin_value(&mut self, rules: &Rules<'_>) -> Result<(), Reason> {
        self.phase = phase::VALUE;
        if self.name.is(&CONTENT_LENGTH) {
            self.framing_header(seen::CONTENT_LENGTH)?;
            self.phase = phase::LENGTH_START;
        } else if self.name.is(&TRANSFER_ENCODING) {
            self.framing_header(seen::TRANSFER_ENCODING)?;
            if self.seen & seen::VERSION_10 != 0 {
                return Err(Reason::Malformed);
            }
            self.literal = 0;
            self.phase = phase::CODING_START;
        } else if self.name.is(&rules.credential.header) {
            if self.seen & seen::UNDERSCORE != 0 {
                return Err(Reason::Malformed);
            }
            if self.seen & seen::CREDENTIAL_HEADER != 0 {
                self.seen |= seen::SECOND_CREDENTIAL;
            } else {
                self.seen |= seen::CREDENTIAL_HEADER;
                self.phase = rules.credential.first_phase();
                self.name.clear();
            }
        }
        Ok(())
    }

    /// At most one of the two headers, once, and not spelled with `_`.
    #[inline(always)]
    fn framing_header(&mut self, which: u32) -> Result<(), Reason> {
        const EITHER: u32 = seen::CONTENT_LENGTH | seen::TRANSFER_ENCODING;
        if self.seen & (EITHER | seen::UNDERSCORE) != 0 {
            return Err(Reason::Malformed);
        }
        self.seen |= which;
        Ok(())
    }

    /// Passes over a value up to its end.
    #[inline(always)]
    fn value_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let run = swar::leading_of::<4>(|i| swar::field_value(view.word_at(i * 8)));
        let run = run.min(view.available);
        if run == 32 || run == view.available {
            return Ok(run);
        }
        if view.crlf_at(run) {
            self.begin_field();
            return Ok(run + 2);
        }
        match view.byte_at(run) {
            b'\r' => self.phase = phase::LF,
            b'\t' => {}
            _ => return Err(Reason::Malformed),
        }
        Ok(run + 1)
    }

    /// Digits only, 64-bit, no overflow (RFC 9112, section 6.3, and RFC 9110, section 8.6).
    #[inline(always)]
    fn length_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let byte = view.byte_at(0);
        if byte.is_ascii_digit() {
            if self.content_length > (u64::MAX - 9) / 10 {
                return Err(Reason::Malformed);
            }
            self.content_length = self.content_length * 10 + u64::from(byte - b'0');
            self.count = 1;
            return Ok(1);
        }
        if self.count == 0 {
            return Err(Reason::Malformed);
        }
        self.framing_end_step(view)
    }

    /// Exactly `chunked`: every other list of codings is read differently by some server.
    #[inline(always)]
    fn coding_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let byte = view.byte_at(0);
        if byte.is_ascii_alphabetic() && self.count < 8 {
            self.literal |= u64::from(byte | 0x20) << (self.count * 8);
            self.count += 1;
            return Ok(1);
        }
        if self.literal != CHUNKED {
            return Err(Reason::Malformed);
        }
        self.framing_end_step(view)
    }

    #[inline(always)]
    fn framing_end_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        self.phase = match view.byte_at(0) {
            b' ' | b'\t' => phase::FRAMING_END,
            b'\r' => phase::LF,
            _ => return Err(Reason::Malformed),
        };
        Ok(1)
    }
}
