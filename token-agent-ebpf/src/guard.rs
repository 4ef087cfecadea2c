//! One packet's way: headers, service, connection, requests, verdict.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use token_agent_common::{
    abi::{Address, FlowKey, ListenKey, Match},
    digest::Digest,
    http1::Rules,
    packet::{Frame, Segment},
    reason::Reason,
    stream::{Flow, Reader, Turn},
};

use crate::{
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

const NOBODY: Address = [0; 16];

/// Judges one packet.
#[inline(always)]
pub(crate) fn judge<P: Packet>(packet: &P) -> Action {
    let Some(scratch) = maps::scratch() else { return IMPOSSIBLE };
    if !packet.load_headers(&mut scratch.headers) {
        return IMPOSSIBLE;
    }
    match scratch.headers.frame(packet.len()) {
        Frame::Other => Action::Pass,
        Frame::Unreadable => bad_packet(packet, scratch, NOBODY),
        Frame::Fragment { server } => {
            // Port 0: whatever the port.
            if listener(server, 0).is_some() {
                bad_packet(packet, scratch, server)
            } else {
                Action::Pass
            }
        }
        Frame::Tcp(segment) => match listener(segment.server, segment.server_port) {
            Some(service) => judge_segment(packet, scratch, &segment, service),
            None => Action::Pass,
        },
    }
}

/// The service that listens there, the most specific match first.
#[inline(always)]
fn listener(address: Address, port: u16) -> Option<u32> {
    let ports = maps::ports(port)?;
    if ports.contains(Match::Exact, port)
        && let Some(service) = maps::listener(&ListenKey::new(Match::Exact, address, port))
    {
        return Some(service);
    }
    let is_ipv4 = address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    if is_ipv4
        && ports.contains(Match::AnyIpv4, port)
        && let Some(service) = maps::listener(&ListenKey::new(Match::AnyIpv4, address, port))
    {
        return Some(service);
    }
    if ports.contains(Match::Any, port) {
        return maps::listener(&ListenKey::new(Match::Any, address, port));
    }
    None
}

/// A packet that belongs to no one service.
#[inline(always)]
fn bad_packet<P: Packet>(packet: &P, scratch: &mut Scratch, server: Address) -> Action {
    scratch.begin(FlowKey { client: NOBODY, server, client_port: 0, server_port: 0 });
    match case(packet, 0) {
        Some(case) => case.deny(scratch, Reason::BadPacket),
        None => IMPOSSIBLE,
    }
}

#[inline(always)]
fn case<P: Packet>(packet: &P, service: u32) -> Option<Case<'static>> {
    let settings = maps::settings()?;
    let policy = maps::service(service)?;
    Some(Case { settings, policy, service, interface: packet.interface() })
}

#[inline(always)]
fn judge_segment<P: Packet>(
    packet: &P,
    scratch: &mut Scratch,
    segment: &Segment,
    service: u32,
) -> Action {
    let Some(case) = case(packet, service) else { return IMPOSSIBLE };
    scratch.begin(FlowKey {
        client: segment.client,
        server: segment.server,
        client_port: segment.client_port,
        server_port: segment.server_port,
    });
    if segment.is_bad() {
        return case.deny(scratch, Reason::BadPacket);
    }
    if segment.is_syn() {
        maps::forget(&scratch.flow);
        return Action::Pass;
    }
    if segment.len == 0 {
        return Action::Pass;
    }
    let mut body = 0;
    let known = maps::flow(&scratch.flow);
    if let Some(flow) = &known {
        if flow.is_lost() {
            if !case.enforces() {
                case.count(Reason::Unjudged, 1);
                return Action::Pass;
            }
        } else {
            body = flow.body_bytes(segment.sequence, segment.len);
            if body == segment.len {
                maps::remember(&scratch.flow, &flow.after_body(segment.sequence, body));
                return Action::Pass;
            }
        }
    }
    scratch.reader.begin(body, segment.len);
    let (outcome, allowed) = read(packet, scratch, case, segment);
    if outcome == Outcome::Denied as u32 {
        // The whole segment is dropped: nothing of it happened.
        return Action::Drop;
    }
    if allowed > 0 {
        case.count(Reason::Allowed, allowed);
    }
    if outcome == Outcome::Lost as u32 {
        maps::remember(&scratch.flow, &Flow::LOST);
        return Action::Pass;
    }
    if outcome != Outcome::End as u32 {
        return case.deny(scratch, Reason::Undecided);
    }
    match scratch.reader.flow(segment.sequence) {
        Some(flow) => {
            // Without it the body's next segment would be taken for a head.
            if !maps::remember(&scratch.flow, &flow) {
                return case.deny(scratch, Reason::Undecided);
            }
        }
        None if known.is_some() => maps::forget(&scratch.flow),
        None => {}
    }
    Action::Pass
}

/// How reading a segment ended. Numbers, since the loop's state lives in memory.
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

/// Reads the segment; gives an [`Outcome`] and how many requests were allowed.
#[inline(always)]
fn read<P: Packet>(
    packet: &P,
    scratch: &mut Scratch,
    case: Case<'_>,
    segment: &Segment,
) -> (u32, u32) {
    // A function of its own, so that the verifier looks at one turn and not at all of them.
    extern "C" fn turn<P: Packet>(_index: u64, turns: *mut c_void) -> i64 {
        // SAFETY: the pointer is the one given to `bpf_loop` below, and the loop is its only user.
        let turns = unsafe { &mut *turns.cast::<Turns<'_, P>>() };
        i64::from(turns.turn())
    }
    let mut turns = Turns {
        packet,
        scratch,
        case,
        payload: segment.payload,
        allowed: 0,
        outcome: Outcome::Unfinished as u32,
    };
    let callback: extern "C" fn(u64, *mut c_void) -> i64 = turn::<P>;
    // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
    unsafe {
        bpf_loop(
            Reader::turns(segment.len),
            callback as *mut c_void,
            core::ptr::from_mut(&mut turns).cast(),
            0,
        );
    }
    (turns.outcome, turns.allowed)
}

/// The state of the loop over a segment's bytes.
struct Turns<'a, P> {
    packet: &'a P,
    scratch: &'a mut Scratch,
    case: Case<'a>,
    /// Where the payload starts in the packet.
    payload: u32,
    /// Requests allowed so far.
    allowed: u32,
    outcome: u32,
}

impl<P: Packet> Turns<'_, P> {
    /// One turn; true when it was the last.
    #[inline(always)]
    fn turn(&mut self) -> bool {
        let Scratch { reader, window, .. } = &mut *self.scratch;
        let rules = Rules { credential: self.case.policy.credential(), key: self.case.settings.key() };
        match reader.turn(window, rules) {
            Turn::Going => false,
            Turn::Fill { offset, len } => {
                let offset = self.payload.wrapping_add(offset);
                // What cannot be read leaves the outcome unfinished, which is a denial.
                !self.packet.load_window(offset, len, window)
            }
            Turn::Request(credential) => self.request(credential),
            Turn::Lost(reason) => {
                self.outcome = match self.case.deny(self.scratch, reason) {
                    Action::Drop => Outcome::Denied as u32,
                    Action::Pass => Outcome::Lost as u32,
                };
                true
            }
            Turn::End => {
                self.outcome = Outcome::End as u32;
                true
            }
        }
    }

    /// Decides on a request; true when the segment is to be dropped.
    #[inline(always)]
    fn request(&mut self, credential: Result<Digest, Reason>) -> bool {
        let reason = match credential {
            Ok(digest) => {
                self.scratch.digest = *digest.as_bytes();
                self.verdict()
            }
            Err(reason) => {
                self.scratch.digest = [0; Digest::LEN];
                reason
            }
        };
        if reason as u8 == Reason::Allowed as u8 {
            self.allowed += 1;
            return false;
        }
        match self.case.deny(self.scratch, reason) {
            Action::Drop => {
                self.outcome = Outcome::Denied as u32;
                true
            }
            Action::Pass => false,
        }
    }

    /// The verdict on the credential at hand.
    #[inline(always)]
    fn verdict(&self) -> Reason {
        match maps::token(&self.scratch.digest) {
            Some(entry) => {
                let in_audience = maps::is_for(entry.audience(), self.case.service);
                entry.judge(self.case.now(), in_audience)
            }
            None => Reason::Unknown,
        }
    }
}
