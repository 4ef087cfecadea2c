//! Connections of this host's own that are older than the guard.
//!
//! The server's socket tells what the witness has missed: both initial sequence numbers, and how
//! much was sent. The guard goes on with a connection only if nothing was received on it: then it
//! begins there as any other does. While it is unknown nothing passes to it, so nothing arrives meanwhile.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_tuple, bpf_tcp_sock},
    helpers::generated::{bpf_sk_lookup_tcp, bpf_sk_release, bpf_tcp_sock as tcp_of},
};
use token_agent_common::{
    abi::{FlowKey, Standing},
    stream::Pair,
};

use crate::{
    clock,
    guard::{self, NO_SERVICE},
    maps::{self, NO_SLOT, Scratch},
    packet::{Packet, TcPacket},
    report::Case,
    table::{self, Held, Hold},
    witness::{TRIES, carry_out, tell},
};

/// Answers what the agent asks about a connection.
#[inline(always)]
pub(crate) fn adopt(packet: &TcPacket) -> Standing {
    let Some(scratch) = maps::scratch_of_agent() else {
        return Standing::Unknown;
    };
    if !packet.load_question(&mut scratch.question) {
        return Standing::Unknown;
    }
    scratch.work.segment.flow = scratch.question.flow;
    let flow = &mut scratch.work.segment.flow;
    let service = guard::listener(flow);
    if service == NO_SERVICE {
        return Standing::Unknown;
    }
    let Some(case) = Case::of(service) else {
        return Standing::Unknown;
    };
    flow.zone = maps::zone(case.settings, flow, packet.interface());
    find(packet.context());
    let now = clock::now();
    let found = maps::flow(&scratch.work.segment.flow);
    let mut closed = NO_SLOT;
    match known(&scratch.work.segment.flow, found, &scratch.socket, now) {
        KNOWN => return Standing::Known,
        CLOSED => closed = found,
        NOT_OURS => {}
        _ => return Standing::Unknown,
    }
    let Scratch {
        work,
        offers,
        question,
        socket,
        ..
    } = &mut *scratch;
    if !maps::offers(&work.segment.flow, offers) {
        return Standing::Unknown;
    }
    if question.adopt == 0 || !socket.is_fresh() {
        // What was offered can still be taken up.
        return if !offers.is_none() {
            Standing::Known
        } else {
            Standing::Unknown
        };
    }
    let isn = socket.isn;
    if table::bind(scratch, isn, closed, &case, now) != Hold::HELD {
        return Standing::Unknown;
    }
    scratch.socket.tell(scratch.slot);
    table::give(scratch);
    Standing::Adopted
}

/// The slot is that of the connection.
const KNOWN: u32 = 0;
/// The same, and the connection is over.
const CLOSED: u32 = 1;
/// It has no slot, or that is another's by now.
const NOT_OURS: u32 = 2;
/// What the slot knows does not fit the socket, or cannot be told now.
const UNFIT: u32 = 3;

/// Looks at the slot that the connection has, and brings up to date what was seen of the server.
#[inline(always)]
fn known(flow: &FlowKey, index: u32, socket: &Socket, now: u64) -> u32 {
    let Some(slot) = maps::slot(index) else {
        return NOT_OURS;
    };
    let Some(held) = Held::take(slot, now) else {
        return UNFIT;
    };
    // SAFETY: a slot is a map's value, and the mark is ours.
    let connection = unsafe { &(*held.slot).connection };
    let code = if connection.key != *flow {
        NOT_OURS
    } else if connection.is_closed() {
        CLOSED
    } else if !socket.is_connected() {
        // The server does not have it yet, or any more.
        KNOWN
    } else if connection.has_begun_with(socket.isn) {
        socket.tell(index);
        KNOWN
    } else {
        UNFIT
    };
    held.give();
    code
}

/// Looks for the socket of this host that has the connection, and leaves in `scratch` what it tells.
///
/// A function of its own in the kernel too, for its stack.
#[inline(never)]
fn find(context: *mut __sk_buff) -> u32 {
    const THIS_HOST: u64 = u64::MAX;
    let Some(scratch) = maps::scratch_of_agent() else {
        return 0;
    };
    let Scratch { work, socket, .. } = scratch;
    *socket = Socket::NONE;
    let flow = &work.segment.flow;
    let (client, server) = (flow.client.quarters(), flow.server.quarters());
    let ports = u32::from(flow.client_port.to_be()) | u32::from(flow.server_port.to_be()) << 16;
    let Tuple(tuple) = &mut Tuple([0; 10]);
    let len = if flow.server.is_ipv4() {
        tuple[0] = client[3];
        tuple[1] = server[3];
        tuple[2] = ports;
        12
    } else {
        let mut i = 0;
        while i < 4 {
            tuple[i] = client[i];
            tuple[4 + i] = server[i];
            i += 1;
        }
        tuple[8] = ports;
        36
    };
    // SAFETY: the context is the one the kernel passed in; the tuple is of that length.
    let found = unsafe {
        bpf_sk_lookup_tcp(
            context.cast(),
            tuple.as_mut_ptr().cast::<bpf_sock_tuple>(),
            len,
            THIS_HOST,
            0,
        )
    };
    if found.is_null() {
        return 0;
    }
    // SAFETY: the socket is there until it is released.
    unsafe { socket.read(found) };
    // SAFETY: as above; it is not used any more.
    unsafe { bpf_sk_release(found.cast()) };
    1
}

/// What a socket tells of its connection. It goes on while it is looked at, so the numbers need not fit each other:
/// who has begun a connection by them looks at them again.
#[repr(C)]
pub(crate) struct Socket {
    /// 0 if there is none.
    state: u32,
    /// How many segments with data arrived, also those that wait for the socket.
    data_segments: u32,
    /// How much was received, without gaps.
    received: u64,
    isn: Pair,
    /// How much was sent.
    sent: u64,
}

impl Socket {
    const NONE: Self = Self {
        state: 0,
        data_segments: 0,
        received: 0,
        isn: Pair {
            client: 0,
            server: 0,
        },
        sent: 0,
    };

    /// # Safety
    /// The socket was looked up, and not released.
    #[inline(always)]
    unsafe fn read(&mut self, socket: *mut bpf_sock) {
        // SAFETY: the caller's promise.
        let state = unsafe { (&raw const (*socket).state).read_volatile() };
        // SAFETY: as above.
        let tcp: *mut bpf_tcp_sock = unsafe { tcp_of(socket) };
        if tcp.is_null() {
            return;
        }
        // Each by itself: the kernel does not let two be read at once.
        macro_rules! field {
            ($name:ident) => {
                // SAFETY: as long as the socket is there, so is what it tells.
                unsafe { (&raw const (*tcp).$name).read_volatile() }
            };
        }
        let received = field!(bytes_received);
        let next = field!(rcv_nxt);
        let acked = field!(bytes_acked);
        let unacked_from = field!(snd_una);
        let unacked = field!(snd_nxt).wrapping_sub(unacked_from);
        if unacked > MOST_UNACKED {
            return;
        }
        let first = |at: u32, count: u64| at.wrapping_sub(count as u32).wrapping_sub(1);
        self.data_segments = field!(data_segs_in);
        self.received = received;
        self.isn.client = first(next, received);
        self.isn.server = first(unacked_from, acked);
        self.sent = acked.wrapping_add(u64::from(unacked));
        self.state = state;
    }

    /// Whether there is one, and it has the connection: not one that only listens.
    #[inline(always)]
    const fn is_connected(&self) -> bool {
        self.state != 0 && self.state != state::LISTEN
    }

    /// Whether nothing was received on it, and neither side has ended it.
    #[inline(always)]
    const fn is_fresh(&self) -> bool {
        self.state == state::ESTABLISHED && self.received == 0 && self.data_segments == 0
    }

    /// Whether the server has ended its side.
    #[inline(always)]
    const fn has_ended(&self) -> bool {
        matches!(
            self.state,
            state::FIN_WAIT1 | state::FIN_WAIT2 | state::CLOSING | state::LAST_ACK
        )
    }

    /// Has it known what the witness of the slot has missed.
    #[inline(never)]
    fn tell(&self, index: u32) {
        let Some((slot, words)) = maps::slot(index).zip(maps::witness(index)) else {
            return;
        };
        // SAFETY: both are values of maps; the words are changed one by one.
        let (slot, words) = unsafe { (&mut *slot, &mut *words) };
        let mut tries = 0;
        while tries < TRIES {
            let witness = *words;
            let mut is_done = true;
            if self.has_ended()
                && let Some(change) = slot.told.has_ended()
            {
                is_done &= carry_out(&raw mut slot.told.ended, change);
            }
            if let Some(change) = witness.has_sent(self.sent) {
                is_done &= carry_out(&raw mut words.sent, change);
            }
            if is_done {
                tell(&mut slot.told, words);
                return;
            }
            tries += 1;
        }
    }
}

/// Addresses and ports, as the kernel asks for them. Aligned, since they are written two at a time.
#[repr(align(8))]
struct Tuple([u32; 10]);

/// More than any window (RFC 7323, section 2.3): then the numbers do not fit each other.
const MOST_UNACKED: u32 = 1 << 30;

/// A socket's state, as the kernel numbers them.
mod state {
    pub(super) const ESTABLISHED: u32 = 1;
    pub(super) const FIN_WAIT1: u32 = 4;
    pub(super) const FIN_WAIT2: u32 = 5;
    pub(super) const LAST_ACK: u32 = 9;
    pub(super) const LISTEN: u32 = 10;
    pub(super) const CLOSING: u32 = 11;
}
