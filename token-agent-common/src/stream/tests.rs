//! When a connection's memory is given back.

use super::*;
use crate::{
    abi::FlowKey,
    digest::KeyWords,
    http1::{Charset, CredentialRule, Head, Place, Rules},
    name::Name,
    packet::Segment,
    reason::Reason,
    window::{Cursor, Window},
};

const SECOND: u32 = ticks(1_000_000_000);
const BEGUN: u32 = 5_000;

fn slot() -> Slot {
    let mut slot = Slot::FREE;
    slot.connection
        .begin(&FlowKey::NONE, Pair::default(), Place::START, BEGUN);
    slot.connection.generation = 1;
    slot.begin(&mut Witness::begun(0));
    slot
}

/// One on which so many bytes have passed, up to this place, of which the server has so many.
fn passed_up_to(place: Place, next: u32, acked: u64) -> Slot {
    let mut slot = slot();
    let mut read = Read::NONE;
    read.len = next;
    read.place = place;
    slot.connection.commit(&Plan::NONE, &read, 0, BEGUN);
    assert_eq!(slot.connection.next(), u64::from(next));
    slot.told.acked += acked;
    slot
}

fn passed(next: u32, acked: u64) -> Slot {
    passed_up_to(Place::START, next, acked)
}

fn answered(mut slot: Slot) -> Slot {
    slot.told.sent += 100;
    slot
}

fn ended(mut slot: Slot) -> Slot {
    slot.told.ended += slot.heard().sent;
    slot
}

#[test]
fn what_is_told_late_of_another_connection_says_nothing() {
    let mut slot = answered(passed(10, 10));
    let late = Told {
        ended: slot.told.ended + 100,
        ..slot.told
    };
    slot.connection.generation += 1;
    let mut witness = Witness::begun(0);
    slot.begin(&mut witness);
    for told in [slot.told, late] {
        slot.told = told;
        assert_eq!(slot.heard(), slot.seen(&witness));
    }
    assert_eq!(slot.heard().acked, 0);
    // The numbers go round after so many uses of the memory.
    slot.connection.generation = slot.connection.generation.wrapping_sub(1) + (1 << 16);
    slot.told = late;
    assert_eq!(slot.heard().acked, 10);
}

#[test]
fn no_word_of_another_connection_is_changed() {
    let mut slot = slot();
    let mut witness = Witness::begun(0);
    slot.begin(&mut witness);
    let mut packet = Segment::NONE;
    (packet.sequence, packet.flags, packet.len) = (1, 0x11, 10);
    let isn = Pair::default();
    let is_news = |slot: &Slot, witness: &Witness| {
        let ends = witness.ended(&slot.told, isn, &packet).is_some();
        (ends, slot.inquiry.is_for(witness, isn, &packet))
    };
    assert_eq!(is_news(&slot, &witness), (true, true));
    // A processor that looked before, and is late.
    let before = witness;
    slot.connection.generation += 1;
    slot.begin(&mut witness);
    assert_eq!(is_news(&slot, &before), (false, false));
    assert_eq!(is_news(&slot, &witness), (true, true));
    // Where the server has ended is known for good.
    slot.told.ended += 10;
    assert_eq!(slot.told.has_ended(), None);
}

#[test]
fn a_connection_is_forgotten_in_time() {
    let mut dead = slot();
    dead.connection.kill(Reason::Malformed);
    let mut closed = slot();
    closed.connection.close();
    for (what, slot, seconds) in [
        ("begun", slot(), 600),
        ("passed and not received", passed(10, 0), 180),
        ("received in part", answered(passed(10, 9)), 180),
        ("received", passed(10, 10), 8_000),
        ("answered", answered(passed(10, 10)), 8_000),
        ("greeted by the server", answered(slot()), 8_000),
        ("ended by the server", ended(answered(passed(10, 10))), 180),
        ("dead", dead, 60),
        ("closed", closed, 2),
    ] {
        let after = |seconds: u32| slot.is_idle(&slot.heard(), BEGUN + seconds * SECOND);
        // A tick is not quite a millisecond.
        assert!(!after(seconds - 1), "{what}: too early");
        assert!(after(seconds + 1 + seconds / 20), "{what}: too late");
    }
}

#[test]
fn what_is_of_no_use_is_given_back() {
    let with_buffer = |mut slot: Slot| {
        slot.connection.buffer = 1;
        slot
    };
    // In the middle of a head.
    let mut head = Head::new(&KeyWords::new(&[0; 32]));
    let mut window = Window::new();
    window.fill(b"GET / HTT");
    let mut cursor = Cursor { at: 0, end: 9 };
    let rules = Rules {
        credential: &CredentialRule::new(
            Name::new("authorization").unwrap(),
            Name::new("bearer").unwrap(),
            Charset::B64Token,
        ),
        key: &KeyWords::new(&[0; 32]),
        options: 0,
    };
    head.read(&window, &mut cursor, &rules).unwrap();
    let begun = |acked| with_buffer(passed_up_to(head.place(), 9, acked));
    for (what, slot, pages, buffer) in [
        ("nothing kept", with_buffer(passed(10, 10)), true, true),
        ("on its way", with_buffer(passed(10, 0)), false, false),
        ("no buffer", passed(10, 10), false, false),
        ("a head begun", begun(9), true, false),
        ("a head on its way", begun(8), false, false),
    ] {
        let later = BEGUN + SECOND + 2;
        assert_eq!(slot.hoards_pages(later), pages, "{what}");
        assert_eq!(slot.hoards(later), buffer, "{what}");
        assert!(!slot.hoards(BEGUN + SECOND / 2), "{what}: at once");
    }
    let mut dead = with_buffer(passed(10, 0));
    dead.connection.kill(Reason::Malformed);
    assert!(dead.hoards(BEGUN));
}
