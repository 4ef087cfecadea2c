//! The request line (RFC 9112, section 3): one space between its parts, no more.

use super::{Head, METHOD_MAX, phase, seam, seen};
use crate::{
    reason::Reason,
    swar,
    window::{Input, TEXT_MAX},
};

const VERSION_10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
const VERSION_11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
const VERSION_20: u64 = u64::from_le_bytes(*b"HTTP/2.0");

impl Head {
    /// The phases up to the first field's name.
    #[inline(always)]
    pub(super) fn request_line(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        if self.place.phase == phase::START && self.line_at_once(input) {
            return Ok(());
        }
        if self.place.phase < phase::METHOD {
            self.start_step(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::METHOD {
            self.method_step(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::TARGET {
            self.target_step(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::VERSION {
            self.version_step(input)?;
        }
        seam(self, input);
        if self.place.phase == phase::VERSION_CR {
            match input.byte(0) {
                b'\r' => self.end_line(input, 0),
                _ if input.is_end(0) => {}
                _ => return Err(Reason::Malformed),
            }
        }
        Ok(())
    }

    /// Reads a request line of the common kind, if all of it is there: the way of most. False, and nothing changed, if it
    /// is another.
    #[inline(always)]
    fn line_at_once(&mut self, input: &mut Input<'_>) -> bool {
        const BEFORE: u64 = u64::from_le_bytes(*b" HTTP/1.");
        const AFTER: u64 = u64::from_le_bytes(*b"1\r\n\0\0\0\0\0");
        let word = input.word(0);
        let method = swar::leading(swar::upper(word));
        if method.wrapping_sub(1) >= 7 || input.byte(method) != b' ' {
            return false;
        }
        let line = input.text();
        let target = method + 1;
        let version = line.wrapping_sub(9);
        let len = version.wrapping_sub(target);
        // Bytes of a kind each, up to the last: so none of them is behind the window's end.
        if len.wrapping_sub(1) >= TEXT_MAX
            || input.word(version) != BEFORE
            || input.word(version.wrapping_add(8)) & 0xff_ffff != AFTER
            || !input.all(target, len, swar::visible)
        {
            return false;
        }
        // Nothing was read of the head before.
        self.method = word & swar::first_bytes(method);
        input.consume(line + 2);
        self.begin_field();
        true
    }

    #[inline(always)]
    fn start_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let byte = input.byte(0);
        self.place.phase = match self.place.phase {
            phase::START_LF if byte != b'\n' => return Err(Reason::Malformed),
            phase::START_LF => phase::START,
            _ if byte == b'\r' => phase::START_LF,
            _ => phase::METHOD,
        };
        if self.place.phase != phase::METHOD {
            input.consume(1);
        }
        // Empty lines before a head are not of it.
        self.len = 0u32.wrapping_sub(input.cursor.at);
        Ok(())
    }

    /// Any token is a method (RFC 9110, section 9.1): "not a known method, so
    /// not HTTP, so pass" does not exist.
    #[inline(always)]
    fn method_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let word = input.word(0);
        let run = swar::leading(swar::plain_name(word));
        self.take_method(word & swar::first_bytes(run), run);
        let mut used = run;
        if run < 8 {
            let stop = input.byte(run);
            if stop == b' ' && self.count.wrapping_sub(1) < METHOD_MAX {
                self.count = 0;
                self.place.phase = phase::TARGET;
                used += 1;
            } else if swar::is_tchar(stop) {
                self.take_method(u64::from(stop), 1);
                used += 1;
            } else if !input.is_end(run) {
                return Err(Reason::Malformed);
            }
        }
        if self.count > METHOD_MAX {
            return Err(Reason::Malformed);
        }
        input.consume(used);
        Ok(())
    }

    #[inline(always)]
    const fn take_method(&mut self, bytes: u64, count: u32) {
        if self.count < 8 {
            self.method |= bytes << (self.count * 8);
        }
        self.count = self.count.wrapping_add(count);
    }

    /// Only visible ASCII: some servers split the line at 0x85 and 0xa0 too.
    #[inline(always)]
    fn target_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = swar::leading_of::<4>(|i| swar::visible(input.word_ahead(i)));
        // Only whether it is empty matters.
        self.count |= run;
        let mut used = run;
        if run < 32 {
            if input.byte(run) == b' ' && self.count > 0 {
                self.count = 0;
                self.place.phase = phase::VERSION;
                used += 1;
            } else if !input.is_end(run) {
                return Err(Reason::Malformed);
            }
        }
        input.consume(used);
        Ok(())
    }

    #[inline(always)]
    fn version_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let word = input.word(0);
        if self.count == 0 && word == VERSION_11 {
            input.consume(8);
            self.place.phase = phase::VERSION_CR;
            return Ok(());
        }
        if input.is_end(0) {
            return Ok(());
        }
        input.consume(1);
        self.literal |= (word & 0xff) << ((self.count & 7) * 8);
        self.count += 1;
        if self.count < 8 {
            return Ok(());
        }
        self.place.phase = phase::VERSION_CR;
        match self.literal {
            VERSION_11 => Ok(()),
            VERSION_10 => {
                self.place.seen |= seen::VERSION_10;
                Ok(())
            }
            // The preface of RFC 9113, section 3.4, or someone who means it.
            VERSION_20 => Err(Reason::UnsupportedProtocol),
            _ => Err(Reason::Malformed),
        }
    }
}
