//! What is done turn by turn, for the kernel looks at a loop's body once: comparing, reading, keeping, judging again.

use super::{Host, Keeping, Turns, Work, ending};
use crate::{
    digest::Digest,
    reason::Reason,
    stream::{Buffer, COPY, PAGE, PAGES, PIECES, Turn},
};

/// Compares what is repeated with what was kept.
pub(super) struct Comparing<'a, H> {
    pub(super) work: &'a mut Work,
    pub(super) buffer: &'a Buffer,
    pub(super) host: &'a H,
}

impl<H: Host> Turns for Comparing<'_, H> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Work {
            segment,
            comparison,
            ..
        } = &mut *self.work;
        let host = self.host;
        comparison.turn(
            self.buffer,
            |offset, len| host.word(segment, offset, len),
            |page, at| host.kept(page, at),
        )
    }
}

/// Judges again the tokens of requests that are on their way.
pub(super) struct Again<'a, H> {
    pub(super) work: &'a mut Work,
    pub(super) buffer: &'a Buffer,
    pub(super) host: &'a mut H,
}

impl<H: Host> Turns for Again<'_, H> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Some(digest) = self.buffer.tokens.get(self.work.again) else {
            return true;
        };
        if self.host.verdict(digest) as u8 != Reason::Allowed as u8 {
            return true;
        }
        self.work.again += 1;
        false
    }
}

/// Reads what is new.
pub(super) struct Reading<'a, H> {
    pub(super) work: &'a mut Work,
    pub(super) host: &'a mut H,
}

impl<H: Host> Turns for Reading<'_, H> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Work {
            segment,
            reader,
            window,
            ..
        } = &mut *self.work;
        let rules = self.host.rules();
        match reader.turn(window, &rules, |window, offset, len| {
            self.host.fill(segment, offset, len, window)
        }) {
            Turn::Going => false,
            Turn::Request(credential) => {
                if self.request(credential) {
                    return true;
                }
                let is_end = self.work.reader.go_on();
                if is_end {
                    self.work.ending = ending::WHOLE;
                }
                is_end
            }
            Turn::Lost(reason) => {
                self.work.ending = if self.host.deny(self.work, reason) {
                    ending::DENIED
                } else {
                    ending::LOST
                };
                true
            }
            Turn::End => {
                self.work.ending = ending::WHOLE;
                true
            }
        }
    }
}

impl<H: Host> Reading<'_, H> {
    /// Decides on a request; true when the segment is to be dropped.
    #[inline(always)]
    fn request(&mut self, credential: Result<Digest, Reason>) -> bool {
        let reason = match credential {
            Ok(digest) => {
                self.work.digest = digest;
                self.host.verdict(&self.work.digest)
            }
            Err(reason) => {
                self.work.digest = Digest::NONE;
                reason
            }
        };
        let reason = if reason as u8 == Reason::Allowed as u8 && self.asks_too_late() {
            Reason::UpgradeRefused
        } else {
            reason
        };
        if reason as u8 == Reason::Allowed as u8 {
            self.work.allowed += 1;
            self.work.tokens.add(&self.work.digest);
            return false;
        }
        if self.host.deny(self.work, reason) {
            self.work.ending = ending::DENIED;
            return true;
        }
        false
    }

    /// Whether the request would make something else of a connection that has had others.
    #[inline(always)]
    fn asks_too_late(&self) -> bool {
        let Work {
            reader, connection, ..
        } = &*self.work;
        (reader.head.wants_upgrade() || reader.head.is_connect())
            && !(connection.is_first() && reader.is_first())
    }
}

impl Keeping {
    pub(super) const NONE: Self = Self {
        piece: 0,
        page: 0,
        from: 0,
        at: 0,
        len: 0,
        reserved: 0,
    };

    /// An upper bound on the turns it takes to keep all pieces.
    pub(super) const TURNS: u32 = PAGES as u32 * (PAGE / COPY + 2) + 4 * PIECES as u32;
}

/// Keeps the deciding bytes of what was read.
pub(super) struct Keeps<'a, H> {
    pub(super) work: &'a mut Work,
    pub(super) buffer: &'a mut Buffer,
    pub(super) host: &'a H,
}

impl<H: Host> Turns for Keeps<'_, H> {
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Work {
            segment,
            connection,
            plan,
            reader,
            keeping,
            ..
        } = &mut *self.work;
        if keeping.len == 0 {
            if keeping.piece >= reader.read.count {
                return true;
            }
            let piece = reader.read.pieces[keeping.piece as usize & (PIECES - 1)];
            let from = piece.from.max(keeping.from);
            let position = plan.position.wrapping_add(u64::from(from));
            if self.buffer.lacks_page() {
                let page = self.host.page();
                self.buffer.add_page(page);
            }
            let room = if self.buffer.lacks_page() {
                None
            } else {
                self.buffer.reserve(position, piece.to - from)
            };
            match room {
                Some(room) => {
                    keeping.from = from;
                    keeping.page = room.page;
                    keeping.at = room.at;
                    keeping.len = room.len;
                }
                None => {
                    let until = plan.position.wrapping_add(u64::from(piece.to));
                    connection.mark_unkept(position, until);
                    keeping.piece += 1;
                    return keeping.piece >= reader.read.count;
                }
            }
        }
        let len = keeping.len.min(COPY);
        // They are there: they were read.
        let _ = self
            .host
            .keep(segment, keeping.from, len, keeping.page, keeping.at);
        keeping.from += len;
        keeping.at += len;
        keeping.len -= len;
        let piece = reader.read.pieces[keeping.piece as usize & (PIECES - 1)];
        if keeping.from >= piece.to {
            keeping.piece += 1;
        }
        keeping.len == 0 && keeping.piece >= reader.read.count
    }
}
