//! Which of the core's transitions were taken, and how often: told by what a connection was before a segment and
//! what it is after it.

use token_agent_common::{
    guard::Fate,
    http1::Part,
    packet::Segment,
    reason::Reason,
    stream::{Answer, Arrival, Besides, Connection, Pair, Plan, Seen},
};

macro_rules! transitions {
    ($($name:ident $text:literal)*) => {
        /// What can happen.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Transition { $($name),* }

        const NAMES: &[&str] = &[$($text),*];
    };
}

transitions! {
    Syn "a SYN passes"
    Bad "dropped: what cannot be"
    OfferedFirst "offered: a first pair"
    OfferedSecond "offered: a second pair"
    OfferedThird "offered: a third pair"
    OfferedFourth "offered: a fourth pair"
    OfferedMore "offered: one more, the oldest goes"
    OfferedAgain "offered: a pair again"
    OfferedOwn "offered: the pair that was taken up"
    OfferedNear "offered: a pair near that one, dropped"
    BeginsOnly "begins: with the only pair"
    BeginsNewest "begins: with the newest pair"
    BeginsSecond "begins: with the second newest pair"
    BeginsThird "begins: with the third newest pair"
    BeginsFourth "begins: with the oldest of four pairs"
    BeginsAnew "begins: where another one is over"
    BesidesNothing "begins: nothing else would be taken"
    BesidesFar "begins: something else would be taken"
    BesidesNear "begins: something else would be taken that is near"
    Stray "no connection: a reset passes"
    NoFlow "no connection: dropped"
    ClosedByOffer "closed: by another pair"
    ClosedByServer "closed: by the server's reset"
    ClosedByClient "closed: by the client's reset"
    ClosedDead "closed: a dead one"
    WitnessOther "server: of another connection"
    WitnessNone "server: of no connection"
    WitnessAcked "server: has received more"
    WitnessSent "server: has sent more"
    WitnessEnded "server: has ended"
    AnswerInterim "answer: interim"
    AnswerSwitching "answer: switching"
    AnswerSuccess "answer: success"
    AnswerOther "answer: something else"
    AnswerUnclear "answer: unclear"
    Empty "passes: empty"
    Dead "dropped: dead"
    BadAcknowledgment "dropped: acknowledges what was not sent"
    UnguardedPath "dead: by another way"
    Renewed "overdue: judged again, more time"
    Undelivered "overdue: dead"
    SwitchedUnasked "dead: switched unasked, or behind something else"
    Old "passes: the server has it"
    Early "passes: early, in a body"
    EarlyEnd "passes: early, ends in a body"
    Opaque "passes: in a body"
    Followed "settles: the server has more of a body"
    NextDue "settles: another head is due"
    KeptAgain "settles: what was not kept is there"
    ResetBeyond "dropped: a reset beyond"
    ResetOld "passes: an old reset"
    NotOurs "dropped: another connection's"
    NearFirst "dropped: near the first byte"
    OutOfOrder "dropped: early"
    Unrepeatable "dropped: repeats what was not kept"
    UnrepeatableDead "dead: repeats what was not kept"
    OtherEnd "dead: another end"
    AnsweredEarly "dead: answered early"
    AnsweredLate "body: answered when it was there"
    UpgradeAgreed "upgrade: agreed"
    UpgradeRefused "upgrade: refused"
    UpgradeUnclear "upgrade: dead, unclear"
    UpgradeAmiss "dead: switched without having been asked yet"
    Repeated "repeats what passed"
    RepeatedOther "dead: repeats something else"
    Denied "denied: its token"
    DeniedMissing "denied: without a token"
    DeniedToken "denied: a malformed token"
    DeniedTwice "denied: two credentials"
    DeniedUpgrade "denied: an upgrade"
    DeniedProtocol "denied: HTTP/2"
    DeniedMalformed "denied: malformed"
    DeniedEnd "denied: a FIN in the middle"
    DeniedMemory "denied: no buffer"
    CommittedNone "read: no request"
    CommittedOne "read: a request"
    CommittedMore "read: several requests"
    Ended "read: ends"
    NoPage "kept: not all, no page"
    NoBuffer "kept: not, no buffer"
    Asked "upgrade: asked for"
    Spoke "upgrade: something follows"
    Expects "body: may wait"
    ExpectsNoMore "body: was there, another request"
}

const PARTS: [Part; 8] = [
    Part::Between,
    Part::Head,
    Part::Body,
    Part::ChunkLine,
    Part::ChunkData,
    Part::ChunkEnd,
    Part::Trailers,
    Part::Tunnel,
];

/// How often everything has happened.
pub(super) struct Transitions {
    counts: [u64; NAMES.len()],
    /// From what part of a request to what part the stream went on.
    parts: [[u64; PARTS.len()]; PARTS.len()],
}

/// What the server's answer is.
pub(super) const fn answered(answer: Answer) -> Transition {
    match answer {
        Answer::Interim => Transition::AnswerInterim,
        Answer::Switching => Transition::AnswerSwitching,
        Answer::Success => Transition::AnswerSuccess,
        Answer::Other => Transition::AnswerOther,
        Answer::Unclear | Answer::None => Transition::AnswerUnclear,
    }
}

/// What else the server would take when a connection begins.
pub(super) const fn besides(besides: Besides) -> Transition {
    match besides {
        Besides::Nothing => Transition::BesidesNothing,
        Besides::Far => Transition::BesidesFar,
        Besides::Near => Transition::BesidesNear,
    }
}

/// A segment that was judged.
pub(super) struct Judged<'a> {
    pub(super) segment: &'a Segment,
    pub(super) seen: &'a Seen,
    pub(super) now: u32,
    /// The connection before it and after it.
    pub(super) before: &'a Connection,
    pub(super) after: &'a Connection,
    pub(super) fate: Fate,
    /// Why it does not pass.
    pub(super) reason: Option<Reason>,
    /// How many of its requests are allowed.
    pub(super) allowed: u32,
    /// Whether there is a buffer.
    pub(super) has_buffer: bool,
}

impl Default for Transitions {
    fn default() -> Self {
        Self {
            counts: [0; NAMES.len()],
            parts: [[0; PARTS.len()]; PARTS.len()],
        }
    }
}

impl Transitions {
    pub(super) const fn add(&mut self, what: Transition) {
        self.counts[what as usize] += 1;
    }

    fn add_if(&mut self, is_so: bool, what: Transition) {
        self.counts[what as usize] += u64::from(is_so);
    }

    /// A pair is offered; `pairs` are those offered before.
    pub(super) fn offered(&mut self, pairs: &mut Vec<Pair>, pair: Pair) {
        if pairs.contains(&pair) {
            return self.add(Transition::OfferedAgain);
        }
        self.add(match pairs.len() {
            0 => Transition::OfferedFirst,
            1 => Transition::OfferedSecond,
            2 => Transition::OfferedThird,
            3 => Transition::OfferedFourth,
            _ => {
                pairs.remove(0);
                Transition::OfferedMore
            }
        });
        pairs.push(pair);
    }

    /// A connection begins with one of the pairs, which are gone then.
    pub(super) fn begins(&mut self, pairs: &mut Vec<Pair>, pair: Pair, is_anew: bool) {
        let newer = pairs.iter().rev().position(|offered| *offered == pair);
        self.add(match newer {
            _ if pairs.len() == 1 => Transition::BeginsOnly,
            Some(1) => Transition::BeginsSecond,
            Some(2) => Transition::BeginsThird,
            Some(3) => Transition::BeginsFourth,
            Some(_) | None => Transition::BeginsNewest,
        });
        self.add_if(is_anew, Transition::BeginsAnew);
        pairs.clear();
    }

    /// A connection is closed, if it is not already.
    pub(super) fn closes(&mut self, connection: &Connection, how: Transition) {
        if !connection.is_closed() {
            self.add(how);
            self.add_if(connection.fault().is_some(), Transition::ClosedDead);
        }
    }

    /// All that can happen, by name.
    pub(super) fn all(&self) -> Vec<(String, u64)> {
        let names = NAMES.iter().map(|name| (*name).to_owned());
        let mut all: Vec<_> = names.zip(self.counts).collect();
        for (from, counts) in PARTS.iter().zip(self.parts) {
            for (to, count) in PARTS.iter().zip(counts) {
                // Nothing leads back from a tunnel, and into one only a request that was answered.
                if (*from == Part::Tunnel || *to == Part::Tunnel)
                    && (*to != Part::Tunnel || ![Part::Between, Part::Tunnel].contains(from))
                {
                    continue;
                }
                all.push((format!("goes on: from {from:?} to {to:?}"), count));
            }
        }
        all
    }

    /// What a segment has done on a connection that was known, or has begun with it.
    pub(super) fn judged(&mut self, judged: &Judged<'_>) {
        use Transition as T;
        let Judged {
            segment,
            seen,
            before,
            after,
            ..
        } = *judged;
        if before.fault().is_some() {
            self.add(T::Dead);
            return;
        }
        match before.admit(segment, seen, judged.now) {
            Ok(()) => {}
            Err(Reason::Undelivered) if after.fault() == Some(Reason::Undelivered) => {
                self.add(T::Undelivered);
                return;
            }
            Err(Reason::Undelivered) => self.add(T::Renewed),
            Err(Reason::UnguardedPath) => return self.add(T::UnguardedPath),
            Err(Reason::UpgradeRefused) if before.awaits_upgrade() && !before.has_spoken() => {
                return self.add(T::UpgradeAmiss);
            }
            Err(Reason::UpgradeRefused) => return self.add(T::SwitchedUnasked),
            Err(_) => return self.add(T::BadAcknowledgment),
        }
        let mut arrived = *before;
        let mut plan = Plan::NONE;
        let arrival = arrived.arrive(segment, seen, &mut plan);
        self.settled(before, &arrived, arrival);
        if before.expects() && !arrived.expects() {
            self.add(T::AnsweredLate);
        }
        if before.awaits_upgrade() && arrived.place().is_tunnel() {
            self.add(T::UpgradeAgreed);
        } else if before.awaits_upgrade() && !arrived.awaits_upgrade() {
            self.add(T::UpgradeRefused);
        }
        match arrival {
            Arrival::Pass if segment.resets() => self.add(T::ResetOld),
            Arrival::Pass if arrived.has_ended() && !before.has_ended() => self.add(T::EarlyEnd),
            Arrival::Pass => {
                let first = before.isn().client.wrapping_add(1);
                let next = first.wrapping_add(arrived.next() as u32);
                let is_early = segment.sequence.wrapping_sub(next).cast_signed() > 0;
                self.add(if is_early && segment.len > 0 {
                    T::Early
                } else {
                    T::Old
                });
            }
            Arrival::Opaque => {
                self.add(T::Opaque);
                self.went_on(before, after);
            }
            Arrival::Close => self.add(T::ClosedByClient),
            Arrival::Drop(Reason::BadPacket) if segment.resets() => self.add(T::ResetBeyond),
            Arrival::Drop(Reason::BadPacket) => self.add(T::NotOurs),
            Arrival::Drop(Reason::Unrepeatable) => self.add(T::Unrepeatable),
            Arrival::Drop(_) => {
                let first = before.isn().client.wrapping_add(1);
                let is_near =
                    seen.acked == 0 && (1..4).contains(&segment.sequence.wrapping_sub(first));
                self.add(if is_near { T::NearFirst } else { T::OutOfOrder });
            }
            Arrival::Kill(Reason::Unrepeatable) => self.add(T::UnrepeatableDead),
            Arrival::Kill(Reason::AnsweredEarly) => self.add(T::AnsweredEarly),
            Arrival::Kill(Reason::UpgradeRefused) => self.add(T::UpgradeUnclear),
            Arrival::Kill(_) => self.add(T::OtherEnd),
            Arrival::Read => self.read(judged, &arrived, &plan),
        }
    }

    fn settled(&mut self, before: &Connection, arrived: &Connection, arrival: Arrival) {
        let has_moved = arrived.next() > before.next() && arrival != Arrival::Opaque;
        self.add_if(has_moved, Transition::Followed);
        self.add_if(arrived.due() > before.due(), Transition::NextDue);
        let is_there = before.has_unkept() && !arrived.has_unkept();
        self.add_if(is_there, Transition::KeptAgain);
    }

    fn read(&mut self, judged: &Judged<'_>, arrived: &Connection, plan: &Plan) {
        use Transition as T;
        let after = judged.after;
        if after.fault() == Some(Reason::ChangedRetransmission) {
            return self.add(T::RepeatedOther);
        }
        self.add_if(plan.compares(), T::Repeated);
        if judged.fate != Fate::Pass {
            let is_end = plan.ends != 0 && plan.read_from == judged.segment.len;
            return self.add(match judged.reason {
                Some(Reason::Missing) => T::DeniedMissing,
                Some(Reason::MalformedToken) => T::DeniedToken,
                Some(Reason::DuplicateCredential) => T::DeniedTwice,
                Some(Reason::UpgradeRefused) => T::DeniedUpgrade,
                Some(Reason::UnsupportedProtocol) => T::DeniedProtocol,
                Some(Reason::Malformed) if is_end => T::DeniedEnd,
                Some(Reason::Malformed) => T::DeniedMalformed,
                Some(Reason::TableFull) => T::DeniedMemory,
                Some(_) | None => T::Denied,
            });
        }
        self.add(match judged.allowed {
            0 => T::CommittedNone,
            1 => T::CommittedOne,
            _ => T::CommittedMore,
        });
        self.add_if(plan.ends != 0, T::Ended);
        if after.has_unkept() && !arrived.has_unkept() {
            self.add(if judged.has_buffer {
                T::NoPage
            } else {
                T::NoBuffer
            });
        }
        self.add_if(
            after.awaits_upgrade() && !arrived.awaits_upgrade(),
            T::Asked,
        );
        self.add_if(after.has_spoken() && !arrived.has_spoken(), T::Spoke);
        self.add_if(after.expects() && !arrived.expects(), T::Expects);
        self.add_if(arrived.expects() && !after.expects(), T::ExpectsNoMore);
        if after.next() > arrived.next() {
            self.went_on(judged.before, after);
        }
    }

    fn went_on(&mut self, before: &Connection, after: &Connection) {
        let part = |connection: &Connection| {
            let part = connection.place().part();
            PARTS.iter().position(|known| *known == part)
        };
        if let (Some(from), Some(to)) = (part(before), part(after)) {
            self.parts[from][to] += 1;
        }
    }
}
