//! Where a stream stands between two requests and in a body, in a few bytes.

use bytemuck::{Pod, Zeroable};

use super::{Head, option, phase, seen};
use crate::words;

/// Where a stream of requests stands. Between two requests and in an opaque stretch it is
/// all there is to remember; all zero, it is the start of a request.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Place {
    /// In an opaque stretch, the bytes left of it; before, what was read of its length.
    pub(super) opaque: u64,
    /// See [`phase`].
    pub(super) phase: u32,
    /// See [`seen`].
    pub(super) seen: u32,
}

const _: () = assert!(size_of::<Place>() == 16);

/// What a byte is part of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The first of a request, or the end.
    Between,
    /// A head, or the empty lines before it.
    Head,
    /// The header of the PROXY protocol.
    Proxy,
    /// A body of known length.
    Body,
    /// The line with a chunk's size.
    ChunkLine,
    /// A chunk's data.
    ChunkData,
    /// The CRLF behind it.
    ChunkEnd,
    /// Trailers, or the empty line behind a body in chunks.
    Trailers,
    /// What is no HTTP any more.
    Tunnel,
}

impl Place {
    /// Before a request.
    pub const START: Self = Self {
        opaque: 0,
        phase: phase::START,
        seen: 0,
    };

    /// In a connection that became something else than HTTP.
    pub const TUNNEL: Self = Self {
        opaque: u64::MAX,
        phase: phase::TUNNEL,
        seen: 0,
    };

    /// Before the first request of a connection to a service with these
    /// [options](super::option).
    #[inline(always)]
    #[must_use]
    pub const fn first(options: u32) -> Self {
        if options & option::PROXY_PROTOCOL == 0 {
            return Self::START;
        }
        Self {
            phase: phase::PROXY_START,
            ..Self::START
        }
    }

    /// What the next byte is part of.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self.phase {
            phase::START | phase::PROXY_START => Part::Between,
            phase::BODY => Part::Body,
            phase::CHUNK_DATA => Part::ChunkData,
            phase::TUNNEL => Part::Tunnel,
            phase::CHUNK_SIZE..=phase::CHUNK_LF => Part::ChunkLine,
            phase::DATA_CR | phase::DATA_LF => Part::ChunkEnd,
            phase::PROXY_V1..=phase::PROXY_V2_REST => Part::Proxy,
            _ if self.seen & seen::TRAILERS != 0 => Part::Trailers,
            _ => Part::Head,
        }
    }

    /// Whether the stream may end here: between requests, or in a body, which is then cut short.
    #[inline(always)]
    #[must_use]
    pub const fn may_end(&self) -> bool {
        self.is_between() || self.is_opaque()
    }

    /// Whether this is all there is to remember: it stands between requests, before opaque bytes, or
    /// right behind them.
    #[inline(always)]
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.may_end() || self.phase == phase::DATA_CR
    }

    /// Whether the connection became something else than HTTP.
    #[inline(always)]
    #[must_use]
    pub const fn is_tunnel(&self) -> bool {
        self.phase == phase::TUNNEL
    }

    /// Whether nothing of a request was read, nor of the PROXY header before the
    /// first one: a stream may end here.
    #[inline(always)]
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.phase == phase::START || self.phase == phase::PROXY_START
    }

    /// Whether the next byte is opaque: of a body or of a chunk's data.
    #[inline(always)]
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        self.phase >= phase::BODY
    }

    /// How many bytes from here on are opaque; 0 if the next one decides.
    #[inline(always)]
    #[must_use]
    pub const fn opaque(&self) -> u64 {
        if self.is_opaque() { self.opaque } else { 0 }
    }

    /// Goes over `count` opaque bytes, at most as many as there are. Behind the last
    /// one stands what follows it.
    #[inline(always)]
    pub const fn pass(&mut self, count: u64) {
        if !self.is_opaque() {
            return;
        }
        self.opaque = self.opaque.saturating_sub(count);
        if self.opaque == 0 {
            self.phase = if self.phase == phase::CHUNK_DATA {
                phase::DATA_CR
            } else {
                phase::START
            };
        }
    }
}

impl Head {
    /// Where the stream stands. Enough to [`resume`](Self::resume) from if that is
    /// [between](Self::is_between) two requests or [opaque](Self::is_opaque).
    #[inline(always)]
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Goes on where another head stood.
    #[inline(always)]
    pub const fn resume(&mut self, place: Place) {
        self.reset();
        self.place = place;
    }

    /// See [`Place::is_between`].
    #[inline(always)]
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.place.is_between()
    }

    /// See [`Place::is_opaque`].
    #[inline(always)]
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        self.place.is_opaque()
    }

    /// See [`Place::opaque`].
    #[inline(always)]
    #[must_use]
    pub const fn opaque(&self) -> u64 {
        self.place.opaque()
    }

    /// See [`Place::pass`].
    #[inline(always)]
    pub const fn pass(&mut self, count: u64) {
        self.place.pass(count);
    }

    /// Becomes what `other` is, all of it.
    #[inline(always)]
    pub fn restore(&mut self, other: &Self) {
        words::copy(other, self, 0);
    }

    /// Goes on behind a request that was told: to its body, or to the next request.
    #[inline(always)]
    pub const fn go_on(&mut self) {
        let Place { opaque, seen, .. } = self.place;
        self.reset();
        if seen & seen::TRANSFER_ENCODING != 0 {
            self.place.phase = phase::CHUNK_SIZE;
        } else if opaque > 0 {
            self.place.phase = phase::BODY;
            self.place.opaque = opaque;
        }
    }
}
