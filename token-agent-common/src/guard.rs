//! What becomes of a segment, on a connection that is known.
//!
//! In this order: what every packet must fulfil; where the segment stands in the stream; whether
//! what it repeats is what passed before; the requests in what is new; and only when all of it
//! passes, what is known of the connection changes.

mod turns;

use turns::{Again, Comparing, Keeps, Reading};

use crate::{
    digest::{Digest, KeyWords},
    http1::Rules,
    packet::Segment,
    reason::Reason,
    stream::{
        Arrival, Buffer, Comparison, Connection, PIECES, Piece, Plan, Read, Reader, Room, Seen,
        Tokens,
    },
    window::{self, Window},
};

/// What is needed while one segment is judged.
#[derive(Debug)]
#[repr(C)]
pub struct Work {
    /// The segment.
    pub segment: Segment,
    /// What is known of its connection: a copy, that takes effect when it is put back.
    pub connection: Connection,
    /// What was seen of the server.
    pub seen: Seen,
    plan: Plan,
    comparison: Comparison,
    /// Reads the new bytes.
    pub reader: Reader,
    window: Window,
    /// The digest of the credential at hand, zero if there is none.
    pub digest: Digest,
    /// Requests allowed so far.
    pub allowed: u32,
    /// How reading ended; see [`ending`].
    ending: u32,
    keeping: Keeping,
    /// 1 if it matters how the server's next answer begins.
    pub asks: u32,
    /// The number of the token that is judged again.
    again: u32,
    /// The tokens of the requests that are allowed.
    tokens: Tokens,
}

/// How far keeping has come.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Keeping {
    /// The number of the piece at hand.
    piece: u32,
    /// Where it goes: the page, by its number plus one.
    page: u32,
    /// Offset in the payload of its next byte.
    from: u32,
    /// Where on the page that goes.
    at: u32,
    /// For how many bytes there is room.
    len: u32,
    reserved: u32,
}

impl Work {
    /// Nothing to do.
    #[must_use]
    pub const fn new(key: &KeyWords) -> Self {
        Self {
            segment: Segment::NONE,
            connection: Connection::FREE,
            seen: Seen::NONE,
            plan: Plan::NONE,
            comparison: Comparison::NONE,
            reader: Reader::new(key),
            window: Window::new(),
            digest: Digest::NONE,
            allowed: 0,
            ending: ending::UNFINISHED,
            keeping: Keeping::NONE,
            asks: 0,
            again: 0,
            tokens: Tokens::NONE,
        }
    }

    /// Forgets what was found out of the segment before.
    #[inline(always)]
    pub const fn begin(&mut self) {
        self.allowed = 0;
        self.asks = 0;
        self.tokens.clear();
        self.digest = Digest::NONE;
        self.reader.head.reset();
        self.reader.have_ready(0);
    }

    /// Has `fill` put the payload's first bytes into the window, as many as asked for, before it is known whether they are
    /// to be read.
    #[inline(always)]
    pub fn look_ahead(&mut self, fill: impl FnOnce(&Segment, u32, &mut Window) -> bool) {
        let count = self.segment.len.min(window::CAPACITY as u32);
        if count > 0 && fill(&self.segment, count, &mut self.window) {
            self.reader.have_ready(count);
        }
    }
}

/// How reading ended.
mod ending {
    pub(super) const UNFINISHED: u32 = 0;
    /// At the segment's end.
    pub(super) const WHOLE: u32 = 1;
    /// With a denial that is carried out.
    pub(super) const DENIED: u32 = 2;
    /// With one that is not, behind which nothing can be judged.
    pub(super) const LOST: u32 = 3;
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Fate {
    /// It passes; what is known of the connection has changed as it should.
    Pass = 0,
    /// It does not.
    Drop = 1,
    /// Its bytes are to be [read](read).
    Read = 2,
    /// It passes, once [`commit`] has noted what it means.
    Commit = 3,
}

/// Why a segment does not pass, and whether nothing passes after it.
#[derive(Clone, Copy)]
struct Refusal {
    reason: Reason,
    kills: bool,
}

impl Refusal {
    #[inline(always)]
    const fn drop(reason: Reason) -> Self {
        Self {
            reason,
            kills: false,
        }
    }

    #[inline(always)]
    const fn kill(reason: Reason) -> Self {
        Self {
            reason,
            kills: true,
        }
    }
}

/// What the guard needs of where it runs.
pub trait Host {
    /// Calls `turns` until it says that it is done, at most `count` times.
    fn repeat<T: Turns>(count: u32, turns: &mut T);

    /// Puts `len` bytes of the payload, from `offset` on, into the window; false if they are not there.
    fn fill(&self, segment: &Segment, offset: u32, len: u32, window: &mut Window) -> bool;

    /// `len` (1 to 8) bytes of the payload, from `offset` on.
    fn word(&self, segment: &Segment, offset: u32, len: u32) -> Option<u64>;

    /// A page that is nobody's, by its number plus one; 0 if there are no more.
    fn page(&self) -> u32;

    /// Copies `len` (1 to [`COPY`]) bytes of the payload, from `offset` on, to a page's byte
    /// `at`; false if they are not there.
    fn keep(&self, segment: &Segment, offset: u32, len: u32, page: u32, at: u32) -> bool;

    /// The same of bytes that stand at `from` in the window.
    fn keep_read(&self, window: &Window, from: u32, len: u32, page: u32, at: u32) -> bool;

    /// The eight bytes from a page's byte `at` on.
    fn kept(&self, page: u32, at: u32) -> Option<u64>;

    /// How requests are read here.
    fn rules(&self) -> Rules<'_>;

    /// The verdict on a credential.
    fn verdict(&mut self, digest: &Digest) -> Reason;

    /// Counts and reports a denial of what `work` holds; says whether it is to be carried out.
    fn deny(&mut self, work: &mut Work, reason: Reason) -> bool;
}

/// Something that is done turn by turn.
pub trait Turns {
    /// One turn; true when it was the last.
    fn turn(&mut self) -> bool;
}

/// Where a segment stands in its connection, and whether what it repeats is what passed before.
/// `buffer` is the connection's, if it has one.
#[inline(always)]
pub fn meet<H: Host>(work: &mut Work, buffer: Option<&Buffer>, host: &mut H, now: u32) -> Fate {
    match place(work, buffer, host, now) {
        Ok(fate) => fate,
        Err(refusal) => refuse(work, refusal, host),
    }
}

#[inline(always)]
fn place<H: Host>(
    work: &mut Work,
    buffer: Option<&Buffer>,
    host: &mut H,
    now: u32,
) -> Result<Fate, Refusal> {
    if let Some(reason) = work.connection.fault() {
        return Err(Refusal::drop(reason));
    }
    match work.connection.admit(&work.segment, &work.seen, now) {
        Ok(()) => {}
        Err(Reason::Undelivered) if may_still_pass(work, buffer, host) => {
            work.connection.renew(now);
        }
        // What one packet claims to have received is no fault of the connection's.
        Err(Reason::BadPacket) => return Err(Refusal::drop(Reason::BadPacket)),
        Err(reason) => return Err(Refusal::kill(reason)),
    }
    let Work {
        segment,
        connection,
        seen,
        plan,
        ..
    } = work;
    connection.touch(now);
    match connection.arrive(segment, seen, plan) {
        Arrival::Pass | Arrival::Opaque => return Ok(Fate::Pass),
        Arrival::Close => {
            connection.close();
            return Ok(Fate::Pass);
        }
        Arrival::Drop(reason) => return Err(Refusal::drop(reason)),
        Arrival::Kill(reason) => return Err(Refusal::kill(reason)),
        Arrival::Read => {}
    }
    let place = connection.place();
    match buffer {
        Some(buffer) => {
            if work.plan.compares() && !is_repetition(work, buffer, &*host) {
                return Err(Refusal::kill(Reason::ChangedRetransmission));
            }
            if place.is_settled() {
                work.reader.head.resume(place);
            } else {
                work.reader.head.restore(&buffer.head);
            }
        }
        None if place.is_settled() => work.reader.head.resume(place),
        // What cannot be.
        None => return Err(Refusal::drop(Reason::TableFull)),
    }
    work.reader.begin(work.plan.read_from, work.segment.len);
    work.ending = ending::UNFINISHED;
    Ok(Fate::Read)
}

/// Whether the requests that are on their way would be allowed now.
#[inline(always)]
fn may_still_pass<H: Host>(work: &mut Work, buffer: Option<&Buffer>, host: &mut H) -> bool {
    let Some(buffer) = buffer else {
        return false;
    };
    if !buffer.tokens.is_whole() {
        return false;
    }
    work.again = 0;
    H::repeat(Tokens::MAX, &mut Again { work, buffer, host });
    buffer.tokens.get(work.again).is_none()
}

/// Whether the bytes that the segment repeats are those that were kept.
#[inline(always)]
fn is_repetition<H: Host>(work: &mut Work, buffer: &Buffer, host: &H) -> bool {
    work.comparison.begin(&work.plan, buffer);
    H::repeat(
        Comparison::TURNS,
        &mut Comparing {
            work: &mut *work,
            buffer,
            host,
        },
    );
    !work.comparison.differs()
}

/// Reads what is new in the segment.
#[inline(always)]
pub fn read<H: Host>(work: &mut Work, host: &mut H) {
    let count = Reader::turns(work.segment.len - work.plan.read_from);
    H::repeat(count, &mut Reading { work, host });
}

/// What becomes of the segment, now that it was read.
#[inline(always)]
pub fn conclude<H: Host>(work: &mut Work, host: &mut H) -> Fate {
    match work.ending {
        ending::WHOLE if work.plan.ends == 0 || work.reader.read.place.may_end() => Fate::Commit,
        ending::DENIED => Fate::Drop,
        ending::LOST => {
            work.connection.lose();
            Fate::Pass
        }
        // Its sender ends the stream in the middle of something that decides: nothing can follow.
        _ => refuse(work, Refusal::kill(Reason::Malformed), host),
    }
}

/// Denies the segment.
#[inline(always)]
fn refuse<H: Host>(work: &mut Work, refusal: Refusal, host: &mut H) -> Fate {
    if !host.deny(work, refusal.reason) {
        work.connection.lose();
        return Fate::Pass;
    }
    if refusal.kills {
        work.connection.kill(refusal.reason);
    }
    Fate::Drop
}

/// Whether [`commit`] can make use of a buffer.
#[inline(always)]
#[must_use]
pub const fn wants_buffer(work: &Work) -> bool {
    work.reader.read.count > 0
}

/// Keeps what decides in the segment, if it is what it mostly is: one piece, that still stands in the window, on a connection
/// of which nothing else is kept.
#[inline(always)]
fn keep_at_once<H: Host>(work: &Work, buffer: &mut Buffer, host: &H) -> bool {
    let Read { pieces, count, .. } = &work.reader.read;
    let [Piece { from, to }, ..] = *pieces;
    if *count != 1 {
        return *count == 0;
    }
    let len = to - from;
    let Some(place) = work.reader.in_window(from, len) else {
        return false;
    };
    let position = work.plan.position.wrapping_add(u64::from(from));
    let Some(Room { page, at, len }) = buffer.begin_with(position, len) else {
        return false;
    };
    // It is there: it was read.
    let _ = host.keep_read(&work.window, place, len, page, at);
    true
}

/// Notes what the segment means that was judged, and keeps its deciding bytes. `buffer` is the
/// connection's.
#[inline(always)]
pub fn commit<H: Host>(
    work: &mut Work,
    buffer: Option<&mut Buffer>,
    host: &mut H,
    now: u32,
) -> Fate {
    let is_settled = work.reader.read.place.is_settled();
    if let Some(buffer) = buffer {
        buffer.free(work.seen.acked);
        if work.connection.has_delivered(work.seen.acked) {
            buffer.tokens.clear();
        }
        buffer.tokens.add_all(&work.tokens);
        if !keep_at_once(work, buffer, &*host) {
            work.keeping = Keeping::NONE;
            H::repeat(
                Keeping::TURNS,
                &mut Keeps {
                    work: &mut *work,
                    buffer: &mut *buffer,
                    host: &*host,
                },
            );
        }
        if !is_settled {
            buffer.head.restore(&work.reader.head);
        }
    } else if is_settled {
        let read = &work.reader.read;
        if read.count > 0 {
            let position = work.plan.position;
            let last = read.pieces[(read.count as usize - 1) & (PIECES - 1)];
            work.connection.mark_unkept(
                position.wrapping_add(u64::from(read.pieces[0].from)),
                position.wrapping_add(u64::from(last.to)),
            );
        }
    } else {
        // Where to go on could not be remembered.
        return refuse(work, Refusal::drop(Reason::TableFull), host);
    }
    let Work {
        connection,
        plan,
        reader,
        seen,
        ..
    } = work;
    work.asks = u32::from(connection.commit(plan, &reader.read, seen.acked, now));
    Fate::Pass
}
