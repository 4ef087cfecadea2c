//! Fields of which only one value is known to mean the same to every server.

use super::{Head, phase, seen};
use crate::reason::Reason;

/// The values, in lower case, in the order of their phases; each has 16 bytes, of which
/// at least the last is zero. One array, so that an index can be masked.
static KEYWORDS: [u8; 64] = {
    let mut all = [0; 64];
    let words: [&[u8]; 3] = [b"chunked", b"websocket", b"100-continue"];
    let mut i = 0;
    while i < words.len() {
        let mut j = 0;
        while j < words[i].len() {
            all[i * 16 + j] = words[i][j];
            j += 1;
        }
        i += 1;
    }
    all
};

// The keyword of a phase is at half its distance from the first.
const _: () = assert!(phase::UPGRADE == phase::CODING + 2 && phase::EXPECT == phase::CODING + 4);

impl Head {
    /// Reads one byte of a value that is to be a keyword, in any case; true if it was used.
    #[inline(always)]
    pub(super) fn keyword_step(&mut self, byte: u8) -> Result<bool, Reason> {
        let which = self.place.phase.wrapping_sub(phase::CODING) / 2;
        let expected = KEYWORDS[((which * 16 + self.count) & 63) as usize];
        if expected != 0 {
            if byte.to_ascii_lowercase() != expected {
                return self.other_keyword();
            }
            self.count += 1;
            return Ok(true);
        }
        self.keyword_end_step(byte)
    }

    /// Behind the keyword stand only blanks.
    #[inline(always)]
    pub(super) fn keyword_end_step(&mut self, byte: u8) -> Result<bool, Reason> {
        let is_upgrade =
            self.place.phase == phase::UPGRADE || self.place.phase == phase::UPGRADE_END;
        self.place.phase = match byte {
            b'\r' => phase::LF,
            b' ' | b'\t' if is_upgrade => phase::UPGRADE_END,
            b' ' | b'\t' => phase::FRAMING_END,
            _ => return self.other_keyword(),
        };
        Ok(true)
    }

    /// Another upgrade is refused when the head is complete; any other value is read
    /// differently by some server: a list of codings (RFC 9112, section 6.1), or
    /// an expectation, behind whose refusal a body may follow or not (RFC 9110, section 10.1.1).
    #[inline(always)]
    fn other_keyword(&mut self) -> Result<bool, Reason> {
        if self.place.phase == phase::UPGRADE || self.place.phase == phase::UPGRADE_END {
            self.place.seen |= seen::OTHER_UPGRADE;
            self.place.phase = phase::VALUE;
            Ok(false)
        } else {
            Err(Reason::Malformed)
        }
    }
}
