//! A guard that is right because it does next to nothing: one segment at a time, in order, on its own.
//!
//! It keeps the whole stream and reads it anew for each segment. What does not begin where the server waits, or is
//! not what the server has yet to acknowledge, it drops.

mod strict;

use strict::{Place, Reading};

use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::{
        guard::{Guard, Policy, Verdict},
        segment::{Segment, ServerPacket, Time, ahead},
    },
};

/// No window is larger (RFC 7323).
const MAX_WINDOW: i32 = 1 << 30;

/// As far ahead of what a server has sent another connection of its does not begin, unless it has forgotten this one.
const APART: i32 = 1 << 16;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct ReassembleAndHold {
    /// Pairs of the client's and the server's first byte that are on offer.
    offers: Vec<(u32, u32)>,
    /// The server's first bytes of those that were taken up.
    begun: Vec<u32>,
    connection: Option<Connection>,
    transitions: [u64; 5],
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Connection {
    client: u32,
    server: u32,
    /// All that passed, and how much of it was acknowledged.
    stream: Vec<u8>,
    acked: usize,
    has_fin: bool,
    /// What the server has sent, as an offset.
    sent: u32,
    has_server_fin: bool,
    /// Both sides have said all: only a last ACK is missing.
    is_over: bool,
    /// Whatever comes, the server may have forgotten the connection. One with SYN cookies then takes the same
    /// first segment for another one's, and what was acknowledged is news.
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
        self.begun.clear();
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
        match connection.judge(segment, policy, now, &mut self.transitions) {
            None => Verdict::Drop,
            Some(0) => Verdict::Pass,
            Some(old) => Verdict::Rewrite(without(segment, old)),
        }
    }

    fn server(&mut self, packet: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        if packet.has(SYN | ACK) {
            let pair = (packet.acknowledgment, packet.sequence.wrapping_add(1));
            let is_bound = |one: &Connection| (one.client, one.server) == pair;
            if !self.connection.as_ref().is_some_and(is_bound) {
                // A server that still has one of those before would take the other one's segments for more of it.
                let sent = self.connection.as_ref().map_or(0, |one| one.sent);
                let is_near = |begun: &u32| {
                    let ahead = ahead(pair.1, begun.wrapping_add(sent));
                    (-MAX_WINDOW..=APART).contains(&ahead)
                };
                if self.begun.iter().any(is_near) {
                    return Verdict::Drop;
                }
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

    fn transitions(&self) -> Vec<(String, u64)> {
        Transition::NAMES
            .into_iter()
            .map(str::to_owned)
            .zip(self.transitions)
            .collect()
    }
}

/// The segment without as much of what it takes of the sequence space; its place is kept if nothing is left.
fn without(segment: &Segment, old: u32) -> Segment {
    if old == segment.space() {
        return Segment {
            flags: segment.flags & !FIN,
            payload: Vec::new(),
            ..segment.clone()
        };
    }
    Segment {
        sequence: segment.sequence.wrapping_add(old),
        payload: segment.payload[old as usize..].to_vec(),
        ..segment.clone()
    }
}

impl ReassembleAndHold {
    fn bind(&mut self, segment: &Segment) -> bool {
        let pair = (segment.sequence, segment.acknowledgment);
        if !self.offers.contains(&pair) {
            return false;
        }
        self.offers.clear();
        self.begun.push(pair.1);
        self.connection = Some(Connection {
            client: pair.0,
            server: pair.1,
            stream: Vec::new(),
            acked: 0,
            has_fin: false,
            sent: 0,
            has_server_fin: false,
            is_over: false,
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
    /// Whether the segment may pass, and without how much of what it takes of the sequence space: old bytes
    /// go no further, since a server that has meanwhile forgotten the connection would take them for new.
    fn judge(
        &mut self,
        segment: &Segment,
        policy: &Policy,
        now: Time,
        counts: &mut [u64; 5],
    ) -> Option<u32> {
        let ack = ahead(segment.acknowledgment, self.server);
        if self.is_dead || ack < 0 || ack.cast_unsigned() > self.sent {
            return None;
        }
        if self.is_over {
            let next = self.stream.len() + usize::from(self.has_fin);
            let is_last = segment.space() == 0
                && !segment.has(RST)
                && ahead(segment.sequence, self.client) == next as i32;
            return is_last.then_some(0);
        }
        let old = self.acked as i64 - i64::from(ahead(segment.sequence, self.client));
        if segment.has(RST) {
            let passes = segment.space() == 0;
            self.is_dead |= passes;
            return passes.then_some(0);
        }
        if old >= i64::from(segment.space()) || segment.space() == 0 {
            return Some(segment.space());
        }
        let old = usize::try_from(old).ok()?;
        let news = segment.payload.get(old..)?;
        // Who has closed its side may have forgotten it all, and begin with this.
        let is_between = |stream| Reading::new(stream).is_some_and(|it| it.place == Place::Between);
        if self.has_server_fin && !is_between(&self.stream[..self.acked]) {
            return None;
        }
        let waiting = &self.stream[self.acked..];
        let is_repeated = self.has_fin || !waiting.is_empty();
        let length = news.len().min(waiting.len());
        if news[..length] != waiting[..length]
            || self.has_fin && news.len() > waiting.len()
            || segment.has(FIN) && news.len() < waiting.len()
        {
            return None;
        }
        let mut stream = self.stream[..self.acked].to_vec();
        stream.extend(news);
        let reading = Reading::new(&stream)?;
        // What is sent again is judged again: its token may have been revoked meanwhile.
        let mut heads = reading.heads.iter().filter(|head| head.end > self.acked);
        if !heads.all(|head| policy.allows(&head.token, now))
            || segment.has(FIN) && reading.place != Place::Between
        {
            return None;
        }
        let transition = if is_repeated {
            Transition::Repeated
        } else {
            Transition::Passed
        };
        counts[transition as usize] += 1;
        if stream.len() > self.stream.len() {
            self.stream = stream;
        }
        self.has_fin |= segment.has(FIN);
        Some(old as u32)
    }

    /// Notes what the server says; whether that kills the connection.
    fn hear(&mut self, packet: &ServerPacket) -> bool {
        if self.is_dead || packet.has(RST) {
            let dies = !self.is_dead;
            self.is_dead = true;
            return dies;
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
        self.has_server_fin |= packet.has(FIN);
        self.is_over |= self.has_server_fin && acked > self.stream.len();
        // What is behind a final response to a request that waits with its body cannot be told; and a body
        // that has passed may be lost.
        let received = &self.stream[..acked.min(self.stream.len())];
        let waits = Reading::new(received).is_some_and(|reading| reading.expects);
        let is_final = !packet.is_empty() && !packet.payload.starts_with(b"HTTP/1.1 100 ");
        self.is_dead = waits && is_final;
        self.is_dead
    }
}
