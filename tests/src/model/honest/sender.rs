//! A client's TCP, sending: slow start, fast retransmit (NewReno, RFC 6582), timeouts with back-off,
//! and probes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    frame::{ACK, FIN, RST, SYN},
    model::{
        plan::Plan,
        random::Random,
        segment::{Segment, ServerPacket, Time, ahead},
    },
};

/// The longest a sender waits before it sends again. Real ones wait longer; this one is to be through.
pub const MAX_RTO: Duration = Duration::from_secs(5);

const MIN_RTO: Duration = Duration::from_millis(200);
const SYN_RTO: Duration = Duration::from_secs(1);

/// Duplicate ACKs that tell of a loss.
const DUPLICATES: u32 = 3;

/// How a client sends.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Habits {
    /// Its initial sequence number.
    pub isn: u32,
    /// The longest segment, which may be more than fits in a packet: the network card cuts it up later.
    pub mss: usize,
    /// Where it cuts what it sends again.
    pub cuts: u64,
    /// Whether it sends a request only when the one before was acknowledged.
    pub is_patient: bool,
    /// Whether it says that nothing follows.
    pub has_fin: bool,
    /// Whether that comes in a segment of its own.
    pub fin_apart: bool,
    /// Whether it sends a byte into a closed window right away, rather than after a while.
    pub probes: bool,
    /// Whether it sends the last segment again when nothing is heard (RFC 8985).
    pub tail_probes: bool,
    /// Whether it asks if the server is there when nothing is to be said.
    pub keepalives: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed,
    SynSent,
    Established,
    Reset,
}

/// The sender.
#[derive(Debug)]
pub struct Sender {
    /// What it sends.
    pub out: Vec<Segment>,
    habits: Habits,
    bytes: Vec<u8>,
    /// Where requests start.
    starts: Vec<usize>,
    cuts: Random,
    state: State,
    /// What was acknowledged, sent last, and sent at most; offsets in the stream. The FIN counts as a byte.
    una: usize,
    next: usize,
    most: usize,
    window: usize,
    congestion_window: usize,
    threshold: usize,
    duplicates: u32,
    /// In recovery until this is acknowledged.
    recover: Option<usize>,
    base_rto: Duration,
    rto: Duration,
    timer: Option<Time>,
    tail_timer: Option<Time>,
    keepalive_timer: Option<Time>,
    /// What is expected of the server.
    server: u32,
}

impl Sender {
    /// A client that has something to say, over a way there and back of that length.
    #[must_use]
    pub fn new(plan: &Plan, habits: &Habits, round_trip: Duration) -> Self {
        Self {
            out: Vec::new(),
            bytes: plan.bytes.clone(),
            starts: plan.marks.clone(),
            cuts: Random::new(habits.cuts),
            state: State::Closed,
            una: 0,
            next: 0,
            most: 0,
            window: 0,
            congestion_window: habits.mss * 10,
            threshold: usize::MAX,
            duplicates: 0,
            recover: None,
            base_rto: MIN_RTO + round_trip * 2,
            rto: SYN_RTO,
            timer: None,
            tail_timer: None,
            keepalive_timer: None,
            server: 0,
            habits: habits.clone(),
        }
    }

    /// Connects.
    pub fn start(&mut self, now: Time) {
        self.state = State::SynSent;
        self.syn();
        self.timer = Some(now + self.rto);
    }

    /// Whether all that it said was acknowledged.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.state == State::Established && self.una == self.end()
    }

    /// Whether the server has reset the connection.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.state == State::Reset
    }

    /// When to call [`tick`](Self::tick).
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        let timers = [self.timer, self.tail_timer, self.keepalive_timer];
        timers.into_iter().flatten().min()
    }

    /// Takes what the server has sent.
    pub fn receive(&mut self, packet: &ServerPacket, now: Time) {
        match self.state {
            State::Closed | State::Reset => return,
            State::SynSent => {
                let is_answer = packet.acknowledgment == self.habits.isn.wrapping_add(1);
                if packet.has(RST) {
                    if packet.has(ACK) && is_answer || packet.sequence == 0 {
                        self.state = State::Reset;
                    }
                    return;
                }
                if !packet.has(SYN | ACK) || !is_answer {
                    return;
                }
                self.state = State::Established;
                self.server = packet.sequence.wrapping_add(1);
                self.window = usize::from(packet.window);
                self.rto = self.base_rto;
                self.timer = None;
                self.acknowledge();
                self.send(now);
                return;
            }
            State::Established => {}
        }
        if packet.has(SYN) {
            self.acknowledge();
            return;
        }
        if packet.has(RST) && packet.sequence != self.server {
            return;
        }
        if packet.has(RST) {
            self.state = State::Reset;
            self.timer = None;
            return;
        }
        self.take(packet);
        self.acked(packet, now);
        self.send(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time) {
        if self.timer.is_some_and(|at| at <= now) {
            self.timer = None;
            self.time_out(now);
        }
        if self.tail_timer.take_if(|at| *at <= now).is_some() && self.next > self.una {
            let length = self.habits.mss.min(self.next - self.una);
            self.emit(self.next - length, length);
        }
        if self.keepalive_timer.take_if(|at| *at <= now).is_some() {
            let mut probe = self.segment(self.next, 0);
            probe.sequence = probe.sequence.wrapping_sub(1);
            self.out.push(probe);
        }
    }

    /// Behind the last byte, with the FIN.
    fn end(&self) -> usize {
        self.bytes.len() + usize::from(self.habits.has_fin)
    }

    /// How much the application has written by now.
    fn written(&self) -> usize {
        if !self.habits.is_patient {
            return self.end();
        }
        // The start of the first request after the one that is under way.
        let next = self.starts.iter().find(|start| **start > self.una);
        next.copied().unwrap_or(self.end())
    }

    fn take(&mut self, packet: &ServerPacket) {
        if packet.space() == 0 {
            return;
        }
        if packet.sequence == self.server {
            self.server = packet.end();
        }
        self.acknowledge();
    }

    fn acked(&mut self, packet: &ServerPacket, now: Time) {
        let first = self.habits.isn.wrapping_add(1);
        let acked = ahead(packet.acknowledgment, first);
        let Some(acked) = usize::try_from(acked)
            .ok()
            .filter(|acked| *acked <= self.most)
        else {
            return;
        };
        let mss = self.habits.mss;
        let old_window = self.window;
        if acked >= self.una {
            self.window = usize::from(packet.window);
        }
        if acked > self.una {
            let news = acked - self.una;
            self.una = acked;
            self.next = self.next.max(acked);
            self.duplicates = 0;
            self.rto = self.base_rto;
            self.timer = (self.una < self.next).then(|| now + self.rto);
            match self.recover {
                Some(recover) if acked < recover => {
                    self.again();
                }
                Some(_) => {
                    self.recover = None;
                    self.congestion_window = self.threshold;
                }
                None if self.congestion_window < self.threshold => {
                    self.congestion_window += news.min(mss);
                }
                None => self.congestion_window += (mss * mss / self.congestion_window).max(1),
            }
            return;
        }
        let is_duplicate = acked == self.una
            && self.una < self.next
            && packet.space() == 0
            && old_window == self.window;
        if !is_duplicate {
            return;
        }
        self.duplicates += 1;
        if self.recover.is_some() {
            self.congestion_window += mss;
        } else if self.duplicates == DUPLICATES {
            self.threshold = ((self.next - self.una) / 2).max(2 * mss);
            self.congestion_window = self.threshold + 3 * mss;
            self.recover = Some(self.next);
            self.again();
        }
    }

    /// Sends what may be sent.
    fn send(&mut self, now: Time) {
        if self.state != State::Established {
            return;
        }
        let limit = self.una + self.window.min(self.congestion_window);
        let written = self.written();
        while self.next < written {
            let is_fin = self.next == self.bytes.len();
            let room = limit.saturating_sub(self.next);
            let rest = written.min(self.bytes.len()) - self.next;
            let length = self.habits.mss.min(rest).min(room);
            // A FIN needs no window.
            if length == 0 && !is_fin {
                break;
            }
            self.next += self.emit(self.next, length);
            self.most = self.most.max(self.next);
        }
        if self.una < self.next {
            self.timer.get_or_insert(now + self.rto);
            if self.habits.tail_probes && self.tail_timer.is_none() {
                self.tail_timer = Some(now + self.base_rto / 2);
            }
        } else if self.next < written {
            // A closed window.
            self.timer.get_or_insert(now + self.rto);
            if self.habits.probes {
                self.timer = Some(now + MIN_RTO / 2);
            }
        } else if self.habits.keepalives {
            self.keepalive_timer = Some(now + MIN_RTO);
        }
    }

    fn time_out(&mut self, now: Time) {
        self.rto = (self.rto * 2).min(MAX_RTO);
        self.timer = Some(now + self.rto);
        match self.state {
            State::Closed | State::Reset => {}
            State::SynSent => self.syn(),
            State::Established if self.una < self.next => {
                let mss = self.habits.mss;
                self.threshold = ((self.next - self.una) / 2).max(2 * mss);
                self.congestion_window = mss;
                self.recover = None;
                self.duplicates = 0;
                // What came through nevertheless will be acknowledged.
                self.next = self.una + self.again();
            }
            State::Established if self.next < self.written() => {
                // A byte into the closed window.
                self.next += self.emit(self.next, 1);
                self.most = self.most.max(self.next);
            }
            State::Established => self.timer = None,
        }
    }

    /// Sends what is missing again, cut otherwise; says how much.
    fn again(&mut self) -> usize {
        let mss = self.habits.mss;
        let length = match self.cuts.below(4) {
            0 => self.cuts.between(1, mss),
            1 => mss * self.cuts.between(1, 4),
            _ => mss,
        };
        let sent = self.most - self.una;
        let taken = self.emit(self.una, length.min(sent).min(60_000));
        self.most = self.most.max(self.una + taken);
        taken
    }

    /// Sends `length` bytes, and the FIN if it is its turn; says how much of the stream that is.
    fn emit(&mut self, at: usize, length: usize) -> usize {
        let length = length.min(self.bytes.len().saturating_sub(at));
        let mut segment = self.segment(at, length);
        let mut taken = length;
        let is_end = at + length == self.bytes.len();
        if self.habits.has_fin && is_end && (!self.habits.fin_apart || length == 0) {
            segment.flags |= FIN;
            taken += 1;
        }
        self.out.push(segment);
        taken
    }

    fn acknowledge(&mut self) {
        let segment = self.segment(self.next, 0);
        self.out.push(segment);
    }

    fn segment(&self, at: usize, length: usize) -> Segment {
        let start = at.min(self.bytes.len());
        Segment {
            sequence: self.habits.isn.wrapping_add(1).wrapping_add(at as u32),
            acknowledgment: self.server,
            flags: ACK,
            window: u16::MAX,
            payload: self.bytes[start..start + length].to_vec(),
            ..Segment::default()
        }
    }

    fn syn(&mut self) {
        self.out.push(Segment {
            sequence: self.habits.isn,
            flags: SYN,
            window: u16::MAX,
            ..Segment::default()
        });
    }
}
