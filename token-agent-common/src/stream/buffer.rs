//! Deciding bytes that passed and that the server has not acknowledged.
//!
//! Passed is not received: a checksum may have been bad, a queue full. Who sends a range
//! again must send the same bytes, or the server puts together another stream than the one
//! that was judged. So they are kept until they are acknowledged, and compared byte for
//! byte, however the repetition is cut.

use super::Tokens;
use crate::{
    digest::KeyWords,
    http1::Head,
    window::{self, Window},
    words,
};

/// How many bytes a page has: most heads have fewer.
pub const PAGE: u32 = 2_048;

/// How many pages one connection can have.
pub const PAGES: usize = 32;

/// How many bytes one connection can have kept: as many as the longest aggregated segment has.
pub(super) const CAPACITY: u32 = PAGE * PAGES as u32;

/// In how many runs.
pub(super) const RUNS: usize = 256;

const WORDS: usize = PAGE as usize / 8;

/// At most that many bytes are copied in one go. So the kernel's verifier, who knows of a
/// place and a length only their bounds, finds room for them anywhere.
pub const COPY: u32 = 512;

const SLACK: usize = COPY as usize / 8;

/// How many runs are given back in one go; each segment adds at most as many.
const FREED: u32 = super::PIECES as u32 + 1;

/// Bytes that stand together in the stream, in one page.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Run {
    position: u64,
    /// Where they are kept: counted on and on, through the pages and round again.
    at: u32,
    len: u32,
}

/// A place for bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// The page's number plus one.
    pub page: u32,
    /// Offset in the page.
    pub at: u32,
    /// How many bytes.
    pub len: u32,
}

/// Some of what is kept of a connection.
#[derive(Debug)]
#[repr(C)]
pub struct Page {
    bytes: [u64; WORDS + words::AHEAD],
    /// Room for a copy of [`COPY`] bytes that begins at the last byte; never used.
    slack: [u64; SLACK],
}

impl Page {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; WORDS + words::AHEAD],
            slack: [0; SLACK],
        }
    }

    /// Where bytes go.
    #[inline(always)]
    pub const fn bytes_mut(&mut self) -> &mut [u64; WORDS + words::AHEAD] {
        &mut self.bytes
    }

    /// Keeps at `at` the `len` (at most [`COPY`]) bytes that stand at `from` in the window. There is room for them.
    #[inline(always)]
    pub fn take(&mut self, at: u32, window: &Window, from: u32, len: u32) {
        const { assert!(COPY as usize == window::CAPACITY) };
        window.copy(from, &mut self.bytes, at, len);
    }

    /// Keeps `bytes` at `at`, where there is room for them.
    pub fn put(&mut self, at: u32, bytes: &[u8]) {
        let room = bytemuck::cast_slice_mut::<u64, u8>(&mut self.bytes);
        room[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// The eight bytes that are kept at `at`, the first in the lowest bits.
    #[inline(always)]
    #[must_use]
    pub fn word(&self, at: u32) -> u64 {
        words::unaligned(&self.bytes, at, 0)
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

/// What is kept of one connection.
#[derive(Debug)]
#[repr(C)]
pub struct Buffer {
    /// A head, or part of a body's framing, of which a part was read.
    pub head: Head,
    /// The tokens of requests that the server has not acknowledged.
    pub tokens: Tokens,
    runs: [Run; RUNS],
    /// Runs ever begun, and those of them that are done with.
    begun: u32,
    done: u32,
    /// Where the next byte is kept.
    at: u32,
    reserved: u32,
    /// The pages' numbers plus one; 0 where there is none yet.
    pages: [u32; PAGES],
}

impl Buffer {
    /// An empty one.
    #[must_use]
    pub const fn new(key: &KeyWords) -> Self {
        Self {
            head: Head::new(key),
            tokens: Tokens::NONE,
            runs: [Run {
                position: 0,
                at: 0,
                len: 0,
            }; RUNS],
            begun: 0,
            done: 0,
            at: 0,
            reserved: 0,
            pages: [0; PAGES],
        }
    }

    /// Forgets everything; its pages it keeps.
    #[inline(always)]
    pub const fn clear(&mut self) {
        self.forget_bytes();
        self.tokens.clear();
    }

    #[inline(always)]
    const fn forget_bytes(&mut self) {
        self.begun = 0;
        self.done = 0;
        self.at = 0;
    }

    #[inline(always)]
    const fn run(&self, number: u32) -> &Run {
        &self.runs[number as usize & (RUNS - 1)]
    }

    /// Gives back what the server has: everything before `acked`.
    #[inline(always)]
    pub const fn free(&mut self, acked: u64) {
        if self.begun == self.done {
            return;
        }
        let last = self.run(self.begun.wrapping_sub(1));
        if last.position + last.len as u64 <= acked {
            self.forget_bytes();
            return;
        }
        let mut i = 0;
        while i < FREED {
            let run = self.run(self.done);
            if run.position + run.len as u64 > acked {
                break;
            }
            self.done = self.done.wrapping_add(1);
            i += 1;
        }
    }

    /// The place of the page on which the next byte goes.
    #[inline(always)]
    const fn slot(at: u32) -> usize {
        (at / PAGE) as usize & (PAGES - 1)
    }

    /// Whether there is no page yet for the next byte.
    #[inline(always)]
    #[must_use]
    pub const fn lacks_page(&self) -> bool {
        self.pages[Self::slot(self.at)] == 0
    }

    /// Takes a page for the next bytes, by its number plus one.
    #[inline(always)]
    pub const fn add_page(&mut self, page: u32) {
        self.pages[Self::slot(self.at)] = page;
    }

    /// Gives a page back, by its place: its number plus one, or 0.
    #[inline(always)]
    pub const fn take_page(&mut self, place: usize) -> u32 {
        let page = self.pages[place & (PAGES - 1)];
        self.pages[place & (PAGES - 1)] = 0;
        page
    }

    /// Makes room for some of the `len` bytes (at least 1) that stand at `position`, the first
    /// ones, on the page at hand; `None` if there is none. Positions only grow.
    #[inline(always)]
    pub const fn reserve(&mut self, position: u64, len: u32) -> Option<Room> {
        let at = self.at % PAGE;
        let mut room = PAGE - at;
        let live = self.begun.wrapping_sub(self.done);
        if live > 0 {
            let free = CAPACITY.wrapping_sub(self.at.wrapping_sub(self.run(self.done).at));
            if free < room {
                room = free;
            }
        }
        if len < room {
            room = len;
        }
        if room == 0 {
            return None;
        }
        let last = &mut self.runs[self.begun.wrapping_sub(1) as usize & (RUNS - 1)];
        if live > 0 && at > 0 && last.position + last.len as u64 == position {
            last.len += room;
        } else if (live as usize) < RUNS {
            self.runs[self.begun as usize & (RUNS - 1)] = Run {
                position,
                at: self.at,
                len: room,
            };
            self.begun = self.begun.wrapping_add(1);
        } else {
            return None;
        }
        let page = self.pages[Self::slot(self.at)];
        self.at = self.at.wrapping_add(room);
        Some(Room {
            page,
            at,
            len: room,
        })
    }

    /// Makes room for `len` bytes that stand at `position`, if nothing is kept and the page for them is there: what
    /// [`reserve`](Self::reserve) does then, for callers who have not the stack for all else that it does.
    #[inline(always)]
    pub(crate) const fn begin_with(&mut self, position: u64, len: u32) -> Option<Room> {
        let page = self.pages[0];
        if self.begun != 0 || self.at != 0 || page == 0 || len > PAGE {
            return None;
        }
        self.runs[0] = Run {
            position,
            at: 0,
            len,
        };
        self.begun = 1;
        self.at = len;
        Some(Room { page, at: 0, len })
    }

    /// Where what stands at `at` is: its page's number plus one, and the offset there.
    #[inline(always)]
    pub(super) const fn place(&self, at: u32) -> (u32, u32) {
        (self.pages[Self::slot(at)], at % PAGE)
    }

    /// The number of the oldest run.
    #[inline(always)]
    pub(super) const fn oldest(&self) -> u32 {
        self.done
    }

    /// One more than that of the newest.
    #[inline(always)]
    pub(super) const fn newest(&self) -> u32 {
        self.begun
    }

    /// A run's position, place and length.
    #[inline(always)]
    pub(super) const fn at_run(&self, number: u32) -> (u64, u32, u32) {
        let run = self.run(number);
        (run.position, run.at, run.len)
    }
}
