//! What frames a chunked body (RFC 9112, section 7.1): for each chunk a line with its
//! size, its data, which is opaque, and CRLF. The trailers behind the last
//! one are read as fields are.

use super::{Head, phase, seen};
use crate::{
    reason::Reason,
    swar,
    window::{Input, TEXT_MAX},
};

/// The longest chunk, in bytes: servers have taken the size for a signed number of 32
/// bits (CVE-2017-7657), and no client fills a chunk with what it would not hold in memory.
pub const CHUNK_MAX: u64 = i32::MAX as u64;

/// The longest line with a chunk's size, in bytes before its CRLF: as long as Go's server
/// takes. Its length is nobody's need: leading zeros, or extensions, which no server knows.
pub const CHUNK_LINE_MAX: u32 = 4096;

impl Head {
    /// The phases around a chunk's data.
    #[inline(always)]
    pub(super) fn chunk_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let byte = input.byte(0);
        match self.place.phase {
            phase::CHUNK_SIZE => return self.chunk_size_step(input, byte),
            phase::CHUNK_EXTENSION => return self.chunk_extension_step(input),
            phase::CHUNK_LF if byte == b'\n' => {
                input.consume(1);
                self.end_chunk_line();
                return Ok(());
            }
            phase::DATA_CR if byte == b'\r' => self.place.phase = phase::DATA_LF,
            phase::DATA_LF if byte == b'\n' => {
                self.place.phase = phase::CHUNK_SIZE;
                self.count = 0;
            }
            _ => return Err(Reason::Malformed),
        }
        input.consume(1);
        Ok(())
    }

    /// Hexadecimal digits; directly behind them, an extension or the line's end.
    #[inline(always)]
    fn chunk_size_step(&mut self, input: &mut Input<'_>, byte: u8) -> Result<(), Reason> {
        input.consume(1);
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' | b'A'..=b'F' => (byte | 0x20) - b'a' + 10,
            b';' if self.count > 0 => {
                self.place.phase = phase::CHUNK_EXTENSION;
                return self.lengthen_chunk_line(1);
            }
            b'\r' if self.count > 0 => {
                self.place.phase = phase::CHUNK_LF;
                return Ok(());
            }
            _ => return Err(Reason::Malformed),
        };
        if self.place.opaque > CHUNK_MAX / 16 {
            return Err(Reason::Malformed);
        }
        self.place.opaque = self.place.opaque * 16 + u64::from(digit);
        self.lengthen_chunk_line(1)
    }

    /// Extensions mean nothing to any server, so only their end matters, which no
    /// quoting can hide.
    #[inline(always)]
    fn chunk_extension_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        let run = input.text();
        self.lengthen_chunk_line(run)?;
        let mut used = run;
        if run < TEXT_MAX {
            let word = input.word(run);
            let unusual = swar::leading(swar::unusual_value(word));
            self.lengthen_chunk_line(unusual)?;
            used += unusual;
            match word as u8 {
                _ if unusual > 0 || input.is_end(run) => {}
                b'\r' => {
                    self.place.phase = phase::CHUNK_LF;
                    used += 1;
                }
                _ => return Err(Reason::Malformed),
            }
        }
        input.consume(used);
        Ok(())
    }

    #[inline(always)]
    const fn lengthen_chunk_line(&mut self, count: u32) -> Result<(), Reason> {
        self.count = self.count.wrapping_add(count);
        if self.count > CHUNK_LINE_MAX {
            return Err(Reason::Malformed);
        }
        Ok(())
    }

    /// Goes on behind the LF of a chunk's line.
    #[inline(always)]
    const fn end_chunk_line(&mut self) {
        if self.place.opaque > 0 {
            self.place.phase = phase::CHUNK_DATA;
            return;
        }
        self.place.seen = seen::TRAILERS;
        self.begin_field();
    }
}
