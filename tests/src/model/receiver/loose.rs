//! A TCP that is no system's: of all versions of a byte that have arrived it takes whichever it is told to,
//! and of each segment as much as it is told to. What no [`Loose`] can be made to read, no server can.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Action, Connection, End, Receiver};
use crate::{
    frame::{ACK, FIN, RST, SYN},
    model::segment::{Segment, ServerPacket, Time, ahead},
};

/// How far behind what is expected a segment may lie and be kept; resets, and segments of a handshake.
const WINDOW: i64 = 65_535;

/// How long an acknowledgment may wait.
const DELAYED_ACK: Duration = Duration::from_millis(40);

/// When a SYN-ACK is sent again.
const SYN_ACK_RETRY: Duration = Duration::from_secs(1);

/// What it does with one segment after the other, over and over.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choices {
    /// The first connection's initial sequence number.
    pub isn: u32,
    /// See [`Choice`].
    pub each: Vec<u8>,
}

/// What it does with a segment, in bits.
#[derive(Clone, Copy, Debug)]
struct Choice(u8);

impl Choice {
    /// Which of the versions of the byte at `position` is taken, the oldest being 0.
    const fn version(self, position: u64, versions: usize) -> usize {
        match self.0 & 3 {
            0 => 0,
            1 => versions - 1,
            2 => position as usize % versions,
            _ => (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % versions,
        }
    }

    /// How many of so many bytes are kept.
    const fn kept(self, len: usize) -> usize {
        match self.0 >> 2 & 3 {
            0 | 1 => len,
            2 => len / 2,
            _ => 0,
        }
    }

    /// Whether an acknowledgment is sent at once.
    const fn acknowledges(self) -> bool {
        self.0 >> 4 & 1 == 0
    }

    /// Whether the stream ends at its end even if more bytes have arrived.
    const fn ends_early(self) -> bool {
        self.0 >> 5 & 1 == 0
    }
}

/// A handshake under way.
#[derive(Clone, Copy, Debug)]
struct Offer {
    client: u32,
    server: u32,
    retry_at: Time,
    retries: u32,
}

#[derive(Debug)]
struct Socket {
    /// The sequence number of the client's first byte.
    first: u32,
    /// How many bytes were taken.
    next: u64,
    /// The versions of the bytes from there on.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// Where the stream may end.
    ends: BTreeSet<u64>,
    has_ended: bool,
    /// The sequence number of the next byte to be sent.
    sent: u32,
    has_closed: bool,
    is_orphan: bool,
    ack_at: Option<Time>,
}

/// The host.
#[derive(Debug)]
pub struct Loose {
    choices: Choices,
    chosen: usize,
    isn: u32,
    offer: Option<Offer>,
    socket: Option<Socket>,
    connections: Vec<Connection>,
}

impl Loose {
    /// A host with a listening socket.
    #[must_use]
    pub const fn new(choices: Choices) -> Self {
        Self {
            isn: choices.isn,
            choices,
            chosen: 0,
            offer: None,
            socket: None,
            connections: Vec::new(),
        }
    }

    fn choose(&mut self) -> Choice {
        let choices = &self.choices.each;
        let choice = choices.get(self.chosen % choices.len().max(1));
        self.chosen += 1;
        Choice(choice.copied().unwrap_or_default())
    }

    fn listen(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        if segment.has(RST) {
            return;
        }
        if segment.has(ACK) {
            out.push(Segment {
                sequence: segment.acknowledgment,
                flags: RST,
                ..Segment::default()
            });
        } else if segment.has(SYN) && !segment.has(FIN) {
            let offer = Offer {
                client: segment.sequence,
                server: self.isn,
                retry_at: now + SYN_ACK_RETRY,
                retries: 0,
            };
            self.isn = self.isn.wrapping_add(0x1357_9bdf);
            out.push(offer.syn_ack());
            self.offer = Some(offer);
        }
    }

    /// A segment while a handshake is under way.
    fn finish(&mut self, offer: Offer, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        let first = offer.client.wrapping_add(1);
        let distance = i64::from(ahead(segment.sequence, first));
        if segment.flags & (SYN | ACK | RST) == SYN {
            if segment.sequence == offer.client {
                out.push(offer.syn_ack());
            }
        } else if segment.has(RST) {
            if (0..WINDOW).contains(&distance) {
                self.offer = None;
            }
        } else if segment.has(ACK)
            && !segment.has(SYN)
            && segment.acknowledgment == offer.server.wrapping_add(1)
            && (0..WINDOW).contains(&distance)
        {
            self.offer = None;
            self.connections.push(Connection::new(false));
            self.socket = Some(Socket {
                first,
                next: 0,
                waiting: BTreeMap::new(),
                ends: BTreeSet::new(),
                has_ended: false,
                sent: offer.server.wrapping_add(1),
                has_closed: false,
                is_orphan: false,
                ack_at: None,
            });
            self.established(segment, now, out);
        }
    }

    fn established(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        let choice = self.choose();
        if let (Some(socket), Some(connection)) = (&mut self.socket, self.connections.last_mut())
            && !socket.receive(segment, choice, connection, now, out)
        {
            self.socket = None;
        }
    }
}

impl Offer {
    fn syn_ack(&self) -> ServerPacket {
        Segment {
            sequence: self.server,
            acknowledgment: self.client.wrapping_add(1),
            flags: SYN | ACK,
            window: u16::MAX,
            ..Segment::default()
        }
    }
}

impl Socket {
    /// Takes a segment; false if the connection is over.
    fn receive(
        &mut self,
        segment: &Segment,
        choice: Choice,
        connection: &mut Connection,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) -> bool {
        let expected = self.first.wrapping_add(self.next as u32);
        let distance = i64::from(ahead(segment.sequence, expected));
        if segment.has(RST) {
            let counts = (0..WINDOW).contains(&distance);
            if counts {
                connection.finish(End::Reset, now);
            }
            return !counts;
        }
        if segment.has(SYN) {
            out.push(self.packet(ACK));
            return true;
        }
        if !segment.has(ACK) || ahead(segment.acknowledgment, self.sent) > 0 {
            return true;
        }
        if segment.space() == 0 {
            return !self.is_over(segment);
        }
        if self.is_orphan && !segment.is_empty() {
            out.push(self.packet(RST | ACK));
            return false;
        }
        if !self.has_ended {
            let start = self.next as i64 + distance;
            self.store(segment, start, choice);
            self.deliver(choice, connection, now);
        }
        if choice.acknowledges() {
            self.ack_at = None;
            out.push(self.packet(ACK));
        } else {
            self.ack_at.get_or_insert(now + DELAYED_ACK);
        }
        !self.is_over(segment)
    }

    /// Whether both sides have ended, and each knows it of the other.
    fn is_over(&self, last: &Segment) -> bool {
        self.has_ended && self.has_closed && last.acknowledgment == self.sent
    }

    /// Keeps what the segment, which begins at `start`, has to add.
    fn store(&mut self, segment: &Segment, start: i64, choice: Choice) {
        let kept = choice.kept(segment.payload.len());
        for (i, &byte) in segment.payload[..kept].iter().enumerate() {
            let at = start + i as i64;
            if at < self.next as i64 || at >= self.next as i64 + WINDOW {
                continue;
            }
            let versions = self.waiting.entry(at as u64).or_default();
            if !versions.contains(&byte) {
                versions.push(byte);
            }
        }
        let end = start + segment.payload.len() as i64;
        if segment.has(FIN) && kept == segment.payload.len() && end >= self.next as i64 {
            self.ends.insert(end as u64);
        }
    }

    /// Gives the application what there is in order.
    fn deliver(&mut self, choice: Choice, connection: &mut Connection, now: Time) {
        let mut bytes = Vec::new();
        loop {
            let versions = self.waiting.remove(&self.next);
            let ends = self.ends.contains(&self.next);
            if ends && (choice.ends_early() || versions.is_none()) {
                self.has_ended = true;
                break;
            }
            let Some(versions) = versions else { break };
            bytes.push(versions[choice.version(self.next, versions.len())]);
            self.next += 1;
        }
        if !self.is_orphan {
            connection.deliver(&bytes, now);
            if self.has_ended {
                connection.finish(End::Fin, now);
            }
        }
    }

    fn packet(&self, flags: u8) -> ServerPacket {
        let received = self.next as u32 + u32::from(self.has_ended);
        Segment {
            sequence: self.sent,
            acknowledgment: self.first.wrapping_add(received),
            flags,
            window: u16::MAX,
            ..Segment::default()
        }
    }
}

impl Receiver for Loose {
    fn receive(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        if segment.is_corrupt {
            return;
        }
        if self.socket.is_some() {
            self.established(segment, now, out);
        } else if let Some(offer) = self.offer {
            self.finish(offer, segment, now, out);
        } else {
            self.listen(segment, now, out);
        }
    }

    fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        if let Some(socket) = &mut self.socket
            && socket.ack_at.is_some_and(|at| at <= now)
        {
            socket.ack_at = None;
            out.push(socket.packet(ACK));
        }
        if let Some(offer) = &mut self.offer
            && offer.retry_at <= now
        {
            offer.retries += 1;
            offer.retry_at = now + SYN_ACK_RETRY * 2_u32.pow(offer.retries);
            out.push(offer.syn_ack());
            self.offer = self.offer.filter(|offer| offer.retries < 6);
        }
    }

    fn act(&mut self, action: &Action, now: Time, out: &mut Vec<ServerPacket>) {
        let (Some(socket), Some(connection)) = (&mut self.socket, self.connections.last_mut())
        else {
            return;
        };
        match action {
            Action::Read | Action::Pause => {}
            Action::Write(bytes) => {
                if !socket.has_closed {
                    let mut packet = socket.packet(ACK);
                    packet.payload.clone_from(bytes);
                    socket.sent = packet.end();
                    out.push(packet);
                }
            }
            Action::Shutdown | Action::Close => {
                if !socket.has_closed {
                    socket.has_closed = true;
                    let packet = socket.packet(ACK | FIN);
                    socket.sent = packet.end();
                    out.push(packet);
                }
                if *action == Action::Close {
                    connection.finish(End::Reset, now);
                    socket.is_orphan = true;
                }
            }
            Action::Abort => {
                out.push(socket.packet(RST | ACK));
                connection.finish(End::Reset, now);
                self.socket = None;
            }
        }
    }

    fn connections(&self) -> &[Connection] {
        &self.connections
    }
}
