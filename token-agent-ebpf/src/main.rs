//! The kernel side: thin programs around `token-agent-common`.
//!
//! [`packet`] is the door to a packet's bytes, [`maps`] to everything the agent
//! knows, [`clock`] to the time, [`guard`] leads a client's packet through the core, [`witness`] looks at a server's,
//! [`table`] has the connections, [`report`] counts and tells. What the agent runs itself is [`adopt`] and the sweep.
//! An entry point only turns the outcome into what its hook returns.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![allow(
    internal_features,
    reason = "core has no compare-exchange for this target"
)]
#![allow(
    unsafe_code,
    reason = "helpers, contexts and map values are raw in the kernel"
)]

mod adopt;
mod clock;
mod guard;
mod maps;
mod mark;
mod options;
mod packet;
mod report;
mod reset;
mod table;
mod witness;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use crate::{
    adopt::adopt,
    guard::{Action, judge},
    packet::{Packet as _, TcPacket, XdpPacket},
    witness::witness,
};

/// The guard on a network card's receive path, before the kernel has made a packet of the frame.
#[xdp(frags)]
fn guard_xdp(context: XdpContext) -> u32 {
    match judge(XdpPacket::at(context.ctx)) {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
        Action::SendBack => xdp_action::XDP_TX,
    }
}

/// The guard on a device's ingress, where any device has it.
#[classifier]
fn guard_tc(context: TcContext) -> i32 {
    match judge(TcPacket::at(context.skb.skb)) {
        // Not `OK`: programs after this one still run.
        Action::Pass => TC_ACT_UNSPEC,
        Action::Drop => TC_ACT_SHOT,
        Action::SendBack => TcPacket::at(context.skb.skb).send_back(),
    }
}

/// The witness: sees what the server says.
#[classifier]
fn witness_tc(context: TcContext) -> i32 {
    match witness(TcPacket::at(context.skb.skb)) {
        Action::Pass => TC_ACT_UNSPEC,
        Action::Drop | Action::SendBack => TC_ACT_SHOT,
    }
}

/// Keeps the table of connections in order; attached to nothing, the agent runs it.
#[classifier]
fn sweep_tc(_context: TcContext) -> i32 {
    table::sweep(table::SWEPT, clock::now());
    TC_ACT_UNSPEC
}

/// Tells of a connection of this host's whether it is known, and goes on with one on which nothing was
/// received; attached to nothing, the agent runs it.
#[classifier]
fn adopt_tc(context: TcContext) -> i32 {
    adopt(&TcPacket::at(context.skb.skb)) as i32
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here can panic; the verifier would refuse an endless loop it could reach.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
