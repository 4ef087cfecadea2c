//! The requests in a segment's new bytes.

use super::connection::flag;
use crate::{
    digest::{Digest, KeyWords},
    http1::{Head, Place, Rules},
    reason::Reason,
    window::{self, Cursor, Window},
};

/// In how many pieces the deciding bytes of one segment are kept.
pub const PIECES: usize = 16;

/// Opaque bytes between two pieces that are worth a piece of their own.
const GAP: u32 = 64;

/// What the reader came upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// Nothing to report; call again.
    Going,
    /// A request, with its credential's digest or why it has none; its head can be looked at until
    /// reading [goes on](Reader::go_on).
    Request(Result<Digest, Reason>),
    /// The rest of the segment cannot be judged, for this reason.
    Lost(Reason),
    /// The segment's end.
    End,
}

/// A stretch of the payload.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Piece {
    /// Offset of the first byte.
    pub from: u32,
    /// Offset behind the last one.
    pub to: u32,
}

/// What reading a segment has told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Read {
    /// Length of the payload.
    pub len: u32,
    /// How many requests it completes.
    pub requests: u32,
    /// Offset behind the head of the last one.
    pub head_end: u32,
    /// What the first and the last one ask of the server; see [`flag`].
    pub(super) asked: u32,
    /// Where the parser stands at its end.
    pub place: Place,
    /// Where the deciding bytes are that were read.
    pub pieces: [Piece; PIECES],
    /// How many pieces there are.
    pub count: u32,
    reserved: u32,
}

impl Read {
    /// Of nothing.
    pub const NONE: Self = Self {
        len: 0,
        requests: 0,
        head_end: 0,
        asked: 0,
        place: Place::START,
        pieces: [Piece { from: 0, to: 0 }; PIECES],
        count: 0,
        reserved: 0,
    };

    /// Notes that the bytes from `from` to `to` decide.
    #[inline(always)]
    const fn add(&mut self, from: u32, to: u32) {
        if from == to {
            return;
        }
        let last = &mut self.pieces[self.count.wrapping_sub(1) as usize & (PIECES - 1)];
        if self.count > 0 && (from.wrapping_sub(last.to) <= GAP || self.count as usize == PIECES) {
            last.to = to;
            return;
        }
        self.pieces[self.count as usize & (PIECES - 1)] = Piece { from, to };
        self.count += 1;
    }
}

/// Reads the requests of one segment.
#[derive(Debug)]
#[repr(C)]
pub struct Reader {
    /// The head being read.
    pub head: Head,
    /// What was found.
    pub read: Read,
    /// Offset in the payload where the window starts.
    offset: u32,
    /// How many of the payload's first bytes stand in the window before reading begins.
    ready: u32,
    /// Where reading stands.
    cursor: Cursor,
}

impl Reader {
    /// A reader at the end of an empty segment.
    #[must_use]
    pub const fn new(key: &KeyWords) -> Self {
        Self {
            head: Head::new(key),
            read: Read::NONE,
            offset: 0,
            ready: 0,
            cursor: Cursor::NONE,
        }
    }

    /// Starts on a segment of `len` bytes, at its byte `from`. The head is already what it was
    /// when that byte was next.
    #[inline(always)]
    pub const fn begin(&mut self, from: u32, len: u32) {
        self.read.len = len;
        self.read.requests = 0;
        self.read.head_end = 0;
        self.read.asked = 0;
        self.read.count = 0;
        if from < self.ready {
            self.offset = 0;
            self.cursor = Cursor {
                at: from,
                end: self.ready,
            };
        } else {
            self.offset = from;
            self.cursor = Cursor::NONE;
        }
    }

    /// Says that the payload's first `count` bytes stand in the window.
    #[inline(always)]
    pub const fn have_ready(&mut self, count: u32) {
        self.ready = count;
    }

    /// An upper bound on the turns a segment of `len` bytes takes. Each one
    /// consumes a byte, fills the window, compresses a block, or is one of the
    /// few at a request's end; the shortest request has 16 bytes.
    #[inline(always)]
    #[must_use]
    pub const fn turns(len: u32) -> u32 {
        len * 2 + 16
    }

    /// Reads on. When the window's bytes are used up, `fill` puts those of the
    /// payload from the given offset on there, as many as asked for, and says
    /// whether it could.
    #[inline(always)]
    pub fn turn(
        &mut self,
        window: &mut Window,
        rules: &Rules<'_>,
        fill: impl FnOnce(&mut Window, u32, u32) -> bool,
    ) -> Turn {
        let opaque = self.head.opaque();
        if opaque > 0 {
            return self.pass_over(opaque);
        }
        if !self.head.is_hashing() && !self.head.is_finished() {
            if self.cursor.at >= self.cursor.end {
                let len = self.next_window();
                if len == 0 {
                    return self.end();
                }
                if !fill(window, self.offset, len) {
                    return Turn::Lost(Reason::BadPacket);
                }
            }
            let from = self.offset + self.cursor.at;
            if let Err(reason) = self.head.read(window, &mut self.cursor, rules) {
                return Turn::Lost(reason);
            }
            self.read.add(from, self.offset + self.cursor.at);
            if self.head.is_complete() {
                self.head.finish();
            }
        }
        if self.head.is_hashing() {
            self.head.hash();
        }
        if self.head.is_hashing() || !self.head.is_finished() {
            return Turn::Going;
        }
        self.note_request();
        Turn::Request(self.head.credential())
    }

    /// Goes on behind a request that was told; true if the segment ends there.
    #[inline(always)]
    pub const fn go_on(&mut self) -> bool {
        self.head.go_on();
        let is_end = self.offset + self.cursor.at >= self.read.len;
        if is_end {
            self.read.place = self.head.place();
        }
        is_end
    }

    #[inline(always)]
    const fn note_request(&mut self) {
        let mut asked = 0;
        if self.read.requests == 0 {
            if self.head.wants_upgrade() {
                asked |= flag::UPGRADE;
            }
            if self.head.is_connect() {
                asked |= flag::CONNECT;
            }
        } else {
            // Of which the server may have no more than the first.
            asked = self.read.asked;
        }
        if self.head.expects_continue() {
            asked |= flag::EXPECT;
        }
        self.read.asked = asked;
        self.read.requests += 1;
        self.read.head_end = self.offset + self.cursor.at;
    }

    /// Whether the head that was read is the first of the segment.
    #[inline(always)]
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.read.requests == 1
    }

    #[inline(always)]
    const fn end(&mut self) -> Turn {
        self.read.place = self.head.place();
        Turn::End
    }

    /// Where in the window these bytes of the payload stand, if all of them do.
    #[inline(always)]
    pub(crate) const fn in_window(&self, offset: u32, len: u32) -> Option<u32> {
        let at = offset.wrapping_sub(self.offset);
        if at <= self.cursor.end && len <= self.cursor.end - at {
            Some(at)
        } else {
            None
        }
    }

    /// Moves on to the next window and gives its length, which is 0 at the segment's end.
    #[inline(always)]
    const fn next_window(&mut self) -> u32 {
        self.offset += self.cursor.end;
        let left = self.read.len.saturating_sub(self.offset);
        self.cursor = Cursor {
            at: 0,
            end: if left < window::CAPACITY as u32 {
                left
            } else {
                window::CAPACITY as u32
            },
        };
        self.cursor.end
    }

    /// Goes on behind `opaque` bytes, or at the segment's end.
    #[inline(always)]
    fn pass_over(&mut self, opaque: u64) -> Turn {
        let at = self.offset + self.cursor.at;
        let left = self.read.len.saturating_sub(at);
        if left == 0 {
            return self.end();
        }
        let count = opaque.min(u64::from(left)) as u32;
        self.head.pass(u64::from(count));
        if count <= self.cursor.end - self.cursor.at {
            self.cursor.at += count;
        } else {
            // The next window starts behind the stretch.
            self.offset = at + count;
            self.cursor = Cursor::NONE;
        }
        Turn::Going
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::*;
    use crate::{
        http1::{Charset, CredentialRule},
        name::Name,
    };

    /// Reads a segment whole.
    fn read(payload: &[u8]) -> (Reader, Window) {
        let key = KeyWords::new(&[0; 32]);
        let name = |text| Name::new(text).unwrap();
        let rules = Rules {
            credential: &CredentialRule::new(
                name("authorization"),
                name("bearer"),
                Charset::B64Token,
            ),
            key: &key,
            options: 0,
        };
        let (mut reader, mut window) = (Reader::new(&key), Window::new());
        reader.begin(0, payload.len() as u32);
        for _ in 0..Reader::turns(payload.len() as u32) {
            let turn = reader.turn(&mut window, &rules, |window, offset, len| {
                window.fill(&payload[offset as usize..][..len as usize]) == len
            });
            match turn {
                Turn::Request(_) if reader.go_on() => return (reader, window),
                Turn::Going | Turn::Request(_) => {}
                Turn::End => return (reader, window),
                Turn::Lost(reason) => panic!("{reason:?}"),
            }
        }
        panic!("more turns than there can be");
    }

    #[test]
    fn what_is_in_the_window_is_what_stands_there_in_the_payload() {
        let request = |len: usize| {
            let body = "b".repeat(len);
            format!("PUT / HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{body}")
        };
        let mut found = 0;
        for first in (0..600).step_by(7) {
            let payload = [request(first), request(300), request(0)].concat();
            for end in 1..=payload.len() {
                let payload = &payload.as_bytes()[..end];
                let (reader, window) = read(payload);
                for piece in &reader.read.pieces[..reader.read.count as usize] {
                    for from in piece.from..piece.to {
                        let Some(at) = reader.in_window(from, piece.to - from) else {
                            continue;
                        };
                        found += 1;
                        for i in 0..piece.to - from {
                            let byte = payload[(from + i) as usize];
                            assert_eq!(window.word(at + i) as u8, byte, "{first}, {end}");
                        }
                    }
                }
            }
        }
        assert!(found > 100_000, "only {found} were found there");
    }
}
