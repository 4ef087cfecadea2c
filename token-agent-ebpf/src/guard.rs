//! One packet's way: headers, service, connection, requests, verdict.

use core::{ffi::c_void, hint::black_box};

use aya_ebpf::helpers::generated::bpf_loop;
use token_agent_common::{
    abi::{FlowKey, ListenKey, Match, Settings},
    digest::Digest,
    http1::Rules,
    packet::Frame,
    reason::Reason,
    stream::{Flow, Reader, Turn},
    verdict::TokenEntry,
};

use crate::{
    clock::{self, Clock},
    maps::{self, Scratch},
    packet::Packet,
    report::Case,
};

/// What becomes of the packet.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Action {
    Pass,
    Drop,
}

/// What cannot be, since the maps exist: still, nothing unjudged passes.
const IMPOSSIBLE: Action = Action::Drop;

/// Judges one packet.
#[inline(always)]
pub(crate) fn judge<P: Packet>(packet: &P) -> Action {
    // Most packets are for nobody here, which one look tells.
    if let Some(port) = packet.plain_port()
        && maps::ports(port).is_some_and(|ports| !ports.has(port))
    {
        return Action::Pass;
    }
    let Some(scratch) = maps::scratch() else {
        return IMPOSSIBLE;
    };
    let len = packet.len();
    if !packet.load_headers(len, &mut scratch.headers) {
        return IMPOSSIBLE;
    }
    let (frame, service) = locate(scratch, len);
    if service == NO_SERVICE && frame != Frame::Unreadable {
        return Action::Pass;
    }
    let is_segment = frame == Frame::Tcp;
    // What is no whole segment belongs to no one service.
    let service = if is_segment { service } else { NO_SERVICE };
    let (Some(settings), Some(policy)) = (maps::settings(), maps::service(service)) else {
        return IMPOSSIBLE;
    };
    scratch.service = service;
    scratch.interface = packet.interface();
    let case = Case { settings, policy };
    if !is_segment || scratch.segment.is_bad() {
        scratch.reader.head.reset();
        let action = case.deny(scratch, Reason::BadPacket);
        if is_segment
            && scratch.segment.len > 0
            && action == Action::Drop
            && maps::recall(&scratch.segment.flow, &mut scratch.known)
            && scratch.known.reaches(scratch.segment.sequence)
        {
            hold(scratch);
        }
        return action;
    }
    judge_segment(packet, scratch, case)
}

/// Finds the segment in the headers, leaves it in `scratch` and gives the
/// service's number.
#[inline(always)]
fn locate(scratch: &mut Scratch, len: u32) -> (Frame, u32) {
    scratch.digest = Digest::NONE;
    let Scratch {
        headers, segment, ..
    } = scratch;
    let frame = headers.frame(len, segment);
    let service = match frame {
        // A fragment's port is 0, which stands for any.
        Frame::Tcp | Frame::Fragment => listener(&segment.flow),
        Frame::Other | Frame::Unreadable => NO_SERVICE,
    };
    (frame, service)
}

/// Services are numbered from 1.
const NO_SERVICE: u32 = 0;

/// The service the segment is for, the most specific match first.
#[inline(always)]
fn listener(flow: &FlowKey) -> u32 {
    let FlowKey {
        server,
        server_port: port,
        ..
    } = *flow;
    let Some(ports) = maps::ports(port).filter(|ports| ports.has(port)) else {
        return NO_SERVICE;
    };
    if let Some(service) = ports.only(&server, port) {
        return service;
    }
    let is_ipv4 = server.is_ipv4();
    for (matching, applies) in [
        (Match::Exact, true),
        (Match::AnyIpv4, is_ipv4),
        (Match::Any, true),
    ] {
        if applies
            && ports.contains(matching, port)
            && let Some(service) = maps::listener(&ListenKey::new(matching, server, port))
        {
            return service;
        }
    }
    NO_SERVICE
}

#[inline(always)]
fn judge_segment<P: Packet>(packet: &P, scratch: &mut Scratch, case: Case<'_>) -> Action {
    let Scratch { segment, known, .. } = scratch;
    if segment.is_syn() {
        maps::forget(&segment.flow);
        return Action::Pass;
    }
    if segment.len == 0 {
        if segment.ends()
            && maps::recall(&segment.flow, known)
            && !forget_at_end(scratch, case.enforces())
            && !scratch.known.is_none()
        {
            maps::remember(&scratch.segment.flow, &scratch.known);
        }
        return Action::Pass;
    }
    if !maps::recall(&segment.flow, known) {
        scratch.reader.head.reset();
        return case.deny(scratch, Reason::Undecided);
    }
    known.turn_to(segment.sequence);
    if known.is_lost() {
        lose(scratch);
        if case.enforces() {
            scratch.reader.head.reset();
            return case.deny(scratch, Reason::Undecided);
        }
        case.count(scratch, Reason::Unjudged, 1);
        forget_at_end(scratch, false);
        return Action::Pass;
    }
    if !known.reaches(segment.sequence) && case.enforces() {
        // What comes late to fill the gap could make it something else than it seems.
        scratch.reader.head.reset();
        return case.deny(scratch, Reason::Undecided);
    }
    let (len, seen) = (segment.len, known.body_bytes(segment.sequence, segment.len));
    scratch.reader.begin(seen, len);
    if seen == len {
        // That the table is full cannot be: it is there already.
        remember(scratch);
        return Action::Pass;
    }
    scratch.allowed = 0;
    scratch.outcome = Outcome::Unfinished as u32;
    read(packet, scratch, case);
    let (outcome, allowed) = (scratch.outcome, scratch.allowed);
    if outcome == Outcome::Denied as u32 {
        // The whole segment is dropped: nothing of it happened.
        hold(scratch);
        return Action::Drop;
    }
    if outcome == Outcome::Lost as u32 {
        lose(scratch);
    } else {
        let is_known = !scratch.known.is_none();
        let is_remembered = (is_known || scratch.reader.is_telling()) && remember(scratch);
        // What could not be remembered would have the body's next segment taken for a head.
        let is_needed = is_known || scratch.reader.is_in_body();
        if outcome != Outcome::End as u32 || is_needed && !is_remembered {
            return case.deny(scratch, Reason::Undecided);
        }
    }
    if allowed > 0 {
        case.count(scratch, Reason::Allowed, allowed);
    }
    Action::Pass
}

/// Remembers where a segment was denied, unless more is known of the connection.
#[inline(never)]
fn hold(scratch: &mut Scratch) {
    let Scratch {
        segment,
        known,
        denied,
        ..
    } = scratch;
    if known.waits_at(segment.sequence) {
        // A probe whether the connection is alive may have one byte of garbage, which was
        // sent before or never will be (RFC 1122, section 4.2.3.6).
        let is_probe = segment.len == 1 && *denied == Reason::Malformed as u32;
        let place = segment.sequence.wrapping_add(u32::from(is_probe));
        // If the table is full, the connection is judged as one of which nothing is known.
        update(&segment.flow, known, Flow::held(place, clock::ticks()));
    }
}

/// Remembers that track of the connection is lost, and that it is in use.
#[inline(never)]
fn lose(scratch: &mut Scratch) {
    let Scratch { segment, known, .. } = scratch;
    update(&segment.flow, known, Flow::lost(clock::ticks()));
}

/// Remembers `flow`, unless that is `known`.
#[inline(always)]
fn update(key: &FlowKey, known: &mut Flow, flow: Flow) {
    if *known != flow {
        *known = flow;
        maps::remember(key, known);
    }
}

/// Remembers what reading the segment has told of the connection; false if the table is full.
///
/// A function of its own in the kernel too, for its stack.
#[inline(never)]
fn remember(scratch: &mut Scratch) -> bool {
    let sequence = scratch.segment.sequence;
    scratch.known = scratch
        .reader
        .flow(sequence, &scratch.known, clock::ticks());
    // What was read is not lost.
    forget_at_end(scratch, true) || maps::remember(&scratch.segment.flow, &scratch.known)
}

/// Forgets the connection if the segment ends it, or has it forgotten soon. Where verdicts are enforced, one
/// that was lost ends by nothing but a RST.
#[inline(always)]
fn forget_at_end(scratch: &mut Scratch, enforces: bool) -> bool {
    let Scratch { segment, known, .. } = scratch;
    let end = segment.sequence.wrapping_add(segment.len);
    // Behind a FIN what was denied can still be sent again, behind a RST nothing.
    let ends = segment.ends()
        && (known.ends_at(end, segment.resets())
            || known.is_held() && segment.resets()
            || known.is_lost() && (segment.resets() || !enforces));
    if ends {
        maps::forget(&segment.flow);
    } else if segment.ends() && !known.is_held() && !known.is_lost() {
        known.end(clock::ticks());
    }
    ends
}

/// How reading a segment ended.
#[repr(u32)]
enum Outcome {
    Unfinished = 0,
    /// At the segment's end.
    End = 1,
    /// A denial that is carried out.
    Denied = 2,
    /// A denial that is not, behind which nothing can be judged.
    Lost = 3,
}

/// Reads the segment; what came of it is in `scratch`.
#[inline(always)]
fn read<P: Packet>(packet: &P, scratch: &mut Scratch, case: Case<'_>) {
    // A function of its own, so that the verifier looks at one turn and not at all of them.
    extern "C" fn turn<P: Packet>(_index: u64, turns: *mut c_void) -> i64 {
        // SAFETY: the pointer is the one given to `bpf_loop` below, and the loop is its only user.
        let turns = unsafe { &mut *turns.cast::<Turns<'_, P>>() };
        i64::from(turns.turn())
    }
    let count = Reader::turns(scratch.segment.len);
    let mut turns = Turns {
        packet,
        scratch,
        case,
    };
    let callback: extern "C" fn(u64, *mut c_void) -> i64 = turn::<P>;
    // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
    unsafe {
        bpf_loop(
            count,
            callback as *mut c_void,
            core::ptr::from_mut(&mut turns).cast(),
            0,
        );
    }
}

/// What the loop over a segment's bytes works with. What changes is in the
/// scratch: on the stack, the verifier would follow its every value.
struct Turns<'a, P> {
    packet: &'a P,
    scratch: &'a mut Scratch,
    case: Case<'a>,
}

impl<P: Packet> Turns<'_, P> {
    /// One turn; true when it was the last.
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Scratch {
            segment,
            reader,
            window,
            ..
        } = &mut *self.scratch;
        let rules = Rules {
            credential: self.case.policy.credential(),
            key: self.case.settings.key(),
            options: self.case.policy.options(),
        };
        let (packet, payload) = (self.packet, segment.payload);
        match reader.turn(window, &rules, |window, offset, len| {
            packet.load_window(payload.wrapping_add(offset), len, window)
        }) {
            Turn::Going => false,
            Turn::Request(credential) => self.request(credential),
            Turn::Lost(reason) => {
                self.scratch.outcome = match self.case.deny(self.scratch, reason) {
                    Action::Drop => Outcome::Denied as u32,
                    Action::Pass => Outcome::Lost as u32,
                };
                true
            }
            Turn::End => {
                self.scratch.outcome = Outcome::End as u32;
                true
            }
        }
    }

    /// Decides on a request; true when the segment is to be dropped.
    #[inline(always)]
    fn request(&mut self, credential: Result<Digest, Reason>) -> bool {
        let reason = match credential {
            Ok(digest) => {
                self.scratch.digest = digest;
                self.verdict()
            }
            Err(reason) => {
                self.scratch.digest = Digest::NONE;
                reason
            }
        };
        if reason as u8 == Reason::Allowed as u8 {
            self.scratch.allowed += 1;
            return false;
        }
        match self.case.deny(self.scratch, reason) {
            Action::Drop => {
                self.scratch.outcome = Outcome::Denied as u32;
                true
            }
            Action::Pass => false,
        }
    }

    /// The verdict on the credential at hand.
    #[inline(always)]
    fn verdict(&mut self) -> Reason {
        let Scratch {
            digest,
            entry,
            service,
            clock,
            ..
        } = &mut *self.scratch;
        if !maps::token(digest, entry) {
            return Reason::Unknown;
        }
        // Read again, so that what is judged is what was checked.
        let entry = black_box(entry);
        if !entry.is_sealed_for(digest) {
            // It was changed at this very moment. Sent again, the request is judged by what is then known.
            return Reason::Undecided;
        }
        let in_audience = maps::is_for(entry.audience(), *service);
        entry.judge(time_for(entry, self.case.settings, clock), in_audience)
    }
}

/// The time to judge a token by: as it was in this tick, or exactly where that can make a difference.
///
/// A function of its own in the kernel too, so that the verifier does not follow both ways on.
#[inline(never)]
fn time_for(entry: &TokenEntry, settings: &Settings, clock: &mut Clock) -> u64 {
    let now = settings.utc(clock.tai());
    if entry.is_settled(now) {
        now
    } else {
        settings.utc(clock::tai())
    }
}
