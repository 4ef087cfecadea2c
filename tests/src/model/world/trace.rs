//! What happened, for people.

use std::fmt::Write as _;

use super::{Deed, Fate};
use crate::{
    frame::{ACK, FIN, RST, SYN, URG},
    model::{
        guard::Verdict,
        segment::{Segment, ServerPacket, Time, ahead},
    },
};

const FLAGS: [(u8, char); 5] = [(SYN, 'S'), (FIN, 'F'), (RST, 'R'), (URG, 'U'), (ACK, '.')];

/// Of a longer payload, as many bytes are shown.
const SHOWN: usize = 160;

/// A log, which may be off. Sequence numbers are told from the last SYN and SYN-ACK on.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
    client: u32,
    server: u32,
}

impl Trace {
    /// One that is kept.
    #[must_use]
    pub fn kept() -> Self {
        Self {
            lines: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Adds a line.
    pub fn note(&mut self, now: Time, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:10.3} s  {}", now.as_secs_f64(), line()));
        }
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub(super) fn client(
        &mut self,
        now: Time,
        segment: &Segment,
        verdict: &Verdict,
        fate: Fate,
        replies: Fate,
    ) {
        if self.lines.is_none() {
            return;
        }
        let shown = shown(segment, self.client, self.server);
        let mut line = format!("client  {shown}: {}", self.verdict(verdict));
        if fate != Fate::Arrives {
            let _ = write!(line, ", {fate:?}");
        }
        if replies != Fate::Arrives {
            let _ = write!(line, ", replies {replies:?}");
        }
        self.note(now, || line);
    }

    pub(super) fn server(&mut self, now: Time, packet: &ServerPacket, verdict: &Verdict) {
        if self.lines.is_none() {
            return;
        }
        if packet.has(SYN | ACK) {
            self.client = packet.acknowledgment;
            self.server = packet.sequence.wrapping_add(1);
        }
        let shown = shown(packet, self.server, self.client);
        let line = format!("server  {shown}: {}", self.verdict(verdict));
        self.note(now, || line);
    }

    pub(super) fn late(&mut self, now: Time, segment: &Segment) {
        let shown = shown(segment, self.client, self.server);
        self.note(now, || format!("arrives {shown}"));
    }

    pub(super) fn lost(&mut self, now: Time, packet: &ServerPacket) {
        let shown = shown(packet, self.server, self.client);
        self.note(now, || format!("server  {shown}: lost before the witness"));
    }

    pub(super) fn application(&mut self, now: Time, deed: &Deed) {
        self.note(now, || format!("application: {deed:?}"));
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Pass => "pass".to_owned(),
            Verdict::Drop => "drop".to_owned(),
            Verdict::Rewrite(segment) => {
                format!("as {}", shown(segment, self.client, self.server))
            }
            Verdict::Answer(packet) => {
                format!("answered {}", shown(packet, self.server, self.client))
            }
        }
    }
}

/// A segment, with numbers that start at 0 where they are anywhere near.
fn shown(segment: &Segment, start: u32, other: u32) -> String {
    let near = |number: u32, start: u32| {
        let offset = ahead(number, start);
        if offset.unsigned_abs() < 1 << 24 {
            format!("{offset:+}")
        } else {
            number.to_string()
        }
    };
    let mut text = String::new();
    for (flag, letter) in FLAGS {
        if segment.has(flag) {
            text.push(letter);
        }
    }
    if text.is_empty() {
        text.push('0');
    }
    text += &format!(" {}", near(segment.sequence, start));
    if segment.has(ACK) {
        text += &format!(" ack {}", near(segment.acknowledgment, other));
    }
    if segment.has(URG) {
        text += &format!(" urgent {}", segment.urgent);
    }
    if !segment.options.is_empty() {
        text += &format!(" options {:02x?}", segment.options);
    }
    if segment.is_corrupt {
        text += " corrupt";
    }
    match &segment.payload[..] {
        [] => {}
        payload if payload.len() <= SHOWN => {
            text += &format!(" {}: \"{}\"", payload.len(), payload.escape_ascii());
        }
        payload => {
            let (first, last) = (&payload[..SHOWN / 2], &payload[payload.len() - SHOWN / 2..]);
            let (first, last) = (first.escape_ascii(), last.escape_ascii());
            text += &format!(" {}: \"{first}\" ... \"{last}\"", payload.len());
        }
    }
    text
}
