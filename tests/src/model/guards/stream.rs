//! The real one: the pure core, with tables in plain memory.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use token_agent_common::{
    abi::FlowKey,
    digest::{Digest, KeyWords},
    guard::{self, Fate, Host, Turns, Work},
    http1::{Charset, CredentialRule, Place, Rules, option},
    name::Name,
    packet::{Segment as Wire, options},
    reason::Reason,
    stream::{Answer, Buffer, Change, Connection, Offers, Pair, Slot, Witness, ticks},
    window::Window,
};

use super::pages::Pages;
use crate::model::{
    guard::{Guard, Policy, TOKENS, Verdict},
    segment::{Segment, ServerPacket, Time},
};

/// The hash key.
const KEY: [u8; 32] = [7; 32];

/// The core, for one client's port.
pub struct StreamGuard {
    work: Box<Work>,
    buffer: Box<Buffer>,
    pages: RefCell<Pages>,
    room: Room,
    slot: Option<Slot>,
    offers: Offers,
    rule: CredentialRule,
    key: KeyWords,
    digests: [Digest; TOKENS.len()],
    transitions: BTreeMap<&'static str, u64>,
}

/// How much there is of what connections share.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// Whether there is a buffer.
    pub has_buffer: bool,
    /// How many pages there are.
    pub pages: usize,
    /// Whether what is not needed any more is given back before each segment. The kernel side does that
    /// some time or other.
    pub is_swept: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            has_buffer: true,
            pages: usize::MAX,
            is_swept: false,
        }
    }
}

impl fmt::Debug for StreamGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamGuard(..)")
    }
}

impl Default for StreamGuard {
    fn default() -> Self {
        let key = KeyWords::new(&KEY);
        let digest = |token: &str| {
            let hash = blake3::keyed_hash(&KEY, token.as_bytes());
            Digest::from_bytes(*hash.as_bytes().first_chunk().expect("32 bytes"))
        };
        let name = |text| Name::new(text).expect("a short name");
        Self {
            work: Box::new(Work::new(&key)),
            buffer: Box::new(Buffer::new(&key)),
            pages: RefCell::default(),
            room: Room::default(),
            slot: None,
            offers: Offers::NONE,
            rule: CredentialRule::new(name("authorization"), name("bearer"), Charset::B64Token),
            key,
            digests: TOKENS.map(digest),
            transitions: BTreeMap::new(),
        }
    }
}

/// The segment as the guard sees it.
fn wire(segment: &Segment) -> Wire {
    Wire {
        flow: FlowKey::NONE,
        sequence: segment.sequence,
        acknowledgment: segment.acknowledgment,
        len: segment.len(),
        flags: u32::from(segment.flags),
        ..Wire::NONE
    }
}

/// The segment with options of a kind that mean nothing any more.
fn neutralised(segment: &Segment, kind: u8) -> Verdict {
    let search = options::find(&segment.options, kind);
    match search.count {
        0 => Verdict::Pass,
        1 if search.len >= 4 => {
            let mut plain = segment.clone();
            let option = &mut plain.options[search.found as usize..][..4];
            let bytes = option.try_into().expect("four bytes");
            option.copy_from_slice(&options::neutral(bytes, search.found % 2 == 1));
            Verdict::Rewrite(plain)
        }
        _ => Verdict::Drop,
    }
}

impl Guard for StreamGuard {
    fn reset(&mut self) {
        self.slot = None;
        self.offers = Offers::NONE;
        self.release_buffer();
        self.pages.borrow_mut().most = self.room.pages;
    }

    fn client(&mut self, segment: &Segment, policy: &Policy, now: Time) -> Verdict {
        self.work.segment = wire(segment);
        if self.work.segment.is_syn() && !self.work.segment.is_bad() {
            *self.transitions.entry("a client's SYN").or_default() += 1;
            return neutralised(segment, options::MULTIPATH);
        }
        self.work.begin();
        if self.room.is_swept {
            self.sweep(ticks(now.as_nanos() as u64));
        }
        let (what, passes) = self.judge(&segment.payload, policy, now);
        *self.transitions.entry(what).or_default() += 1;
        if passes { Verdict::Pass } else { Verdict::Drop }
    }

    fn server(&mut self, packet: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        let seen = wire(packet);
        if seen.is_syn() && seen.acknowledges() {
            if options::find(&packet.options, options::MULTIPATH).count > 0 {
                return Verdict::Pass;
            }
            let what = self.offer(Pair::offered(&seen));
            *self.transitions.entry(what).or_default() += 1;
            return neutralised(packet, options::FAST_OPEN);
        }
        let what = if seen.is_syn() {
            "a server's SYN"
        } else {
            self.witness(&seen, &packet.payload)
        };
        *self.transitions.entry(what).or_default() += 1;
        Verdict::Pass
    }

    fn transitions(&self) -> Vec<(&'static str, u64)> {
        self.transitions
            .iter()
            .map(|(what, count)| (*what, *count))
            .collect()
    }
}

impl StreamGuard {
    /// With so much room, from the next [`reset`](Guard::reset) on.
    pub const fn furnish(&mut self, room: Room) {
        self.room = room;
    }

    /// As the kernel's table does.
    fn sweep(&mut self, now: u32) {
        let Some(slot) = &mut self.slot else {
            return;
        };
        if slot.is_idle(now) {
            self.slot = None;
            self.release_buffer();
        } else if slot.hoards(now) {
            slot.connection.buffer = 0;
            self.release_buffer();
        } else if slot.hoards_pages(now) {
            self.pages.borrow_mut().take_back(&mut self.buffer);
        }
    }

    fn release_buffer(&mut self) {
        self.pages.borrow_mut().take_back(&mut self.buffer);
        self.buffer.clear();
    }

    fn offer(&mut self, pair: Pair) -> &'static str {
        if let Some(slot) = &mut self.slot {
            if slot.connection.has_begun_with(pair) {
                return "offered again";
            }
            slot.connection.close();
        }
        self.offers.add(pair);
        "offered"
    }

    fn witness(&mut self, packet: &Wire, payload: &[u8]) -> &'static str {
        let Some(slot) = &mut self.slot else {
            return "of no connection";
        };
        if packet.resets() {
            slot.connection.close();
            return "closed by the server";
        }
        let isn = slot.connection.isn();
        let witness = &mut slot.witness;
        let carry_out = |word: &mut u64, change: Option<Change>| {
            if let Some(change) = change {
                assert_eq!(*word, change.from);
                *word = change.to;
            }
        };
        let before = *witness;
        carry_out(&mut witness.sent, before.sent(isn, packet));
        carry_out(&mut witness.acked, before.acknowledged(isn, packet));
        carry_out(&mut witness.ended, before.ended(packet));
        if before.is_asked(isn, packet) {
            let mut bytes = [0; 16];
            let len = payload.len().min(12);
            bytes[..len].copy_from_slice(&payload[..len]);
            let words = [0, 8]
                .map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes")));
            let answer = Answer::beginning_with(words, packet.len);
            carry_out(
                &mut witness.answer,
                Some(before.answered(packet, answer as u64)),
            );
            return "answered";
        }
        "seen"
    }

    /// What became of the segment in `work`, and whether it passes.
    fn judge(&mut self, payload: &[u8], policy: &Policy, now: Time) -> (&'static str, bool) {
        let work = &mut *self.work;
        let segment = &work.segment;
        if segment.is_bad() {
            return ("dropped: bad_packet", false);
        }
        let at = ticks(now.as_nanos() as u64);
        let options = if policy.websocket {
            option::WEBSOCKET
        } else {
            0
        };
        match &mut self.slot {
            Some(slot) if !slot.connection.is_closed() => {}
            slot => {
                let Some(isn) = self.offers.taken_by(segment) else {
                    let is_stray = segment.is_empty() && self.offers.is_none() || segment.resets();
                    return if is_stray {
                        ("passed: stray", true)
                    } else {
                        ("dropped: no_flow", false)
                    };
                };
                let is_over = |slot: &Slot| slot.connection.has_begun_with(isn);
                if slot.as_ref().is_some_and(is_over) {
                    return ("dropped: busy", false);
                }
                let mut begun = slot.unwrap_or(Slot {
                    mark: 0,
                    connection: Connection::FREE,
                    witness: Witness::begun(0),
                });
                let connection = &mut begun.connection;
                connection.begin(&segment.flow, isn, Place::first(options), at);
                connection.generation += 1;
                begun.witness = Witness::begun(connection.generation);
                self.buffer.clear();
                self.offers = Offers::NONE;
                *slot = Some(begun);
            }
        }
        let Some(slot) = &mut self.slot else {
            return ("dropped: impossible", false);
        };
        work.seen = slot.witness.seen();
        if segment.is_empty()
            && slot.connection.is_open()
            && slot.connection.admit(segment, &work.seen, at).is_ok()
        {
            slot.connection.touch(at);
            return ("passed: empty", true);
        }
        work.connection.copy_from(&slot.connection);
        let mut host = Plain {
            payload,
            pages: &self.pages,
            rules: Rules {
                credential: &self.rule,
                key: &self.key,
                options,
            },
            digests: &self.digests,
            policy,
            now,
            reason: None,
        };
        let buffer = (work.connection.buffer != 0).then_some(&*self.buffer);
        let mut fate = guard::meet(work, buffer, &mut host, at);
        let mut what = "passed";
        if fate == Fate::Read {
            what = if work.reader.read.len == 0 {
                "passed: fin"
            } else {
                "passed: read"
            };
            guard::read(work, &mut host);
            fate = guard::conclude(work, &mut host);
            if fate == Fate::Commit {
                if guard::wants_buffer(work) && work.connection.buffer == 0 && self.room.has_buffer
                {
                    work.connection.buffer = 1;
                    self.buffer.clear();
                }
                let buffer = (work.connection.buffer != 0).then_some(&mut *self.buffer);
                fate = guard::commit(work, buffer, &mut host, at);
            }
        }
        assert!(
            work.connection.next() >= slot.connection.next(),
            "a connection only moves on"
        );
        slot.connection.copy_from(&work.connection);
        if work.asks != 0 {
            slot.witness.ask();
        }
        match (fate, host.reason) {
            (Fate::Pass, _) if work.connection.is_closed() => ("passed: closed", true),
            (Fate::Pass, _) => (what, true),
            (_, Some(reason)) => (reason.as_str(), false),
            (_, None) => ("dropped: impossible", false),
        }
    }
}

/// The guard's surroundings, here.
struct Plain<'a> {
    payload: &'a [u8],
    pages: &'a RefCell<Pages>,
    rules: Rules<'a>,
    digests: &'a [Digest],
    policy: &'a Policy,
    now: Time,
    /// Why something was denied.
    reason: Option<Reason>,
}

impl Plain<'_> {
    fn bytes(&self, offset: u32, len: u32) -> Option<&[u8]> {
        self.payload.get(offset as usize..(offset + len) as usize)
    }
}

impl Host for Plain<'_> {
    fn repeat<T: Turns>(count: u32, turns: &mut T) {
        for _ in 0..count {
            if turns.turn() {
                break;
            }
        }
    }

    fn fill(&self, _: &Wire, offset: u32, len: u32, window: &mut Window) -> bool {
        self.bytes(offset, len)
            .is_some_and(|bytes| window.fill(bytes) == len)
    }

    fn word(&self, _: &Wire, offset: u32, len: u32) -> Option<u64> {
        let mut eight = [0; 8];
        eight[..len as usize].copy_from_slice(self.bytes(offset, len)?);
        Some(u64::from_le_bytes(eight))
    }

    fn page(&self) -> u32 {
        self.pages.borrow_mut().take()
    }

    fn keep(&self, _: &Wire, offset: u32, len: u32, page: u32, at: u32) -> bool {
        let mut pages = self.pages.borrow_mut();
        self.bytes(offset, len)
            .map(|bytes| pages.of_mut(page).put(at, bytes))
            .is_some()
    }

    fn kept(&self, page: u32, at: u32) -> Option<u64> {
        Some(self.pages.borrow().of(page).word(at))
    }

    fn rules(&self) -> Rules<'_> {
        self.rules
    }

    fn verdict(&mut self, digest: &Digest) -> Reason {
        match self.digests.iter().position(|known| known == digest) {
            Some(i) if self.policy.allows(TOKENS[i].as_bytes(), self.now) => Reason::Allowed,
            Some(_) => Reason::Revoked,
            None => Reason::Unknown,
        }
    }

    fn deny(&mut self, _: &mut Work, reason: Reason) -> bool {
        self.reason = Some(reason);
        true
    }
}
