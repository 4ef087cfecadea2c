//! One packet of a server's: what it offers, has received, has sent and answers.

use core::hint::black_box;

use token_agent_common::{
    packet::{Frame, Segment},
    stream::{Answer, Change, Pair, Slot, Told, Witness, ticks},
};

use crate::{
    clock,
    guard::{self, Action, NO_SERVICE},
    maps::{self, Scratch},
    mark, options,
    packet::{Packet, TcPacket},
    table::Held,
};

/// How often a word is tried to be changed. Each time another change came first, which are few.
pub(crate) const TRIES: u32 = 4;

/// Looks at one packet.
#[inline(always)]
pub(crate) fn witness(packet: TcPacket) -> Action {
    // Most packets are from nobody here, which one look tells.
    if let Some(port) = packet.plain_source_port()
        && maps::ports(port).is_some_and(|ports| !ports.has(port))
    {
        return Action::Pass;
    }
    // What came from where clients are is none of the server's words, whatever its source says: this host only forwards it.
    let origin = packet.origin();
    if origin != 0 && maps::faces_clients(origin) {
        return Action::Pass;
    }
    if heard(&packet) {
        return Action::Pass;
    }
    let Some(scratch) = maps::scratch() else {
        return Action::Pass;
    };
    let Scratch { headers, work, .. } = &mut *scratch;
    if packet.frame(headers, &mut work.segment) != Frame::Tcp {
        return Action::Pass;
    }
    work.segment.turn_round();
    if guard::listener(&work.segment.flow) == NO_SERVICE {
        return Action::Pass;
    }
    let Some(settings) = maps::settings() else {
        return Action::Pass;
    };
    let flow = &mut work.segment.flow;
    flow.zone = maps::zone(settings, flow, packet.interface());
    if work.segment.is_syn() {
        return if work.segment.acknowledges() {
            if options::is_plain::<TcPacket>(packet.context()) {
                offered(scratch)
            } else {
                // Not recorded, so nothing of that connection passes.
                Action::Pass
            }
        } else {
            Action::Pass
        };
    }
    let found = maps::flow(&work.segment.flow);
    if let Some(slot) = maps::slot(found) {
        if work.segment.resets() {
            close(scratch, slot);
        } else {
            see(&packet, &scratch.work.segment, slot, found);
        }
    }
    Action::Pass
}

/// Notes what a SYN-ACK offers. A connection that began with another pair is over then, unless the server could take
/// what follows for more of it.
#[inline(never)]
fn offered(scratch: &mut Scratch) -> Action {
    let Scratch { work, offers, .. } = scratch;
    let pair = Pair::offered(&work.segment);
    let key = &work.segment.flow;
    let found = maps::flow(key);
    if let Some((slot, witness)) = maps::slot(found).zip(maps::witness(found)) {
        let now = clock::now();
        let Some(held) = Held::take(slot, now) else {
            // It is offered again.
            return Action::Drop;
        };
        // SAFETY: both are values of maps, and the mark is ours.
        let (slot, witness) = unsafe { (&mut *held.slot, &*witness) };
        let seen = slot.seen(witness);
        let connection = &mut slot.connection;
        let is_ours = connection.key == *key;
        let is_known = is_ours && connection.has_begun_with(pair);
        let is_near = is_ours && !is_known && connection.is_near(pair, &seen, ticks(now));
        if is_near {
            connection.note_offer(pair);
        } else if is_ours && !is_known {
            connection.close();
        }
        held.give();
        if is_known {
            return Action::Pass;
        }
        if is_near {
            // A cookie binds it, also when this connection is over.
            if maps::offers(key, offers) {
                offers.note(pair, ticks(clock::now()));
                maps::offer(key, offers);
            }
            return Action::Drop;
        }
    }
    if !maps::offers(key, offers) {
        return Action::Drop;
    }
    offers.add(pair, ticks(clock::now()));
    maps::offer(key, offers);
    // The connection may have begun meanwhile. If it did with this pair or one near it, what was withdrawn then is there
    // again; if with another, it did not know of this one.
    let found = maps::flow(key);
    if let Some((slot, witness)) = maps::slot(found).zip(maps::witness(found)) {
        let now = clock::now();
        let Some(held) = Held::take(slot, now) else {
            return Action::Drop;
        };
        // SAFETY: both are values of maps, and the mark is ours.
        let (slot, witness) = unsafe { (&mut *held.slot, &*witness) };
        let seen = slot.seen(witness);
        let connection = &mut slot.connection;
        let is_ours = connection.key == *key;
        let is_near = is_ours && connection.is_near(pair, &seen, ticks(now));
        let is_known = is_ours && connection.has_begun_with(pair);
        if is_ours {
            connection.note_offer(pair);
        }
        held.give();
        if is_near || is_known {
            maps::withdraw(key, offers);
        }
    }
    Action::Pass
}

/// Notes that the server has reset the connection.
#[inline(never)]
fn close(scratch: &mut Scratch, slot: *mut Slot) {
    if let Some(held) = Held::take(slot, clock::now()) {
        // SAFETY: a slot is a map's value, and the mark is ours.
        let connection = unsafe { &mut (*held.slot).connection };
        if connection.key == scratch.work.segment.flow {
            connection.forget();
        }
        held.give();
    }
}

/// Whether the packet is one of a connection that goes on, which little need be fetched for, and was looked at.
#[inline(always)]
fn heard<P: Packet>(packet: &P) -> bool {
    let mut segment = Segment::NONE;
    if !packet.plain(&mut segment) || segment.resets() {
        return false;
    }
    segment.turn_round();
    let Some(settings) = maps::settings() else {
        return false;
    };
    segment.flow.zone = maps::zone(settings, &segment.flow, packet.interface());
    let Some((slot, index)) = maps::recent(&segment.flow) else {
        return false;
    };
    see(packet, &segment, slot, index);
    true
}

/// Notes how far the server has come.
#[inline(always)]
fn see<P: Packet>(packet: &P, packet_segment: &Segment, slot: *mut Slot, index: u32) {
    let Some(words) = maps::witness(index) else {
        return;
    };
    // SAFETY: both are values of maps. What they hold of another connection by now is told by its key; if that changes
    // after it was compared, no word is of the use that `witness` is of, and none is changed.
    let (slot, words) = unsafe { (&mut *slot, &mut *words) };
    let mut tries = 0;
    while tries < TRIES {
        let witness = *words;
        let connection = black_box(&slot.connection);
        if connection.key != packet_segment.flow {
            return;
        }
        let isn = connection.isn();
        if !witness.is_of(isn, packet_segment) {
            return;
        }
        let mut is_done = true;
        if let Some(change) = witness.ended(&slot.told, isn, packet_segment) {
            is_done &= carry_out(&raw mut slot.told.ended, change);
        }
        if let Some(change) = witness.sent(isn, packet_segment) {
            is_done &= carry_out(&raw mut words.sent, change);
        }
        if let Some(change) = witness.acknowledged(isn, packet_segment) {
            is_done &= carry_out(&raw mut words.acked, change);
        }
        if is_done {
            tell(&mut slot.told, words);
            let inquiry = slot.inquiry;
            if inquiry.is_for(&witness, isn, packet_segment) {
                let answer =
                    answer::<P>(packet.context(), packet_segment.payload, packet_segment.len);
                is_done = carry_out(
                    slot.inquiry.word(),
                    inquiry.answered(packet_segment, answer),
                );
            }
        }
        if is_done {
            return;
        }
        tries += 1;
    }
}

/// Tells the guard what was seen: by stores, which wait for nothing. Then looks whether another processor has seen more
/// meanwhile, or begun another connection, and told that before.
#[inline(always)]
pub(crate) fn tell(told: &mut Told, words: &Witness) {
    let mut tries = 0;
    while tries < TRIES {
        // SAFETY: references.
        let is_told = unsafe {
            let (acked, sent) = (&raw const words.acked, &raw const words.sent);
            let seen = (acked.read_volatile(), sent.read_volatile());
            (&raw mut told.acked).write_volatile(seen.0);
            (&raw mut told.sent).write_volatile(seen.1);
            (acked.read_volatile(), sent.read_volatile()) == seen
        };
        if is_told {
            return;
        }
        tries += 1;
    }
}

#[inline(always)]
pub(crate) fn carry_out(word: *mut u64, change: Change) -> bool {
    // SAFETY: the word is that of a map's value.
    unsafe { mark::exchange(word, change.from, change.to) }
}

/// How the answer in this packet begins.
#[inline(never)]
fn answer<P: Packet>(context: P::Context, payload: u32, len: u32) -> u64 {
    let packet = P::at(context);
    let mut words = [0; 2];
    if len >= Answer::LEN {
        words[0] = packet.load_word(payload, 8).unwrap_or(0);
        words[1] = packet.load_word(payload.wrapping_add(8), 4).unwrap_or(0);
    }
    Answer::beginning_with(words, len) as u64
}
