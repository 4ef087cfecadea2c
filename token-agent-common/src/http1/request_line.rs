//! The request line (RFC 9112, section 3): one space between its parts, no more.

use super::{Head, METHOD_MAX, Packed, View, phase, seen};
use crate::{reason::Reason, swar};

const VERSION_10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
const VERSION_11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
const VERSION_20: u64 = u64::from_le_bytes(*b"HTTP/2.0");

impl Head {
    #[inline(never)]
    pub(super) fn request_line(&mut self, view: &View<'_>) -> Packed {
        Packed::new(self.read_request_line(view))
    }

    #[inline(always)]
    fn read_request_line(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        match self.phase {
            phase::START if view.byte_at(0) == b'\r' => {
                self.phase = phase::START_LF;
                Ok(1)
            }
            phase::START_LF if view.byte_at(0) == b'\n' => {
                self.phase = phase::START;
                Ok(1)
            }
            phase::START_LF => Err(Reason::Malformed),
            phase::START | phase::METHOD => self.method_step(view),
            phase::TARGET => self.target_step(view),
            phase::VERSION => self.version_step(view),
            phase::VERSION_CR if view.crlf_at(0) => {
                self.begin_field();
                Ok(2)
            }
            phase::VERSION_CR if view.byte_at(0) == b'\r' => {
                self.phase = phase::LF;
                Ok(1)
            }
            _ => Err(Reason::Malformed),
        }
    }

    /// Any token is a method (RFC 9110, section 9.1): "not a known method, so
    /// not HTTP, so pass" does not exist.
    #[inline(always)]
    fn method_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        self.phase = phase::METHOD;
        let word = view.word();
        let run = swar::leading(swar::common_name(word)).min(view.available);
        let bytes = word & swar::first_bytes(run);
        if self.count < 8 {
            self.method |= bytes << (self.count * 8);
        }
        self.count = self.count.wrapping_add(run);
        if self.count > METHOD_MAX {
            return Err(Reason::Malformed);
        }
        if run == 8 || run == view.available {
            return Ok(run);
        }
        let stop = view.byte_at(run);
        if stop == b' ' && self.count > 0 {
            self.count = 0;
            self.phase = phase::TARGET;
        } else if swar::is_tchar(stop) {
            if self.count < 8 {
                self.method |= u64::from(stop) << (self.count * 8);
            }
            self.count = self.count.wrapping_add(1);
        } else {
            return Err(Reason::Malformed);
        }
        Ok(run + 1)
    }

    /// Only visible ASCII: some servers split the line at 0x85 and 0xa0 too.
    #[inline(always)]
    fn target_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let run = swar::leading_of::<4>(|i| swar::visible(view.word_at(i * 8)));
        let run = run.min(view.available);
        // Only whether it is empty matters.
        self.count |= run;
        if run == 32 || run == view.available {
            return Ok(run);
        }
        if view.byte_at(run) != b' ' || self.count == 0 {
            return Err(Reason::Malformed);
        }
        self.count = 0;
        self.phase = phase::VERSION;
        Ok(run + 1)
    }

    #[inline(always)]
    fn version_step(&mut self, view: &View<'_>) -> Result<u32, Reason> {
        let run = (8 - (self.count & 7)).min(view.available);
        self.literal |= (view.word() & swar::first_bytes(run)) << ((self.count & 7) * 8);
        self.count += run;
        if self.count < 8 {
            return Ok(run);
        }
        match self.literal {
            VERSION_11 => {}
            VERSION_10 => self.seen |= seen::VERSION_10,
            // The preface of RFC 9113, section 3.4, or someone who means it.
            VERSION_20 => return Err(Reason::UnsupportedProtocol),
            _ => return Err(Reason::Malformed),
        }
        self.phase = phase::VERSION_CR;
        if run < view.available && view.crlf_at(run) {
            self.begin_field();
            return Ok(run + 2);
        }
        Ok(run)
    }
}
