//! The header of the PROXY protocol before a connection's first request ("The PROXY
//! protocol, versions 1 & 2", section 2, in HAProxy's documentation).

use super::{Head, option, phase};
use crate::{reason::Reason, window::Input};

/// The longest header of version 1, in bytes with its CRLF: what its section 2.1 counts.
pub const PROXY_V1_MAX: u32 = 107;

/// The longest part of a header of version 2 that is not fixed, in bytes: with the
/// 16 before it as much as nginx reads, and far more than addresses and TLVs need.
pub const PROXY_V2_MAX: u64 = 4080;

/// How long the fixed part of a header of version 2 is, in bytes.
const V2_FIXED: u32 = 16;

// A space ends a field, and the phase of the next one is the next number.
const _: () = assert!(
    phase::PROXY_DESTINATION == phase::PROXY_SOURCE + 1
        && phase::PROXY_FROM_PORT == phase::PROXY_DESTINATION + 1
        && phase::PROXY_TO_PORT == phase::PROXY_FROM_PORT + 1
);

impl Head {
    /// Begins a connection; see [`option::PROXY_PROTOCOL`].
    #[inline(always)]
    pub const fn begin_connection(&mut self, options: u32) {
        self.reset();
        if options & option::PROXY_PROTOCOL != 0 {
            self.place.phase = phase::PROXY_START;
        }
    }

    /// The phases of the header. The last eight bytes are kept in `literal`, and the length in `count`.
    #[inline(always)]
    pub(super) fn proxy_step(&mut self, input: &mut Input<'_>) -> Result<(), Reason> {
        if self.place.phase == phase::PROXY_V2_REST {
            self.proxy_v2_rest(input);
            return Ok(());
        }
        let byte = input.byte(0);
        input.consume(1);
        let last = self.literal as u8;
        self.literal = self.literal << 8 | u64::from(byte);
        self.count += 1;
        if self.count > PROXY_V1_MAX {
            return Err(Reason::Malformed);
        }
        match self.place.phase {
            phase::PROXY_START if byte == b'P' => self.place.phase = phase::PROXY_V1,
            phase::PROXY_START if byte == b'\r' => self.place.phase = phase::PROXY_V2,
            phase::PROXY_V1 => return self.proxy_v1_start(),
            phase::PROXY_V2 => return self.proxy_v2_fixed(),
            phase::PROXY_SOURCE..=phase::PROXY_TO_PORT => return self.proxy_field(byte, last),
            phase::PROXY_UNKNOWN => return self.proxy_unknown(byte, last),
            phase::PROXY_LF if byte == b'\n' => self.reset(),
            _ => return Err(Reason::Malformed),
        }
        Ok(())
    }

    /// `PROXY` and the protocol.
    #[inline(always)]
    fn proxy_v1_start(&mut self) -> Result<(), Reason> {
        const PROXY: u64 = u64::from_be_bytes(*b"\0\0PROXY ");
        const TCP4: u64 = u64::from_be_bytes(*b"XY TCP4 ");
        const TCP6: u64 = u64::from_be_bytes(*b"XY TCP6 ");
        const UNKNOWN: u64 = u64::from_be_bytes(*b" UNKNOWN");
        match (self.count, self.literal) {
            (6, PROXY) => {}
            (11, TCP4 | TCP6) => self.place.phase = phase::PROXY_SOURCE,
            (13, UNKNOWN) => self.place.phase = phase::PROXY_UNKNOWN,
            (6 | 13, _) => return Err(Reason::Malformed),
            _ => {}
        }
        Ok(())
    }

    /// Two addresses and two ports, with one space between them.
    #[inline(always)]
    const fn proxy_field(&mut self, byte: u8, last: u8) -> Result<(), Reason> {
        let is_port = self.place.phase >= phase::PROXY_FROM_PORT;
        match byte {
            b'0'..=b'9' => {}
            b'a'..=b'f' | b'A'..=b'F' | b'.' | b':' if !is_port => {}
            b' ' if last != b' ' && self.place.phase != phase::PROXY_TO_PORT => {
                self.place.phase += 1;
            }
            b'\r' if last != b' ' && self.place.phase == phase::PROXY_TO_PORT => {
                self.place.phase = phase::PROXY_LF;
            }
            _ => return Err(Reason::Malformed),
        }
        Ok(())
    }

    /// Behind `UNKNOWN`, what the receiver passes over.
    #[inline(always)]
    const fn proxy_unknown(&mut self, byte: u8, last: u8) -> Result<(), Reason> {
        const FIRST: u32 = 14;
        match byte {
            b'\r' if last != b' ' => self.place.phase = phase::PROXY_LF,
            b' ' if last != b' ' => {}
            0x21..=0x7e if self.count != FIRST => {}
            _ => return Err(Reason::Malformed),
        }
        Ok(())
    }

    /// Signature, version and command, family and protocol, length.
    #[inline(always)]
    fn proxy_v2_fixed(&mut self) -> Result<(), Reason> {
        const FIRST: u64 = u64::from_be_bytes(*b"\r\n\r\n\0\r\nQ");
        const REST: u32 = u32::from_be_bytes(*b"UIT\n");
        if self.count == 8 && self.literal != FIRST {
            return Err(Reason::Malformed);
        }
        if self.count != V2_FIXED {
            return Ok(());
        }
        let length = self.literal & 0xffff;
        let command = (self.literal >> 24) as u8;
        // Addresses fit, for one who reads them whatever the length says.
        let addresses = match (self.literal >> 16) as u8 {
            0x00 => 0,
            0x11 | 0x12 => 12,
            0x21 | 0x22 => 36,
            0x31 | 0x32 => 216,
            _ => return Err(Reason::Malformed),
        };
        if (self.literal >> 32) as u32 != REST
            || command & 0xfe != 0x20
            || length < addresses
            || length > PROXY_V2_MAX
        {
            return Err(Reason::Malformed);
        }
        self.place.phase = phase::PROXY_V2_REST;
        self.place.opaque = length;
        if length == 0 {
            self.reset();
        }
        Ok(())
    }

    /// Addresses and TLVs, as many bytes as there were announced.
    #[inline(always)]
    fn proxy_v2_rest(&mut self, input: &mut Input<'_>) {
        let left = self.place.opaque;
        let here = u64::from(input.left()).min(left);
        input.consume(here as u32);
        self.place.opaque = left.wrapping_sub(here);
        if self.place.opaque == 0 {
            self.reset();
        }
    }
}
