//! Linux's TCP, as far as it decides what an application reads: a listening socket, with
//! or without SYN cookies, and behind it one [`Socket`] at a time.
//!
//! Where Linux's memory or timing decides, [`Options`] do, so that a guard meets all of it.

mod socket;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket::Socket;

use super::{Action, Coalescing, Connection, Receiver};
use crate::{
    frame::{ACK, FIN, RST, SYN},
    model::segment::{Segment, ServerPacket, Time, ahead},
};

/// Option kinds.
const FAST_OPEN: u8 = 34;
const MULTIPATH: u8 = 30;
const SELECTIVE_ACKS: u8 = 4;

const SEGMENT_SIZE: u8 = 2;

/// The segment sizes that a SYN cookie can tell of.
const SIZES: [u16; 4] = [536, 1_300, 1_440, 1_460];

/// A Fast Open cookie.
const COOKIE: [u8; 4] = *b"biscuit!".first_chunk().expect("it is longer");

/// When a SYN-ACK is sent again, as long as nothing answers it.
const SYN_ACK_RETRY: Duration = Duration::from_secs(1);

/// What differs from host to host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The first connection's initial sequence number; later ones differ.
    pub isn: u32,
    /// Whether a handshake is remembered in cookies and not by the listener: any of several may be finished.
    pub cookies: bool,
    /// By how much a minute's cookies are ahead of those of the minute before; any number, as the hash will have it.
    pub minute: u32,
    /// Whether data on a SYN is taken from who has a cookie (RFC 7413).
    pub fast_open: bool,
    /// Whether Multipath TCP is spoken (RFC 8684).
    pub multipath: bool,
    /// Size of the receive buffer: what is beyond is dropped.
    pub buffer: usize,
    /// After how many segments an ACK is sent at once; others wait.
    pub segments_per_ack: u32,
    /// Whether this is Linux 6.1 rather than 6.18, which drops more: what ends beyond the window while something is
    /// unread, what acknowledges bytes before the first one, a reset of a handshake that is not exact.
    pub is_old: bool,
    /// When segments in the queue become one.
    pub coalescing: Coalescing,
    /// Whether a connection that this side has closed is forgotten at once, as if there were no room for any that
    /// waits (`tcp_max_tw_buckets`) or its time were over.
    pub forgets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            isn: 1_000_000,
            cookies: false,
            minute: 0x9e37_79b9,
            fast_open: false,
            multipath: false,
            buffer: 65_535,
            segments_per_ack: 1,
            is_old: false,
            coalescing: Coalescing::Never,
            forgets: false,
        }
    }
}

/// A handshake under way.
#[derive(Clone, Copy, Debug)]
struct Embryo {
    client_isn: u32,
    server_isn: u32,
    /// Which of [`SIZES`] a cookie tells of.
    size: i32,
    is_multipath: bool,
    has_selective_acks: bool,
    offers_cookie: bool,
    retry_at: Time,
    retries: u32,
}

/// The host.
#[derive(Debug)]
pub struct Linux {
    options: Options,
    /// Handshakes: one, or with cookies any number, which are not sent again.
    embryos: Vec<Embryo>,
    socket: Option<Socket>,
    /// What the last socket expected next, and what it would have sent, if it waits (RFC 9293, TIME-WAIT).
    waiting: Option<(u32, u32)>,
    connections: Vec<Connection>,
    next_isn: u32,
}

impl Linux {
    /// A host with a listening socket.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            next_isn: options.isn,
            options,
            embryos: Vec::new(),
            socket: None,
            waiting: None,
            connections: Vec::new(),
        }
    }

    fn listen(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        if segment.has(RST) {
            return;
        }
        if segment.has(ACK) {
            let is_answer = self.options.cookies && !segment.has(SYN);
            let finished = is_answer.then(|| self.finished(segment));
            match finished.flatten() {
                Some(embryo) => self.accept(embryo, segment, now, out),
                None => out.push(reset(segment.acknowledgment)),
            }
            return;
        }
        if !segment.has(SYN) || segment.has(FIN) {
            return;
        }
        let server_isn = if self.options.cookies {
            let cookie = self.cookie(segment.sequence, now);
            cookie.wrapping_add_signed(size(segment))
        } else {
            self.next_isn
        };
        self.next_isn = self.next_isn.wrapping_add(0x1357_9bdf);
        self.offer(segment, server_isn, now, out);
    }

    fn offer(&mut self, syn: &Segment, server_isn: u32, now: Time, out: &mut Vec<ServerPacket>) {
        let cookie = option(syn, FAST_OPEN);
        let embryo = Embryo {
            client_isn: syn.sequence,
            server_isn,
            size: size(syn),
            is_multipath: self.options.multipath && option(syn, MULTIPATH).is_some(),
            // Without timestamps, a cookie has no room for that.
            has_selective_acks: option(syn, SELECTIVE_ACKS).is_some() && !self.options.cookies,
            offers_cookie: self.options.fast_open && cookie.is_some_and(<[u8]>::is_empty),
            retry_at: now + SYN_ACK_RETRY,
            retries: 0,
        };
        if self.options.fast_open && cookie == Some(&COOKIE[..]) {
            out.push(self.syn_ack(&embryo));
            self.open(&embryo);
            let data = Segment {
                sequence: syn.sequence.wrapping_add(1),
                acknowledgment: server_isn.wrapping_add(1),
                flags: ACK,
                ..syn.clone()
            };
            self.established(&data, now, out);
            return;
        }
        out.push(self.syn_ack(&embryo));
        if !self.options.cookies {
            self.embryos.clear();
        }
        self.embryos.push(embryo);
    }

    /// A SYN cookie: the same for the same SYN, for about a minute. Meanwhile they differ as the clients' numbers do.
    fn cookie(&self, client_isn: u32, now: Time) -> u32 {
        let minute = (now.as_secs() / 64) as u32;
        let ahead = minute.wrapping_mul(self.options.minute);
        self.options
            .isn
            .wrapping_add(ahead)
            .wrapping_add(client_isn)
    }

    /// The handshake that this segment finishes, of those that are in cookies. A cookie binds the client's number, its
    /// own and the index of a segment size in one sum, so that numbers nearby fit as well, with other sizes.
    fn finished(&self, segment: &Segment) -> Option<Embryo> {
        let client_isn = segment.sequence.wrapping_sub(1);
        let server_isn = segment.acknowledgment.wrapping_sub(1);
        let fits = |embryo: &&Embryo| {
            let size = embryo
                .size
                .saturating_sub(ahead(client_isn, embryo.client_isn))
                .saturating_add(ahead(server_isn, embryo.server_isn));
            (0..SIZES.len() as i32).contains(&size)
        };
        let embryo = self.embryos.iter().find(fits)?;
        Some(Embryo {
            client_isn,
            server_isn,
            ..*embryo
        })
    }

    /// A segment for the one handshake that the listener remembers.
    fn handshake(
        &mut self,
        embryo: Embryo,
        segment: &Segment,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) {
        let expected = embryo.client_isn.wrapping_add(1);
        if segment.flags & (SYN | ACK | FIN | RST) == SYN && segment.sequence == embryo.client_isn {
            out.push(self.syn_ack(&embryo));
            return;
        }
        if segment.has(ACK)
            && !segment.has(RST)
            && segment.acknowledgment != embryo.server_isn.wrapping_add(1)
        {
            out.push(reset(segment.acknowledgment));
            return;
        }
        let window = i32::try_from(self.options.buffer.min(65_535)).expect("it is small");
        let in_window = segment.sequence == expected
            || ahead(segment.end(), expected) > 0 && ahead(segment.sequence, expected) < window;
        if !in_window {
            if !segment.has(RST) {
                out.push(Segment {
                    sequence: embryo.server_isn.wrapping_add(1),
                    acknowledgment: expected,
                    flags: ACK,
                    window: self.window(),
                    ..Segment::default()
                });
            }
            return;
        }
        if segment.has(RST) && segment.sequence != expected && !self.options.is_old {
            return;
        }
        // A SYN that is the one that began it is cut off.
        let is_other_syn = segment.has(SYN) && segment.sequence != embryo.client_isn;
        if segment.has(RST) || is_other_syn {
            if !segment.has(RST) {
                out.push(reset(segment.acknowledgment));
            }
            self.embryos.clear();
            return;
        }
        if segment.has(ACK) {
            self.accept(embryo, segment, now, out);
        }
    }

    fn accept(
        &mut self,
        embryo: Embryo,
        segment: &Segment,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) {
        self.open(&embryo);
        self.established(segment, now, out);
    }

    fn open(&mut self, embryo: &Embryo) {
        if !self.options.cookies {
            self.embryos.clear();
        }
        self.waiting = None;
        self.socket = Some(Socket::new(&self.options, embryo));
        self.connections.push(Connection::new(embryo.is_multipath));
    }

    fn established(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        if let (Some(socket), Some(connection)) = (&mut self.socket, self.connections.last_mut()) {
            socket.receive(segment, connection, now, out);
        }
        self.tidy();
    }

    /// Forgets a socket that is through.
    fn tidy(&mut self) {
        if let Some(socket) = self.socket.take_if(|socket| socket.is_dead()) {
            self.waiting = socket.waits().filter(|_| !self.options.forgets);
        }
    }

    /// A segment for a connection that this side has closed first.
    fn wait(&mut self, next: (u32, u32), segment: &Segment, now: Time, out: &mut Vec<Segment>) {
        let (expected, sequence) = next;
        if segment.has(RST) {
            if segment.sequence == expected {
                self.waiting = None;
            }
            return;
        }
        if segment.flags & (SYN | ACK) == SYN && ahead(segment.sequence, expected) > 0 {
            self.waiting = None;
            self.offer(segment, sequence.wrapping_add(65_537), now, out);
            return;
        }
        out.push(Segment {
            sequence,
            acknowledgment: expected,
            flags: ACK,
            window: self.window(),
            ..Segment::default()
        });
    }

    fn syn_ack(&self, embryo: &Embryo) -> ServerPacket {
        let mut options = Vec::new();
        if embryo.is_multipath {
            options.extend([MULTIPATH, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
        if embryo.has_selective_acks {
            options.extend([SELECTIVE_ACKS, 2, 1, 1]);
        }
        if embryo.offers_cookie {
            options.extend([FAST_OPEN, 2 + COOKIE.len() as u8]);
            options.extend(COOKIE);
            options.extend([1, 1]);
        }
        Segment {
            sequence: embryo.server_isn,
            acknowledgment: embryo.client_isn.wrapping_add(1),
            flags: SYN | ACK,
            window: self.window(),
            options,
            ..Segment::default()
        }
    }

    fn window(&self) -> u16 {
        u16::try_from(self.options.buffer).unwrap_or(u16::MAX)
    }
}

impl Receiver for Linux {
    fn receive(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        if segment.is_corrupt {
            return;
        }
        if self.socket.is_some() {
            self.established(segment, now, out);
        } else if let Some(next) = self.waiting {
            self.wait(next, segment, now, out);
        } else if let (false, Some(&embryo)) = (self.options.cookies, self.embryos.first()) {
            self.handshake(embryo, segment, now, out);
        } else {
            self.listen(segment, now, out);
        }
    }

    fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        if let Some(socket) = &mut self.socket {
            socket.poll(now, out);
        }
        if self.options.cookies || self.socket.is_some() {
            return;
        }
        if let Some(embryo) = self.embryos.first_mut()
            && embryo.retry_at <= now
        {
            embryo.retries += 1;
            embryo.retry_at = now + SYN_ACK_RETRY * 2_u32.pow(embryo.retries);
            let embryo = *embryo;
            if embryo.retries > 5 {
                self.embryos.clear();
            } else {
                out.push(self.syn_ack(&embryo));
            }
        }
    }

    fn act(&mut self, action: &Action, now: Time, out: &mut Vec<ServerPacket>) {
        if let (Some(socket), Some(connection)) = (&mut self.socket, self.connections.last_mut()) {
            socket.act(action, connection, now, out);
        }
        self.tidy();
    }

    fn connections(&self) -> &[Connection] {
        &self.connections
    }
}

/// What tells a client that there is no such connection.
fn reset(sequence: u32) -> ServerPacket {
    Segment {
        sequence,
        flags: RST,
        ..Segment::default()
    }
}

/// Which of [`SIZES`] is the largest that the client can take.
fn size(syn: &Segment) -> i32 {
    let told = option(syn, SEGMENT_SIZE).and_then(|value| value.first_chunk());
    let told = told.map_or(SIZES[0], |size| u16::from_be_bytes(*size));
    let smaller = SIZES.iter().filter(|size| **size <= told).count() as i32;
    (smaller - 1).max(0)
}

/// The value of a TCP option, if it is there.
fn option(segment: &Segment, kind: u8) -> Option<&[u8]> {
    let mut rest = &segment.options[..];
    loop {
        match *rest {
            [] | [0, ..] => return None,
            [1, ..] => rest = &rest[1..],
            [_] => return None,
            [found, length, ..] => {
                let length = usize::from(length);
                if length < 2 || length > rest.len() {
                    return None;
                }
                if found == kind {
                    return Some(&rest[2..length]);
                }
                rest = &rest[length..];
            }
        }
    }
}
