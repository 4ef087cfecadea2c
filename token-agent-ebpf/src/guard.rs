//! One packet's way: headers, service, connection, requests, verdict.

use core::{ffi::c_void, hint::black_box};

use aya_ebpf::helpers::generated::bpf_loop;
use token_agent_common::{
    abi::{FlowKey, ListenKey, Match, Settings},
    digest::Digest,
    guard::{self, Host, Turns, Work},
    http1::Rules,
    packet::{Frame, PLAIN, Segment},
    reason::Reason,
    stream::{Slot, ticks},
    verdict::TokenEntry,
    window::Window,
};

use crate::{
    clock::{self, Clock},
    maps::{self, About, Scratch},
    options,
    packet::Packet,
    report::Case,
    reset,
    table::{self, Hold},
};

/// What becomes of the packet.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Action {
    Pass,
    Drop,
    /// It was turned into its answer.
    SendBack,
}

/// What a stage says; see [`guard::Fate`]. A plain number: functions here return nothing else.
pub(crate) mod fate {
    use token_agent_common::guard::Fate;

    pub(crate) const PASS: u32 = Fate::Pass as u32;
    pub(crate) const DROP: u32 = Fate::Drop as u32;
    pub(crate) const READ: u32 = Fate::Read as u32;
    pub(crate) const COMMIT: u32 = Fate::Commit as u32;
    /// Its connection is held.
    pub(crate) const HELD: u32 = u32::MAX;
    /// It does not pass, and is answered by a RST.
    pub(crate) const RESET: u32 = u32::MAX - 1;
}

/// Judges one packet.
///
/// In two stages, each a function of its own: what either calls needs most of the stack, so
/// the other's must be back by then.
#[inline(always)]
pub(crate) fn judge<P: Packet>(packet: P) -> Action {
    // Most packets are for nobody here, which one look tells.
    if let Some(port) = packet.plain_port()
        && maps::ports(port).is_some_and(|ports| !ports.has(port))
    {
        return Action::Pass;
    }
    let fate = place::<P>(packet.context());
    if fate == fate::RESET && reset::answer::<P>(packet.context()) {
        return Action::SendBack;
    }
    if fate != fate::READ {
        return action(fate);
    }
    action(read::<P>(packet.context()))
}

#[inline(always)]
const fn action(fate: u32) -> Action {
    if fate == fate::PASS {
        Action::Pass
    } else {
        Action::Drop
    }
}

/// Tells where the segment stands: its service, its connection, its place in the stream. If it is to be read, the
/// connection is held.
#[inline(never)]
fn place<P: Packet>(context: P::Context) -> u32 {
    let packet = P::at(context);
    if passes_at_once(&packet) {
        return fate::PASS;
    }
    let Some(scratch) = maps::scratch() else {
        return fate::DROP;
    };
    let (frame, service) = locate(&packet, scratch);
    if service == NO_SERVICE && frame != Frame::Unreadable {
        return fate::PASS;
    }
    // What is no whole segment belongs to no one service.
    scratch.about.service = if frame == Frame::Tcp {
        service
    } else {
        NO_SERVICE
    };
    scratch.about.interface = packet.interface();
    scratch.work.begin();
    let Some(case) = Case::of(scratch.about.service) else {
        return fate::DROP;
    };
    if frame != Frame::Tcp || scratch.work.segment.is_bad() {
        return case.deny(&mut scratch.about, &scratch.work, Reason::BadPacket);
    }
    let fate = find(&packet, scratch, &case);
    if fate == fate::HELD {
        meet(&packet, scratch, case)
    } else {
        fate
    }
}

/// The longest frame with plain headers and nothing behind them, in bytes: TCP has up to 40 of options.
const EMPTY_MAX: u32 = PLAIN as u32 + 40;

/// Whether the packet holds an empty segment that may pass, as far as the packet and its connection tell. Many do, and
/// little else is fetched for them.
#[inline(always)]
fn passes_at_once<P: Packet>(packet: &P) -> bool {
    if packet.known_len() > EMPTY_MAX {
        return false;
    }
    let mut segment = Segment::NONE;
    if !packet.plain(&mut segment) || !segment.is_empty() || segment.is_bad() {
        return false;
    }
    let Some(settings) = maps::settings() else {
        return false;
    };
    segment.flow.zone = maps::zone(settings, &segment.flow, packet.interface());
    maps::recent(&segment.flow).is_some_and(|(slot, _)| admits(&segment, slot, clock::now()))
}

/// Finds the segment's connection, and holds that unless it is already clear what becomes of the segment.
#[inline(always)]
fn find<P: Packet>(packet: &P, scratch: &mut Scratch, case: &Case<'_>) -> u32 {
    if scratch.work.segment.is_syn() {
        // It changes nothing: what counts is what the server answers.
        if options::open::<P>(packet.context()) {
            return fate::PASS;
        }
        return case.deny(&mut scratch.about, &scratch.work, Reason::BadPacket);
    }
    let flow = &mut scratch.work.segment.flow;
    flow.zone = maps::zone(case.settings, flow, scratch.about.interface);
    let now = clock::now();
    let found = maps::flow(&scratch.work.segment.flow);
    if scratch.work.segment.is_empty()
        && let Some(slot) = maps::slot(found)
        && admits(&scratch.work.segment, slot, now)
    {
        return fate::PASS;
    }
    if let Some(slot) = maps::slot(found) {
        // SAFETY: a slot is a map's value. If it is another connection's by now, it was looked ahead in vain.
        let connection = unsafe { &mut (*slot).connection };
        connection.want();
        if !connection.place().is_opaque() {
            scratch.work.look_ahead(|segment, len, window| {
                packet.load_window(segment.payload, len, window)
            });
        }
    }
    match table::hold(scratch, found, case, now) {
        Hold::HELD if scratch.work.connection.is_lost() => {
            table::give(scratch);
            lost(scratch, case)
        }
        Hold::HELD => fate::HELD,
        Hold::PASS => fate::PASS,
        Hold::STRANGER => {
            let fate = case.deny(&mut scratch.about, &scratch.work, Reason::NoFlow);
            if fate == fate::DROP && case.settings.answers() {
                fate::RESET
            } else {
                fate
            }
        }
        reason => case.deny(&mut scratch.about, &scratch.work, Hold::reason(reason)),
    }
}

/// Tells where the segment stands in its connection. If it is to be read, that is still held.
#[inline(always)]
fn meet<P: Packet>(packet: &P, scratch: &mut Scratch, case: Case<'_>) -> u32 {
    let Scratch {
        work, about, now, ..
    } = &mut *scratch;
    let mut host = Kernel {
        packet,
        case,
        about,
    };
    let buffer = table::buffer_of(&work.connection).map(|buffer| &*buffer);
    let fate = guard::meet(work, buffer, &mut host, *now) as u32;
    if fate == fate::READ || table::put(scratch) {
        fate
    } else {
        fate::DROP
    }
}

/// What becomes of a segment on a connection that monitor mode lost track of.
#[inline(always)]
fn lost(scratch: &mut Scratch, case: &Case<'_>) -> u32 {
    if case.enforces() {
        return case.deny(&mut scratch.about, &scratch.work, Reason::OldConnection);
    }
    case.count(&scratch.about, Reason::Unjudged, 1);
    fate::PASS
}

/// Whether an empty segment may pass, if that can be told without holding its connection.
///
/// What stands in the slot may change meanwhile, or become another connection's: then such a segment passes
/// or is dropped that should not, which neither side takes harm from.
#[inline(always)]
fn admits(segment: &Segment, slot: *mut Slot, now: u64) -> bool {
    // SAFETY: a slot is a map's value.
    let slot = unsafe { &mut *slot };
    let now = ticks(now);
    let seen = slot.heard();
    let admits =
        slot.connection.key == segment.flow && slot.connection.lets_pass(segment, &seen, now);
    if admits {
        slot.connection.touch(now);
    }
    admits
}

/// Reads the segment, notes what it means, and gives its connection back.
#[inline(never)]
fn read<P: Packet>(context: P::Context) -> u32 {
    let packet = P::at(context);
    let Some(scratch) = maps::scratch() else {
        return fate::DROP;
    };
    let Some(case) = Case::of(scratch.about.service) else {
        return fate::DROP;
    };
    let Scratch {
        work, about, now, ..
    } = &mut *scratch;
    let mut host = Kernel {
        packet: &packet,
        case,
        about,
    };
    guard::read(work, &mut host);
    let mut fate = guard::conclude(work, &mut host) as u32;
    if fate == fate::COMMIT {
        let buffer = if guard::wants_buffer(work) {
            table::need_buffer(&mut work.connection)
        } else {
            table::buffer_of(&work.connection)
        };
        fate = guard::commit(work, buffer, &mut host, *now) as u32;
    }
    if !table::put(scratch) {
        return fate::DROP;
    }
    if fate == fate::PASS && scratch.work.allowed > 0 {
        case.count(&scratch.about, Reason::Allowed, scratch.work.allowed);
    }
    fate
}

/// Finds the segment, leaves it in `scratch` and gives the service's number.
#[inline(always)]
fn locate<P: Packet>(packet: &P, scratch: &mut Scratch) -> (Frame, u32) {
    let Scratch { headers, work, .. } = scratch;
    let segment = &mut work.segment;
    let frame = packet.frame(headers, segment);
    let service = match frame {
        // A fragment's port is 0, which stands for any.
        Frame::Tcp | Frame::Fragment => listener(&segment.flow),
        Frame::Other | Frame::Unreadable => NO_SERVICE,
    };
    (frame, service)
}

/// Services are numbered from 1.
pub(crate) const NO_SERVICE: u32 = 0;

/// The service the segment is for, the most specific match first.
#[inline(always)]
pub(crate) fn listener(flow: &FlowKey) -> u32 {
    let FlowKey {
        server,
        server_port: port,
        ..
    } = *flow;
    let Some(ports) = maps::ports(port).filter(|ports| ports.has(port)) else {
        return NO_SERVICE;
    };
    if ports.lists_all() {
        return ports.listed(&server, port).unwrap_or(NO_SERVICE);
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

/// The guard's surroundings, here.
struct Kernel<'a, P> {
    packet: &'a P,
    case: Case<'a>,
    about: &'a mut About,
}

impl<P: Packet> Host for Kernel<'_, P> {
    #[inline(always)]
    fn repeat<T: Turns>(count: u32, turns: &mut T) {
        // A function of its own, so that the verifier looks at one turn and not at all of them.
        extern "C" fn turn<T: Turns>(_index: u64, turns: *mut c_void) -> i64 {
            // SAFETY: the pointer is the one given to `bpf_loop` below, and the loop is its only user.
            let turns = unsafe { &mut *turns.cast::<T>() };
            i64::from(turns.turn())
        }
        let callback: extern "C" fn(u64, *mut c_void) -> i64 = turn::<T>;
        // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
        unsafe {
            bpf_loop(
                count,
                callback as *mut c_void,
                core::ptr::from_mut(turns).cast(),
                0,
            );
        }
    }

    #[inline(always)]
    fn fill(&self, segment: &Segment, offset: u32, len: u32, window: &mut Window) -> bool {
        self.packet
            .load_window(segment.payload.wrapping_add(offset), len, window)
    }

    #[inline(always)]
    fn word(&self, segment: &Segment, offset: u32, len: u32) -> Option<u64> {
        self.packet
            .load_word(segment.payload.wrapping_add(offset), len)
    }

    #[inline(always)]
    fn page(&self) -> u32 {
        maps::free_page().map_or(0, |page| page + 1)
    }

    #[inline(always)]
    fn keep(&self, segment: &Segment, offset: u32, len: u32, page: u32, at: u32) -> bool {
        let offset = segment.payload.wrapping_add(offset);
        maps::page(page.wrapping_sub(1))
            .is_some_and(|page| self.packet.load_kept(offset, len, page, at))
    }

    #[inline(always)]
    fn keep_read(&self, window: &Window, from: u32, len: u32, page: u32, at: u32) -> bool {
        let Some(page) = maps::page(page.wrapping_sub(1)) else {
            return false;
        };
        page.take(at, window, from, len);
        true
    }

    #[inline(always)]
    fn kept(&self, page: u32, at: u32) -> Option<u64> {
        Some(maps::page(page.wrapping_sub(1))?.word(at))
    }

    #[inline(always)]
    fn rules(&self) -> Rules<'_> {
        Rules {
            credential: self.case.policy.credential(),
            key: self.case.settings.key(),
            options: self.case.policy.options(),
        }
    }

    #[inline(always)]
    fn verdict(&mut self, digest: &Digest) -> Reason {
        let About {
            entry,
            service,
            clock,
            ..
        } = &mut *self.about;
        if !maps::token(digest, entry) {
            return Reason::Unknown;
        }
        // Read again, so that what is judged is what was checked.
        let entry = black_box(entry);
        if !entry.is_sealed_for(digest) {
            // It was changed at this very moment. Sent again, the request is judged by what is then known.
            return Reason::Busy;
        }
        let in_audience = maps::is_for(entry.audience(), *service);
        entry.judge(time_for(entry, self.case.settings, clock), in_audience)
    }

    #[inline(always)]
    fn deny(&mut self, work: &mut Work, reason: Reason) -> bool {
        self.case.deny(self.about, work, reason) == fate::DROP
    }
}

/// The time to judge a token by: as it was in this tick, or exactly where that can make a difference.
///
#[inline(always)]
fn time_for(entry: &TokenEntry, settings: &Settings, clock: &mut Clock) -> u64 {
    let now = settings.utc(clock.tai());
    if entry.is_settled(now) {
        now
    } else {
        settings.utc(clock::tai())
    }
}
