//! Header fields (RFC 9112, section 5), and the two that frame the body (section 6).

use super::{Head, Rules, phase, seen};
use crate::{
    name::Name,
    reason::Reason,
    swar,
    window::{Input, TEXT_MAX},
};

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
    /// The phases of the fields that frame the body, and of the LF behind any line.
    #[inline(always)]
    pub(super) fn framing_steps(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        if self.phase == phase::LENGTH_START || self.phase == phase::CODING_START {
            self.blanks_step(input);
        }
        let byte = input.byte(0);
        if input.is_end(0) {
            return Ok(());
        }
        match self.phase {
            phase::LENGTH => self.length_step(byte)?,
            phase::CODING => self.coding_step(byte)?,
            phase::FRAMING_END => self.framing_end_step(byte)?,
            phase::LF if byte == b'\n' => self.begin_field(),
            phase::END_LF if byte == b'\n' => self.phase = phase::COMPLETE,
            // Blanks, of which there are more.
            phase::LENGTH_START | phase::CODING_START => return Ok(()),
            _ => return Err(Reason::Malformed),
        }
        input.consume(1);
        Ok(())
    }

    /// Passes over the blanks before a value, and enters its phase, the next one, when there is a byte of it.
    #[inline(always)]
    pub(super) fn blanks_step(&mut self, input: &mut Input<'_>) {
        let run = swar::leading(swar::blank(input.word(0)));
        input.consume(run);
        if run < 8 && !input.is_end(0) {
            self.phase += 1;
        }
    }

    #[inline(always)]
    pub(super) const fn begin_field(&mut self) {
        self.phase = phase::NAME;
        self.count = 0;
        self.seen &= !seen::UNDERSCORE;
        self.name.clear();
    }

    /// Ends the line at `offset`, where its CR is.
    #[inline(always)]
    pub(super) fn end_line(&mut self, input: &mut Input<'_>, offset: u32) {
        if input.is_crlf(offset) {
            input.consume(offset + 2);
            self.begin_field();
        } else {
            input.consume(offset + 1);
            self.phase = phase::LF;
        }
    }

    #[inline(always)]
    pub(super) fn name_step(
        &mut self,
        input: &mut Input<'_>,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        let words = [input.word(0), input.word_ahead(1)];
        let run = swar::leading_of::<2>(|i| swar::common_name(words[i & 1]));
        if self.passes_over(input, run, rules) {
            return Ok(());
        }
        // Letters, digits and `-` all lose their case this way.
        self.name
            .append_two(words.map(|word| word | swar::LOWER), run);
        let mut used = run;
        if run < 16 {
            let stop = input.byte(run);
            used += 1;
            match stop {
                b':' if !self.name.is_empty() => {
                    self.count = 0;
                    self.begin_value(rules)?;
                }
                b'\r' if self.name.is_empty() => {
                    self.phase = phase::END_LF;
                    if input.is_crlf(run) {
                        self.phase = phase::COMPLETE;
                        used += 1;
                    }
                }
                // CGI-style gateways make no difference between the two.
                b'_' => {
                    self.seen |= seen::UNDERSCORE;
                    self.name.append(u64::from(b'-'), 1);
                }
                _ if swar::is_tchar(stop) => self.name.append(u64::from(stop), 1),
                _ if input.is_end(run) => used = run,
                // A blank before the colon, a folded line, a control character.
                _ => return Err(Reason::Malformed),
            }
        }
        input.consume(used);
        Ok(())
    }

    /// Passes over the whole line if its name has `len` bytes and no name that
    /// decides anything has as many: the way of most lines.
    #[inline(always)]
    fn passes_over(&self, input: &mut Input<'_>, len: u32, rules: &Rules<'_>) -> bool {
        // A name goes on behind 15 bytes, as that of a `Transfer-Encoding` does.
        if !self.name.is_empty()
            || len.wrapping_sub(1) >= 15
            || CONTENT_LENGTH.has_len(len)
            || rules.credential.header.has_len(len)
            || input.byte(len) != b':'
        {
            return false;
        }
        let end = input.text();
        let is_line = input.is_crlf(end);
        if is_line {
            input.consume(end + 2);
        }
        is_line
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
    pub(super) fn value_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = input.text();
        let mut used = run;
        if run < TEXT_MAX {
            match input.byte(run) {
                b'\r' => {
                    self.end_line(input, run);
                    return Ok(());
                }
                b'\t' => used += 1,
                _ if input.is_end(run) => {}
                _ => return Err(Reason::Malformed),
            }
        }
        input.consume(used);
        Ok(())
    }

    /// Digits only, 64-bit, no overflow (RFC 9112, section 6.3, and RFC 9110, section 8.6).
    #[inline(always)]
    fn length_step(&mut self, byte: u8) -> Result<(), Reason> {
        if byte.is_ascii_digit() {
            if self.content_length > (u64::MAX - 9) / 10 {
                return Err(Reason::Malformed);
            }
            self.content_length = self.content_length * 10 + u64::from(byte - b'0');
            self.count = 1;
            return Ok(());
        }
        if self.count == 0 {
            return Err(Reason::Malformed);
        }
        self.framing_end_step(byte)
    }

    /// Exactly `chunked`: every other list of codings is read differently by some server.
    #[inline(always)]
    fn coding_step(&mut self, byte: u8) -> Result<(), Reason> {
        if byte.is_ascii_alphabetic() && self.count < 8 {
            self.literal |= u64::from(byte | 0x20) << (self.count * 8);
            self.count += 1;
            return Ok(());
        }
        if self.literal != CHUNKED {
            return Err(Reason::Malformed);
        }
        self.framing_end_step(byte)
    }

    #[inline(always)]
    fn framing_end_step(&mut self, byte: u8) -> Result<(), Reason> {
        self.phase = match byte {
            b' ' | b'\t' => phase::FRAMING_END,
            b'\r' => phase::LF,
            _ => return Err(Reason::Malformed),
        };
        Ok(())
    }
}
