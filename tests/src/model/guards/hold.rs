//! A guard that is right because it does next to nothing: one segment at a time, in order, on its own.
//!
//! It keeps the whole stream and reads it anew for each segment. What is not exactly where the server waits,
//! or not the segment that the server has yet to acknowledge, it drops.

mod strict;

use strict::{Place, Reading};

use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::{
        guard::{Guard, Policy, Verdict},
        segment::{Segment, ServerPacket, Time, ahead},
    },
};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ReassembleAndHold {
    /// Pairs of the client's and the server's first byte that are on offer.
    offers: Vec<(u32, u32)>,
    connection: Option<Connection>,
    transitions: [u64; 5],
}

#[derive(Clone, Debug)]
struct Connection {
    client: u32,
    server: u32,
    /// All that passed, and how much of it was acknowledged.
    stream: Vec<u8>,
    acked: usize,
    has_fin: bool,
    /// What the server has sent, as an offset.
    sent: u32,
    is_dead: bool,
}

#[derive(Clone, Copy)]
enum Transition {
    Offered,
    Bound,
    Passed,
    Repeated,
    Dead,
}

impl Transition {
    const NAMES: [&str; 5] = ["offered", "bound", "passed", "repeated", "dead"];
}

impl Guard for ReassembleAndHold {
    fn reset(&mut self) {
        self.offers.clear();
        self.connection = None;
    }

    fn client(&mut self, segment: &Segment, policy: &Policy, now: Time) -> Verdict {
        let kind = segment.flags & (SYN | FIN | RST | ACK | URG);
        if kind == SYN && segment.is_empty() {
            // Without what options would change.
            return Verdict::Rewrite(Segment {
                options: Vec::new(),
                ..segment.clone()
            });
        }
        if kind & (SYN | URG) != 0 || kind & ACK == 0 {
            return Verdict::Drop;
        }
        if self.connection.is_none() && !self.bind(segment) {
            return Verdict::Drop;
        }
        let Some(connection) = &mut self.connection else {
            return Verdict::Drop;
        };
        if connection.passes(segment, policy, now, &mut self.transitions) {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }

    fn server(&mut self, packet: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        if packet.has(SYN | ACK) {
            let pair = (packet.acknowledgment, packet.sequence.wrapping_add(1));
            let is_bound = |one: &Connection| (one.client, one.server) == pair;
            if !self.connection.as_ref().is_some_and(is_bound) {
                self.connection = None;
                self.offers.retain(|offer| *offer != pair);
                self.offers.push(pair);
                self.count(Transition::Offered);
            }
            return Verdict::Pass;
        }
        if let Some(connection) = &mut self.connection
            && connection.hear(packet)
        {
            self.count(Transition::Dead);
        }
        Verdict::Pass
    }

    fn transitions(&self) -> Vec<(&'static str, u64)> {
        Transition::NAMES
            .into_iter()
            .zip(self.transitions)
            .collect()
    }
}

impl ReassembleAndHold {
    fn bind(&mut self, segment: &Segment) -> bool {
        let pair = (segment.sequence, segment.acknowledgment);
        if !self.offers.contains(&pair) {
            return false;
        }
        self.offers.clear();
        self.connection = Some(Connection {
            client: pair.0,
            server: pair.1,
            stream: Vec::new(),
            acked: 0,
            has_fin: false,
            sent: 0,
            is_dead: false,
        });
        self.count(Transition::Bound);
        true
    }

    fn count(&mut self, transition: Transition) {
        self.transitions[transition as usize] += 1;
    }
}

impl Connection {
    fn passes(
        &mut self,
        segment: &Segment,
        policy: &Policy,
        now: Time,
        counts: &mut [u64; 5],
    ) -> bool {
        let ack = ahead(segment.acknowledgment, self.server);
        if self.is_dead || ack < 0 || ack.cast_unsigned() > self.sent {
            return false;
        }
        let behind = ahead(segment.sequence, self.client) - self.acked as i32;
        if segment.has(RST) {
            return segment.is_empty() && !segment.has(FIN);
        }
        if segment.is_empty() && !segment.has(FIN) {
            // ACKs and probes; the server ignores what is not near.
            return true;
        }
        if behind != 0 {
            return false;
        }
        let waiting = &self.stream[self.acked..];
        let is_repeated = self.has_fin || !waiting.is_empty();
        if is_repeated && (waiting != segment.payload || self.has_fin != segment.has(FIN)) {
            return false;
        }
        let mut stream = self.stream[..self.acked].to_vec();
        stream.extend(&segment.payload);
        let Some(reading) = Reading::new(&stream) else {
            return false;
        };
        // What is sent again is judged again: its token may have been revoked meanwhile.
        let mut news = reading.heads.iter().filter(|head| head.end > self.acked);
        if !news.all(|head| policy.allows(&head.token, now))
            || segment.has(FIN) && reading.place != Place::Between
        {
            return false;
        }
        let transition = if is_repeated {
            Transition::Repeated
        } else {
            Transition::Passed
        };
        counts[transition as usize] += 1;
        self.stream = stream;
        self.has_fin = segment.has(FIN);
        true
    }

    /// Notes what the server says; whether that kills the connection.
    fn hear(&mut self, packet: &ServerPacket) -> bool {
        if packet.has(RST) || self.is_dead {
            return false;
        }
        let acked = ahead(packet.acknowledgment, self.client);
        let sent = ahead(packet.end(), self.server);
        if acked < 0 || !(0..1 << 30).contains(&sent) {
            return false;
        }
        self.sent = self.sent.max(sent.cast_unsigned());
        let acked = acked as usize;
        if acked > self.stream.len() + usize::from(self.has_fin) {
            self.is_dead = true;
            return true;
        }
        self.acked = self.acked.max(acked.min(self.stream.len()));
        // What is behind a final response to a request that waits with its body cannot be told.
        let waits = Reading::new(&self.stream).is_some_and(|reading| reading.expects);
        let is_final = !packet.is_empty() && !packet.payload.starts_with(b"HTTP/1.1 100 ");
        self.is_dead = waits && is_final;
        self.is_dead
    }
}
