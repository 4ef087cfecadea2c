//! The real one: the pure core, with tables in plain memory.

mod transitions;

use std::{cell::RefCell, fmt};

use token_agent_common::{
    abi::FlowKey,
    digest::{Digest, KeyWords},
    guard::{self, Fate, Host, Turns, Work},
    http1::{Charset, CredentialRule, Place, Rules, option},
    name::Name,
    packet::{Segment as Wire, options},
    reason::Reason,
    stream::{Answer, Buffer, Change, Offers, Pair, Slot, Witness, ticks},
    window::Window,
};

use self::transitions::{Judged, Transition, Transitions};
use super::pages::Pages;
use crate::model::{
    guard::{Guard, Policy, TOKENS, Verdict},
    segment::{Segment, ServerPacket, Time},
};

/// Of so many of the server's packets one is told late, where any is.
const TOLD_LATE: u32 = 4;

/// The hash key.
const KEY: [u8; 32] = [7; 32];

/// The core, for one client's port.
pub struct StreamGuard {
    work: Box<Work>,
    buffer: Box<Buffer>,
    pages: RefCell<Pages>,
    room: Room,
    slot: Option<Slot>,
    witness: Witness,
    /// How many of the server's packets were seen.
    witnessed: u32,
    offers: Offers,
    rule: CredentialRule,
    key: KeyWords,
    digests: [Digest; TOKENS.len()],
    /// The pairs among `offers`, the newest last.
    offered: Vec<Pair>,
    transitions: Transitions,
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
    /// Whether it happens that what the server says is told by another processor last, that has seen less. Harm may
    /// come of it only to who is served, and only up to the server's next packet.
    pub is_told_late: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            has_buffer: true,
            pages: usize::MAX,
            is_swept: false,
            is_told_late: false,
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
            witness: Witness::begun(0),
            witnessed: 0,
            offers: Offers::NONE,
            rule: CredentialRule::new(name("authorization"), name("bearer"), Charset::B64Token),
            key,
            digests: TOKENS.map(digest),
            offered: Vec::new(),
            transitions: Transitions::default(),
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
        self.witnessed = 0;
        self.offers = Offers::NONE;
        self.offered.clear();
        self.release_buffer();
    }

    fn client(&mut self, segment: &Segment, policy: &Policy, now: Time) -> Verdict {
        self.work.segment = wire(segment);
        if self.work.segment.is_syn() && !self.work.segment.is_bad() {
            self.transitions.add(Transition::Syn);
            return neutralised(segment, options::MULTIPATH);
        }
        self.work.begin();
        self.pages.borrow_mut().most = policy
            .pages
            .map_or(self.room.pages, |pages| self.room.pages.min(pages as usize));
        if self.room.is_swept {
            self.sweep(ticks(now.as_nanos() as u64));
        }
        if self.judge(&segment.payload, policy, now) {
            Verdict::Pass
        } else {
            Verdict::Drop
        }
    }

    fn server(&mut self, packet: &ServerPacket, _: &Policy, now: Time) -> Verdict {
        let seen = wire(packet);
        if seen.is_syn() && seen.acknowledges() {
            if options::find(&packet.options, options::MULTIPATH).count > 0 {
                return Verdict::Pass;
            }
            if !self.offer(Pair::offered(&seen), now) {
                return Verdict::Drop;
            }
            return neutralised(packet, options::FAST_OPEN);
        }
        if !seen.is_syn() {
            self.witness(&seen, &packet.payload);
        }
        Verdict::Pass
    }

    fn transitions(&self) -> Vec<(String, u64)> {
        self.transitions.all()
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
        if slot.is_idle(&slot.seen(&self.witness), now) {
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

    /// Whether the pair is offered to the client.
    fn offer(&mut self, pair: Pair, now: Time) -> bool {
        if let Some(slot) = &mut self.slot {
            if slot.connection.has_begun_with(pair) {
                self.transitions.add(Transition::OfferedOwn);
                return true;
            }
            let at = ticks(now.as_nanos() as u64);
            if slot.connection.is_near(pair, &slot.seen(&self.witness), at) {
                self.transitions.add(Transition::OfferedNear);
                slot.connection.note_offer(pair);
                self.offers.note(pair, at);
                return false;
            }
            self.transitions
                .closes(&slot.connection, Transition::ClosedByOffer);
            slot.connection.close();
        }
        self.offers.add(pair, ticks(now.as_nanos() as u64));
        self.transitions.offered(&mut self.offered, pair);
        true
    }

    fn witness(&mut self, packet: &Wire, payload: &[u8]) {
        let Some(slot) = &mut self.slot else {
            self.transitions.add(Transition::WitnessNone);
            return;
        };
        if packet.resets() {
            self.transitions
                .closes(&slot.connection, Transition::ClosedByServer);
            slot.connection.forget();
            return;
        }
        let isn = slot.connection.isn();
        let witness = &mut self.witness;
        let transitions = &mut self.transitions;
        let mut carry_out = |word: &mut u64, change: Option<Change>, what: Transition| {
            if let Some(change) = change {
                assert_eq!(*word, change.from);
                *word = change.to;
                transitions.add(what);
            }
        };
        let before = *witness;
        if !before.is_of(isn, packet) {
            self.transitions.add(Transition::WitnessOther);
            return;
        }
        let sent = before.sent(isn, packet);
        let acked = before.acknowledged(isn, packet);
        let ended = before.ended(&slot.told, isn, packet);
        carry_out(&mut witness.sent, sent, Transition::WitnessSent);
        carry_out(&mut witness.acked, acked, Transition::WitnessAcked);
        carry_out(&mut slot.told.ended, ended, Transition::WitnessEnded);
        self.witnessed += 1;
        let last = if self.room.is_told_late && self.witnessed.is_multiple_of(TOLD_LATE) {
            before
        } else {
            *witness
        };
        slot.told.acked = last.acked;
        slot.told.sent = last.sent;
        let inquiry = slot.inquiry;
        if inquiry.is_for(&before, isn, packet) {
            let mut bytes = [0; 16];
            let len = payload.len().min(12);
            bytes[..len].copy_from_slice(&payload[..len]);
            let words = [0, 8]
                .map(|at| u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes")));
            let answer = Answer::beginning_with(words, packet.len);
            let answered = inquiry.answered(packet, answer as u64);
            let what = transitions::answered(answer);
            carry_out(slot.inquiry.word(), Some(answered), what);
        }
    }

    /// Whether the segment in `work` passes.
    fn judge(&mut self, payload: &[u8], policy: &Policy, now: Time) -> bool {
        let work = &mut *self.work;
        let segment = &work.segment;
        if segment.is_bad() {
            self.transitions.add(Transition::Bad);
            return false;
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
                    let is_stray = segment.resets();
                    self.transitions.add(if is_stray {
                        Transition::Stray
                    } else {
                        Transition::NoFlow
                    });
                    return is_stray;
                };
                let is_over = |slot: &Slot| {
                    let connection = &slot.connection;
                    connection.has_begun_with(isn)
                        || connection.is_near(isn, &slot.seen(&self.witness), at)
                };
                if slot.as_ref().is_some_and(is_over) {
                    self.transitions.add(Transition::NoFlow);
                    return false;
                }
                self.transitions
                    .begins(&mut self.offered, isn, slot.is_some());
                let mut begun = slot.unwrap_or(Slot::FREE);
                let connection = &mut begun.connection;
                connection.begin(&segment.flow, isn, Place::first(options), at);
                let besides = self.offers.besides(isn);
                connection.note_besides(besides);
                self.transitions.add(transitions::besides(besides));
                connection.generation += 1;
                begun.begin(&mut self.witness);
                self.buffer.clear();
                self.offers.withdraw();
                *slot = Some(begun);
            }
        }
        let Some(slot) = &mut self.slot else {
            return false;
        };
        work.seen = slot.heard();
        if segment.is_empty() && slot.connection.lets_pass(segment, &work.seen, at) {
            slot.connection.touch(at);
            self.transitions.add(Transition::Empty);
            return true;
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
        // Not always: the kernel's look at whether it is in vain may be late.
        if !work.segment.sequence.is_multiple_of(4) {
            work.look_ahead(|segment, len, window| host.fill(segment, 0, len, window));
        }
        let mut fate = guard::meet(work, buffer, &mut host, at);
        let has_room = self.room.has_buffer && policy.pages != Some(0);
        if fate == Fate::Read {
            guard::read(work, &mut host);
            fate = guard::conclude(work, &mut host);
            if fate == Fate::Commit {
                if guard::wants_buffer(work) && work.connection.buffer == 0 && has_room {
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
        self.transitions.judged(&Judged {
            segment: &work.segment,
            seen: &work.seen,
            now: at,
            before: &slot.connection,
            after: &work.connection,
            fate,
            reason: host.reason,
            allowed: work.allowed,
            has_buffer: has_room,
        });
        slot.connection.copy_from(&work.connection);
        if work.asks != 0 {
            slot.inquiry.ask(slot.seen(&self.witness).sent);
        }
        fate == Fate::Pass
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

    fn keep_read(&self, window: &Window, from: u32, len: u32, page: u32, at: u32) -> bool {
        let mut pages = self.pages.borrow_mut();
        pages.of_mut(page).take(at, window, from, len);
        true
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
