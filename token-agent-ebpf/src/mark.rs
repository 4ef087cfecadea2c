//! The mark on a connection: who has it may change what is known of the connection.

use core::{
    ffi::c_void,
    hint::black_box,
    intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd},
};

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_loop};
use token_agent_common::stream::Slot;

/// How often a mark is asked for before the packet is given up. Who has it judges at most one
/// segment: some microseconds, and for 64 KiB of nothing but requests some hundred.
const TRIES: u32 = 8_192;

/// After how long a mark is taken from who has it, in nanoseconds: no program runs as long.
const STALE: u64 = 1_000_000_000;

/// Bits of a mark that tell the processor, so that no two have the same.
const PROCESSOR_BITS: u32 = 12;

/// Replaces what stands at `word` if it still is `from`.
///
/// # Safety
/// `word` is that of a map's value.
#[inline(always)]
pub(crate) unsafe fn exchange(word: *mut u64, from: u64, to: u64) -> bool {
    // SAFETY: the caller's promise.
    let (_, done) = unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(word, from, to)
    };
    done
}

/// Adds to what stands at `word`, and gives what it was.
///
/// # Safety
/// `word` is that of a map's value.
#[inline(always)]
pub(crate) unsafe fn add(word: *mut u64, count: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(word, count) }
}

/// Asks for the mark on a connection.
struct Asking {
    slot: *mut Slot,
    mark: u64,
    done: bool,
}

/// Takes the mark on a connection, and gives it; 0 if another has it and does not give it back.
#[inline(always)]
pub(crate) fn take(slot: *mut Slot, now: u64) -> u64 {
    // SAFETY: the helper takes nothing.
    let processor = u64::from(unsafe { bpf_get_smp_processor_id() }) + 1;
    let mark = now >> PROCESSOR_BITS << PROCESSOR_BITS | processor & ((1 << PROCESSOR_BITS) - 1);
    // SAFETY: a slot is a map's value.
    if unsafe { exchange(&raw mut (*slot).mark, 0, mark) } || wait(slot, mark, now) {
        mark
    } else {
        0
    }
}

/// Takes the mark when another gives it back, or has had it for too long.
///
/// A function of its own in the kernel too, for its stack.
#[inline(never)]
fn wait(slot: *mut Slot, mark: u64, now: u64) -> bool {
    extern "C" fn ask(_index: u64, asking: *mut c_void) -> i64 {
        // SAFETY: the pointer is the one given to `bpf_loop` below.
        let asking = unsafe { &mut *asking.cast::<Asking>() };
        // SAFETY: a slot is a map's value.
        asking.done = unsafe { exchange(&raw mut (*asking.slot).mark, 0, asking.mark) };
        i64::from(asking.done)
    }
    // SAFETY: a slot is a map's value.
    let word = unsafe { &raw mut (*slot).mark };
    // SAFETY: as above.
    let other = unsafe { word.read_volatile() };
    // SAFETY: as above.
    if now.wrapping_sub(other) as i64 > STALE as i64 && unsafe { exchange(word, other, mark) } {
        return true;
    }
    let mut asking = Asking {
        slot,
        mark,
        done: false,
    };
    let callback: extern "C" fn(u64, *mut c_void) -> i64 = ask;
    // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
    unsafe {
        bpf_loop(
            TRIES,
            callback as *mut c_void,
            core::ptr::from_mut(&mut asking).cast(),
            0,
        );
    }
    asking.done
}

/// Whether the mark is still this one.
#[inline(always)]
pub(crate) fn holds(slot: *mut Slot, mark: u64) -> bool {
    // SAFETY: a slot is a map's value.
    unsafe { (&raw const (*slot).mark).read_volatile() == mark }
}

/// Gives the mark back.
#[inline(always)]
pub(crate) fn give(slot: *mut Slot, mark: u64) {
    // What was written before must be seen by who takes it next. On x86 a store is never seen before those in front of
    // it (Intel SDM, volume 3A, "Memory Ordering"), and an exchange would wait until all of them are, which takes as long as
    // another processor has their lines. The compiler must leave the order, too: hence the black box.
    if cfg!(bpf_target_arch = "x86_64") {
        if holds(black_box(slot), mark) {
            // SAFETY: a slot is a map's value.
            unsafe { (&raw mut (*slot).mark).write_volatile(0) };
        }
    } else {
        // SAFETY: as above.
        let _ = unsafe { exchange(&raw mut (*slot).mark, mark, 0) };
    }
}
