//! How connections begin, end, and begin again.

use std::time::Duration;

use super::{
    super::{Crafted, Event, Place, SYN_ACK_ALONE},
    Generator,
    taste::Theme,
};
use crate::{
    frame::{ACK, FIN, RST, SYN},
    model::{
        receiver::Action,
        world::{Deed, Fate},
    },
};

/// TCP options of a SYN that change what follows.
const FAST_OPEN_REQUEST: [u8; 4] = [34, 2, 1, 1];
const FAST_OPEN_COOKIE: [u8; 8] = [34, 6, b'b', b'i', b's', b'c', 1, 1];
const SELECTIVE_ACKS: [u8; 4] = [4, 2, 1, 1];
/// 1,460 bytes.
const SEGMENT_SIZE: [u8; 4] = [2, 4, 5, 0xb4];
const MULTIPATH: [u8; 12] = [30, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

impl Generator {
    /// Connects, mostly as one should.
    pub(super) fn connect(&mut self) {
        let mut syn = self.syn();
        match self.random.below(6) {
            0 => syn.options = SELECTIVE_ACKS.to_vec(),
            1 => syn.options = SEGMENT_SIZE.to_vec(),
            2 => syn.options = [SEGMENT_SIZE, SELECTIVE_ACKS].concat(),
            _ => {}
        }
        let options: [&[u8]; 3] = [&FAST_OPEN_REQUEST, &FAST_OPEN_COOKIE, &MULTIPATH];
        if self.random.percent(5) {
            syn.options = self.random.pick(&options).to_vec();
            if self.random.percent(30) {
                syn.at = Place::Stream(-1);
                syn.len = self.length(0);
            }
        }
        self.push(syn.clone());
        if self.random.percent(self.taste.attempts / 2) {
            // More pairs than are kept, some of which differ in the cookie alone.
            for _ in 0..self.random.between(2, 6) {
                let other = self.random.below(self.attempts);
                let options = self.random.pick(&[Vec::new(), SEGMENT_SIZE.to_vec()]);
                // What is offered late may be taken up when the server has begun with another.
                let replies = match self.random.below(2) {
                    0 => Fate::Late(Duration::from_millis(self.random.between(1, 200) as u64)),
                    _ => syn.replies,
                };
                self.push(Crafted {
                    attempt: other,
                    options,
                    replies,
                    ..syn.clone()
                });
            }
            self.attempt = self.random.below(self.attempts);
        } else if self.random.percent(self.taste.attempts) {
            // Two pairs, and the server takes either if it uses cookies.
            let other = self.random.below(self.attempts);
            self.push(Crafted {
                attempt: other,
                ..syn
            });
            if self.random.percent(50) {
                self.attempt = other;
            }
        }
        if self.taste.minute.is_some() && self.random.percent(50) {
            self.connect_in_a_minute();
        }
        if self.taste.theme == Theme::Reuse && self.random.percent(20) {
            // Offered again, when the connection may be over.
            let delay = self.random.between(1, 200) as u64;
            let mut again = self.syn();
            again.replies = Fate::Late(Duration::from_millis(delay));
            self.push(again);
        }
        if self.random.percent(80) {
            let ack = self.crafted(Place::Stream(0), 0);
            self.push(ack);
        }
        if self.taste.minute.is_some() && self.random.percent(30) {
            self.connect_in_a_minute();
        }
    }

    /// In the next minute, the cookie is another one; both are good.
    fn connect_in_a_minute(&mut self) {
        let again = self.syn();
        self.push(again);
        if let Some(step) = self.steps.last_mut() {
            step.wait = Duration::from_secs(64);
        }
    }

    pub(super) fn syn(&mut self) -> Crafted {
        Crafted {
            flags: SYN,
            fate: Fate::Arrives,
            ..self.crafted(Place::Stream(-1), 0)
        }
    }

    /// Ends the connection, as the guard sees it at least, and begins from the start, as if it were another.
    pub(super) fn begin_again(&mut self) {
        let mut last = self.crafted(Place::Acked(0), 0);
        if self.random.percent(50) {
            last.flags = RST | ACK;
            last.fate = self.random.pick(&[Fate::Lost, Fate::Arrives]);
            self.push(last);
        } else {
            last.flags = FIN | ACK;
            self.push(last);
            if self.random.percent(70) {
                let end = self.random.pick(&[Action::Shutdown, Action::Close]);
                self.push_event(Event::Application(Deed::Socket(end)));
            }
            let mut ack = self.crafted(Place::Acked(0), 0);
            if self.random.percent(30) {
                // Linux obeys it here, too.
                ack.flags = RST | ACK;
                ack.at = Place::Acked(-1);
            }
            self.push(ack);
        }
        if self.random.percent(30) {
            self.attempt = self.random.below(self.attempts);
        }
        if self.random.percent(50) {
            let mut syn = self.syn();
            let delay = self.random.between(1, 200) as u64;
            // Before the offer is seen, the server may take up one that it made before.
            let is_early = self.random.percent(30);
            if is_early {
                syn.replies = Fate::Late(Duration::from_millis(delay));
            }
            self.push(syn);
            if is_early {
                let at = self.cut() as i64;
                let mut ack = self.crafted(Place::Stream(at), 0);
                ack.acknowledgment = self.as_far();
                self.push(ack);
                self.push_event(Event::Application(Deed::Socket(Action::Read)));
                if let Some(step) = self.steps.last_mut() {
                    step.wait = Duration::from_millis(delay);
                }
            }
        }
        for _ in 0..self.random.between(1, 2) {
            let start = self.random.pick(&[0, 0, 0, 1, 2, 3]);
            let len = self.length(0);
            let mut first = self.crafted(Place::Stream(start), len);
            first.acknowledgment = SYN_ACK_ALONE;
            self.push(first);
        }
    }

    /// Has the server close its side in the middle of something, and forget it, and goes on with what fits the cookie.
    pub(super) fn outlive(&mut self) {
        let len = self.up_to_mark();
        let first = self.crafted(Place::Acked(0), len);
        self.push(first);
        let said = vec![b'x'; self.random.between(50, 400)];
        for end in [Action::Write(said), Action::Close] {
            self.push_event(Event::Application(Deed::Socket(end)));
        }
        let ack = self.crafted(Place::Acked(0), 0);
        self.push(ack);
        for _ in 0..self.random.between(1, 2) {
            let at = self.cut();
            let len = self.length(at);
            let mut next = self.crafted(Place::Stream(at as i64), len);
            next.acknowledgment = self.as_far();
            self.push(next);
        }
    }

    /// Ends the stream before something that has passed, if that lies in the middle of a body.
    pub(super) fn end_before_the_end(&mut self) {
        let gap = self.random.between(1, 20);
        let len = self.random.between(1, 20);
        let early = self.crafted(Place::Acked(gap as i64), len);
        self.push(early);
        let len = self.random.below(gap + 1);
        let mut end = self.crafted(Place::Acked(0), len);
        end.flags |= FIN;
        self.push(end);
        let mut rest = self.crafted(Place::Acked(0), 1);
        rest.flags |= FIN;
        self.push(rest);
    }
}
