//! Header and trailer fields (RFC 9112, section 5), and those that decide: the two that
//! frame the body (section 6), `Upgrade` and `Expect`.

use super::{CredentialRule, Head, Rules, phase, seen};
use crate::{
    name::Name,
    reason::Reason,
    swar,
    window::{Cursor, Input, TEXT_MAX},
};

/// The longest body with a `Content-Length`, in bytes: what fits a signed number of 64
/// bits, as which many a server takes it.
pub const CONTENT_LENGTH_MAX: u64 = i64::MAX as u64;

/// How many lines are passed over in one step.
const LINES: u32 = 8;

const fn name(text: &str) -> Name {
    match Name::new(text) {
        Some(name) => name,
        None => panic!("too long for a name"),
    }
}

const CONTENT_LENGTH: Name = name("content-length");
const TRANSFER_ENCODING: Name = name("transfer-encoding");
const UPGRADE: Name = name("upgrade");
const EXPECT: Name = name("expect");

/// The lengths, as bits, of names that may decide, whatever the credential's header: none, those above, and what is
/// longer than a look at two words can tell, as [`TRANSFER_ENCODING`] is.
pub(super) const DECIDING_LENGTHS: u64 =
    u64::MAX << 16 | 1 << CONTENT_LENGTH.len() | 1 << UPGRADE.len() | 1 << EXPECT.len() | 1;

/// Whether two fields that may decide have names as long as those of very common ones.
#[inline(always)]
const fn is_rare_len(len: u32) -> bool {
    len as usize == UPGRADE.len() || len as usize == EXPECT.len()
}

/// Whether a line that starts like this may be one of these two.
#[inline(always)]
const fn starts_rare(word: u64) -> bool {
    // A colon does not change this way, either.
    let start = (word | swar::LOWER) << 8;
    start == u64::from_le_bytes(*b"\0upgrade") || start == u64::from_le_bytes(*b"\0expect:")
}

/// Whether blanks stand before a value here.
#[inline(always)]
const fn is_start(place: u32) -> bool {
    matches!(
        place,
        phase::LENGTH_START | phase::CODING_START | phase::UPGRADE_START | phase::EXPECT_START
    )
}

/// How many bytes of a name, letters and `-`, a line starts with: 0 to 16.
#[inline(always)]
fn common_name(line: &Input<'_>) -> u32 {
    let mut len = 0;
    let mut others = swar::others(swar::common_name(line.word(0)));
    if others == 0 {
        len = 8;
        others = swar::others(swar::common_name(line.word_ahead(1)));
        if others == 0 {
            return 16;
        }
    }
    len + swar::before(others)
}

impl Head {
    /// The phases of the fields that decide, and of the LF behind any line.
    #[inline(always)]
    pub(super) fn framing_steps(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        if is_start(self.place.phase) {
            self.blanks_step(input);
        }
        let byte = input.byte(0);
        if input.is_end(0) {
            return Ok(());
        }
        let is_used = match self.place.phase {
            // Blanks, of which there are more.
            start if is_start(start) => return Ok(()),
            phase::LENGTH => self.length_step(byte)?,
            phase::CODING..=phase::EXPECT => self.keyword_step(byte)?,
            phase::UPGRADE_END | phase::FRAMING_END => self.keyword_end_step(byte)?,
            phase::LF if byte == b'\n' => {
                self.begin_field();
                true
            }
            phase::END_LF if byte == b'\n' => {
                self.place.phase = phase::COMPLETE;
                true
            }
            _ => return Err(Reason::Malformed),
        };
        input.consume(u32::from(is_used));
        Ok(())
    }

    /// Passes over the blanks before a value, and enters its phase, the next one, when there is a byte of it.
    #[inline(always)]
    pub(super) fn blanks_step(&mut self, input: &mut Input<'_>) {
        let run = swar::leading(swar::blank(input.word(0)));
        input.consume(run);
        if run < 8 && !input.is_end(0) {
            self.place.phase += 1;
        }
    }

    #[inline(always)]
    pub(super) const fn begin_field(&mut self) {
        self.place.phase = phase::NAME;
        self.count = 0;
        self.place.seen &= !seen::FOLDED;
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
            self.place.phase = phase::LF;
        }
    }

    #[inline(always)]
    pub(super) fn name_step(
        &mut self,
        input: &mut Input<'_>,
        rules: &Rules<'_>,
    ) -> Result<(), Reason> {
        if self.name.is_empty() {
            Self::pass_lines(input, rules.credential);
            if input.is_crlf(0) {
                input.consume(2);
                self.place.phase = phase::COMPLETE;
                return Ok(());
            }
            if self.credential_at_once(input, rules) {
                return Ok(());
            }
        }
        let words = [input.word(0), input.word_ahead(1)];
        let run = swar::leading_of::<2>(|i| swar::plain_name(words[i & 1]));
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
                b'\r' if self.name.is_empty() => self.place.phase = phase::END_LF,
                // CGI-style gateways make no difference between `_` and `-`, and some none between any of these.
                _ if swar::is_tchar(stop) => {
                    self.place.seen |= seen::FOLDED;
                    self.name.append(u64::from(b'-'), 1);
                }
                _ if input.is_end(run) => used = run,
                // A blank before the colon, a folded line, a control character.
                _ => return Err(Reason::Malformed),
            }
        }
        input.consume(used);
        Ok(())
    }

    /// Passes over whole lines whose names decide nothing, which length or start tell: the way of most lines.
    ///
    /// Nothing of the head changes with them, so they go by without a look at it.
    #[inline(always)]
    fn pass_lines(input: &mut Input<'_>, rule: &CredentialRule) {
        let mut at = input.cursor.at;
        for _ in 0..LINES {
            let line = Input {
                window: input.window,
                cursor: &mut Cursor { at, end: 0 },
            };
            let name = common_name(&line);
            let may_decide = rule.may_decide(name)
                && (!is_rare_len(name) || rule.header.has_len(name) || starts_rare(line.word(0)));
            if may_decide || line.byte(name) != b':' {
                break;
            }
            let mut end = line.text();
            if end == TEXT_MAX {
                end += line.text_behind(end);
            }
            if !line.is_crlf(end) {
                break;
            }
            at = at.wrapping_add(end + 2);
        }
        input.cursor.at = at;
    }

    /// What the name asks for.
    #[inline(always)]
    fn begin_value(&mut self, rules: &Rules<'_>) -> Result<(), Reason> {
        self.place.phase = phase::VALUE;
        if self.name.is(&CONTENT_LENGTH) {
            self.framing_header(seen::CONTENT_LENGTH)?;
            self.place.phase = phase::LENGTH_START;
        } else if self.name.is(&TRANSFER_ENCODING) {
            self.framing_header(seen::TRANSFER_ENCODING)?;
            if self.place.seen & seen::VERSION_10 != 0 {
                return Err(Reason::Malformed);
            }
            self.place.phase = phase::CODING_START;
        } else if self.name.is(&rules.credential.header) {
            return self.credential_header(rules);
        } else if self.place.seen & seen::TRAILERS != 0 {
            // Nothing else means anything there.
        } else if self.name.is(&UPGRADE) {
            if self.place.seen & seen::UPGRADE != 0 {
                self.place.seen |= seen::OTHER_UPGRADE;
            } else {
                self.place.seen |= seen::UPGRADE;
                self.place.phase = phase::UPGRADE_START;
            }
        } else if self.name.is(&EXPECT) {
            if self.place.seen & seen::EXPECT != 0 {
                return Err(Reason::Malformed);
            }
            self.place.seen |= seen::EXPECT;
            self.place.phase = phase::EXPECT_START;
        }
        Ok(())
    }

    /// Once in a head, not spelled with another character for `-`, and not in trailers, which some servers merge.
    #[inline(always)]
    fn credential_header(&mut self, rules: &Rules<'_>) -> Result<(), Reason> {
        if self.place.seen & seen::TRAILERS != 0 {
            return Err(Reason::DuplicateCredential);
        }
        if self.place.seen & seen::FOLDED != 0 {
            return Err(Reason::Malformed);
        }
        if self.place.seen & seen::CREDENTIAL_HEADER != 0 {
            self.place.seen |= seen::SECOND_CREDENTIAL;
        } else {
            self.place.seen |= seen::CREDENTIAL_HEADER;
            self.place.phase = rules.credential.first_phase();
            self.name.clear();
        }
        Ok(())
    }

    /// At most one of the two headers, once, not spelled with another character for `-`, and not in trailers.
    #[inline(always)]
    fn framing_header(&mut self, which: u32) -> Result<(), Reason> {
        const EITHER: u32 = seen::CONTENT_LENGTH | seen::TRANSFER_ENCODING;
        if self.place.seen & (EITHER | seen::FOLDED | seen::TRAILERS) != 0 {
            return Err(Reason::Malformed);
        }
        self.place.seen |= which;
        Ok(())
    }

    /// Passes over a value up to its end.
    #[inline(always)]
    pub(super) fn value_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = input.text();
        let mut used = run;
        if run < TEXT_MAX {
            let word = input.word(run);
            let unusual = swar::leading(swar::unusual_value(word));
            used += unusual;
            match word as u8 {
                _ if unusual > 0 => {}
                b'\r' => {
                    self.end_line(input, run);
                    return Ok(());
                }
                _ if input.is_end(run) => {}
                _ => return Err(Reason::Malformed),
            }
        }
        input.consume(used);
        Ok(())
    }

    /// Digits only, no overflow (RFC 9112, section 6.3, and RFC 9110, section 8.6); true
    /// if the byte was used.
    #[inline(always)]
    fn length_step(&mut self, byte: u8) -> Result<bool, Reason> {
        if !byte.is_ascii_digit() {
            if self.count == 0 {
                return Err(Reason::Malformed);
            }
            return self.keyword_end_step(byte);
        }
        if self.place.opaque > CONTENT_LENGTH_MAX / 10 {
            return Err(Reason::Malformed);
        }
        self.place.opaque = self.place.opaque * 10 + u64::from(byte - b'0');
        if self.place.opaque > CONTENT_LENGTH_MAX {
            return Err(Reason::Malformed);
        }
        self.count = 1;
        Ok(true)
    }
}
