//! A connection that is established.

use std::time::Duration;

use super::{
    super::{
        Action, Connection, End,
        reassembly::{Queue, Queued},
    },
    Embryo, Options,
};
use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::segment::{Segment, ServerPacket, Time, ahead},
};

/// How long an ACK may wait.
const DELAYED_ACK: Duration = Duration::from_millis(40);

/// How far an ACK may lie behind and still be taken for an old one.
const MAX_WINDOW: i32 = 65_535;

#[derive(Debug)]
pub(super) struct Socket {
    options: Options,
    has_selective_acks: bool,
    /// What is expected next.
    next: u32,
    /// What was expected when the last ACK was sent.
    acked: u32,
    /// The end of the window that was told.
    edge: u32,
    queue: Queue,
    /// Bytes in order that the application has not read.
    unread: usize,
    is_paused: bool,
    /// The urgent byte, which the application does not read.
    urgent: Option<u32>,
    /// The first byte sent, what the client has acknowledged, and what was sent.
    first: u32,
    una: u32,
    sent: u32,
    /// Segments since the last ACK, and until when that may wait.
    unacked: u32,
    ack_at: Option<Time>,
    /// The FINs of both sides.
    client_fin: bool,
    server_fin: bool,
    /// Whether the client's came when this side had sent its own.
    closed_first: bool,
    /// The application has closed its socket: what comes now is for nobody.
    is_orphan: bool,
    is_dead: bool,
}

impl Socket {
    pub(super) fn new(options: &Options, embryo: &Embryo) -> Self {
        let next = embryo.client_isn.wrapping_add(1);
        let sent = embryo.server_isn.wrapping_add(1);
        let mut socket = Self {
            options: options.clone(),
            has_selective_acks: embryo.has_selective_acks,
            next,
            acked: next,
            edge: next,
            queue: Queue::default(),
            unread: 0,
            is_paused: false,
            urgent: None,
            first: sent,
            una: sent,
            sent,
            unacked: 0,
            ack_at: None,
            client_fin: false,
            server_fin: false,
            closed_first: false,
            is_orphan: false,
            is_dead: false,
        };
        socket.window();
        socket
    }

    pub(super) const fn is_dead(&self) -> bool {
        self.is_dead || self.options.forgets && self.waits_for_end()
    }

    /// Whether nobody has it any more, and all that it waits for is the client's FIN (RFC 9293, FIN-WAIT-2).
    const fn waits_for_end(&self) -> bool {
        self.is_orphan && !self.client_fin && self.una == self.sent
    }

    /// For who closed first: what it expected next, and what it would have sent.
    pub(super) fn waits(&self) -> Option<(u32, u32)> {
        (self.closed_first && self.client_fin).then_some((self.next, self.sent))
    }

    /// RFC 9293, section 3.10.7.4, with RFC 5961; in Linux `tcp_rcv_established`.
    pub(super) fn receive(
        &mut self,
        segment: &Segment,
        connection: &mut Connection,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) {
        if !segment.has_any(ACK | RST | SYN) {
            return;
        }
        if !self.is_in_window(segment) && !segment.has(RST) {
            self.ack(out);
            return;
        }
        if segment.has(RST) {
            if self.is_exact(segment.sequence) {
                self.kill(connection, now);
            } else if self.is_in_window(segment) {
                self.ack(out);
            }
            return;
        }
        if segment.has(SYN) {
            self.ack(out);
            return;
        }
        let progress = ahead(segment.acknowledgment, self.una);
        let oldest = if self.options.is_old {
            -MAX_WINDOW
        } else {
            ahead(self.first, self.una).max(-MAX_WINDOW)
        };
        if ahead(segment.acknowledgment, self.sent) > 0 || progress < oldest {
            self.ack(out);
            return;
        }
        if progress > 0 {
            self.una = segment.acknowledgment;
        }
        if self.server_fin && self.client_fin && self.una == self.sent {
            self.is_dead = true;
            return;
        }
        self.note_urgent(segment);
        if segment.space() > 0 {
            self.take(segment, connection, now, out);
        }
    }

    pub(super) fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack(out);
        }
    }

    pub(super) fn act(
        &mut self,
        action: &Action,
        connection: &mut Connection,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) {
        match action {
            Action::Read => {
                self.is_paused = false;
                let was_closed = ahead(self.edge, self.next) <= 0;
                self.unread = 0;
                if was_closed {
                    self.ack(out);
                }
            }
            Action::Pause => self.is_paused = true,
            Action::Write(bytes) => {
                if self.server_fin {
                    return;
                }
                for piece in bytes.chunks(1460) {
                    let mut packet = self.packet(ACK);
                    packet.payload = piece.to_vec();
                    self.sent = packet.end();
                    out.push(packet);
                }
            }
            Action::Shutdown => self.send_fin(out),
            // With bytes that nobody has read, a reset.
            Action::Close if self.unread > 0 => self.abort(connection, now, out),
            Action::Close => {
                connection.finish(End::Reset, now);
                self.is_orphan = true;
                self.send_fin(out);
            }
            Action::Abort => self.abort(connection, now, out),
        }
    }

    fn send_fin(&mut self, out: &mut Vec<ServerPacket>) {
        if self.server_fin {
            return;
        }
        self.server_fin = true;
        self.closed_first = !self.client_fin;
        let packet = self.packet(ACK | FIN);
        self.sent = packet.end();
        out.push(packet);
    }

    fn abort(&mut self, connection: &mut Connection, now: Time, out: &mut Vec<ServerPacket>) {
        let packet = self.packet(RST | ACK);
        out.push(packet);
        self.kill(connection, now);
    }

    fn kill(&mut self, connection: &mut Connection, now: Time) {
        connection.finish(End::Reset, now);
        self.closed_first = false;
        self.is_dead = true;
    }

    /// `tcp_sequence`.
    fn is_in_window(&self, segment: &Segment) -> bool {
        let edge = later(self.edge, self.next);
        // A FIN may lie beyond.
        let end = segment.sequence.wrapping_add(segment.len());
        ahead(segment.end(), self.acked) >= 0
            && ahead(segment.sequence, edge) <= 0
            && (self.options.is_old || self.unread == 0 || ahead(end, edge) <= 0)
    }

    /// Whether a reset with this number counts; else it is challenged.
    fn is_exact(&self, sequence: u32) -> bool {
        sequence == self.next
            || self.client_fin && sequence == self.next.wrapping_sub(1)
            || self.has_selective_acks && self.queue.end() == Some(sequence)
    }

    /// `tcp_check_urg`: the pointer points behind the urgent byte.
    fn note_urgent(&mut self, segment: &Segment) {
        if !segment.has(URG) {
            return;
        }
        let offset = u32::from(segment.urgent.saturating_sub(1));
        let at = segment.sequence.wrapping_add(offset);
        let is_newer = self.urgent.is_none_or(|urgent| ahead(at, urgent) > 0);
        if ahead(at, self.next) >= 0 && is_newer {
            self.urgent = Some(at);
        }
    }

    /// `tcp_data_queue`.
    fn take(
        &mut self,
        segment: &Segment,
        connection: &mut Connection,
        now: Time,
        out: &mut Vec<ServerPacket>,
    ) {
        if self.client_fin && ahead(segment.sequence, self.next) >= 0 {
            return;
        }
        let news = ahead(segment.end(), self.next);
        if news <= 0 {
            self.ack(out);
            return;
        }
        // Data behind a FIN, or for nobody.
        if (self.client_fin || self.is_orphan) && !segment.is_empty() {
            self.abort(connection, now, out);
            return;
        }
        let room = ahead(self.edge, self.next);
        let from = ahead(segment.sequence, self.next);
        if room <= 0 || from >= room || !self.has_memory(from <= 0) {
            self.ack(out);
            return;
        }
        let new = Queued {
            sequence: segment.sequence,
            end: segment.end(),
            has_fin: segment.has(FIN),
            payload: segment.payload.clone(),
        };
        if from > 0 {
            self.queue.insert(new, self.options.coalescing);
            self.ack(out);
            return;
        }
        self.deliver(&new, connection, now);
        while !self.client_fin {
            let Some(queued) = self.queue.pop(self.next) else {
                break;
            };
            self.deliver(&queued, connection, now);
        }
        self.unacked += 1;
        if self.client_fin
            || !self.queue.is_empty()
            || self.unacked >= self.options.segments_per_ack
        {
            self.ack(out);
        } else if self.ack_at.is_none() {
            self.ack_at = Some(now + DELAYED_ACK);
        }
        if self.server_fin && self.client_fin && self.una == self.sent {
            self.is_dead = true;
        }
    }

    /// Gives the application what lies at and behind `next`.
    fn deliver(&mut self, segment: &Queued, connection: &mut Connection, now: Time) {
        let old = self.next.wrapping_sub(segment.sequence) as usize;
        let new = segment.payload.get(old..).unwrap_or_default();
        if !self.is_paused {
            self.unread = 0;
        } else {
            self.unread += new.len();
        }
        // An application that has closed its socket reads nothing.
        if !self.is_orphan {
            let urgent = self.urgent.map(|at| at.wrapping_sub(self.next) as usize);
            match urgent.filter(|urgent| *urgent < new.len()) {
                None => connection.deliver(new, now),
                Some(urgent) => {
                    connection.deliver(&new[..urgent], now);
                    connection.deliver(&new[urgent + 1..], now);
                    self.urgent = None;
                }
            }
        }
        self.next = segment.end;
        if segment.has_fin {
            self.client_fin = true;
            self.queue.clear();
            if !self.is_orphan {
                connection.finish(End::Fin, now);
            }
        }
    }

    /// `tcp_try_rmem_schedule`: what is queued counts, not what comes. For what comes in order,
    /// room is made at the expense of what does not.
    fn has_memory(&mut self, is_in_order: bool) -> bool {
        let limit = self.options.buffer;
        if is_in_order {
            while self.unread + self.queue.bytes() > limit && self.queue.prune() {}
            // The first segment is taken whatever it is.
            return self.unread == 0 || self.unread + self.queue.bytes() <= limit;
        }
        self.unread + self.queue.bytes() <= limit
    }

    fn ack(&mut self, out: &mut Vec<ServerPacket>) {
        let packet = self.packet(ACK);
        out.push(packet);
    }

    /// What goes out tells what was received.
    fn packet(&mut self, flags: u8) -> ServerPacket {
        self.acked = self.next;
        self.unacked = 0;
        self.ack_at = None;
        Segment {
            sequence: self.sent,
            acknowledgment: self.next,
            flags,
            window: self.window(),
            ..Segment::default()
        }
    }

    /// The window, which never shrinks.
    fn window(&mut self) -> u16 {
        let free = self.options.buffer.saturating_sub(self.unread).min(65_535) as u32;
        self.edge = later(self.next.wrapping_add(free), self.edge);
        u16::try_from(ahead(self.edge, self.next).max(0)).unwrap_or(u16::MAX)
    }
}

/// The later of two sequence numbers.
const fn later(a: u32, b: u32) -> u32 {
    if ahead(a, b) >= 0 { a } else { b }
}
