//! A segment of no connection, turned into the RST that answers it.

use token_agent_common::packet::reset::Reset;

use crate::{
    maps::{self, Scratch},
    packet::{Packet, bounded},
};

/// Turns the packet at hand, whose segment was found, into its answer. False if that cannot be; what is left of it
/// is to be dropped then.
#[inline(never)]
pub(crate) fn answer<P: Packet>(context: P::Context) -> bool {
    let packet = P::at(context);
    let Some(Scratch { work, reset, .. }) = maps::scratch() else {
        return false;
    };
    let segment = &work.segment;
    if !reset.answer(segment) || !turn_round(&packet) {
        return false;
    }
    // All of it is one block of that size, whose last word is not sent.
    let len = bounded::<{ size_of::<Reset>() }>(reset.len);
    let from = core::ptr::from_ref::<Reset>(reset).cast();
    let network = segment.network;
    packet.shorten(network.wrapping_add(len))
        // SAFETY: there are as many bytes as the bound.
        && unsafe { packet.write(network, from, len) }
}

/// Sends a frame back where it came from: its first twelve bytes are two addresses.
#[inline(always)]
fn turn_round<P: Packet>(packet: &P) -> bool {
    let (Some(first), Some(last)) = (packet.load_word(0, 8), packet.load_word(8, 4)) else {
        return false;
    };
    let [first, last] = [first >> 48 | last << 16 | first << 48, first >> 16];
    let words = [first.to_le(), last.to_le()];
    // SAFETY: there are sixteen bytes.
    unsafe { packet.write(0, words.as_ptr().cast(), 12) }
}
