//! TCP options that would make the server see another stream, made to mean nothing.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use token_agent_common::packet::options::{FAST_OPEN, MULTIPATH, Search};

use crate::{
    maps::{self, Scratch},
    packet::Packet,
};

/// How many options of this kind the segment at hand has; `None` if that cannot be told.
#[inline(always)]
fn search(scratch: &mut Scratch, kind: u8) -> Option<u32> {
    extern "C" fn turn(_index: u64, scratch: *mut c_void) -> i64 {
        // SAFETY: the pointer is the one given to `bpf_loop` below.
        let scratch = unsafe { &mut **scratch.cast::<*mut Scratch>() };
        let Scratch {
            headers, search, ..
        } = scratch;
        i64::from(headers.turn(search))
    }
    let Scratch {
        headers,
        search,
        work,
        ..
    } = &mut *scratch;
    if !headers.begin(search, &work.segment, kind) {
        return None;
    }
    let mut pointer = core::ptr::from_mut(scratch);
    let callback: extern "C" fn(u64, *mut c_void) -> i64 = turn;
    // SAFETY: the callback takes what is passed here, which lives until the loop has ended.
    unsafe {
        bpf_loop(
            Search::TURNS,
            callback as *mut c_void,
            (&raw mut pointer).cast(),
            0,
        );
    }
    Some(scratch.search.count)
}

/// Whether the segment at hand has no option of this kind.
#[inline(always)]
pub(crate) fn lacks(scratch: &mut Scratch, kind: u8) -> bool {
    search(scratch, kind) == Some(0)
}

/// Makes the option of this kind mean nothing, if there is one; false if that cannot be.
#[inline(always)]
pub(crate) fn neutralise<P: Packet>(packet: &P, scratch: &mut Scratch, kind: u8) -> bool {
    match search(scratch, kind) {
        Some(0) => true,
        Some(1) => scratch
            .headers
            .neutral(&scratch.work.segment, &scratch.search)
            .is_some_and(|bytes| packet.store(scratch.search.found, &bytes)),
        Some(_) | None => false,
    }
}

/// Sees to it that the SYN at hand opens a connection of the plain kind; false if that cannot be.
#[inline(never)]
pub(crate) fn open<P: Packet>(context: P::Context) -> bool {
    let packet = P::at(context);
    maps::scratch().is_some_and(|scratch| neutralise(&packet, scratch, MULTIPATH))
}

/// Whether the SYN-ACK at hand offers a connection of the plain kind. Multipath TCP is not asked for any
/// more by a SYN that has passed the guard. Fast Open is made to mean nothing: so no SYN bears data.
#[inline(never)]
pub(crate) fn is_plain<P: Packet>(context: P::Context) -> bool {
    let packet = P::at(context);
    maps::scratch()
        .is_some_and(|scratch| lacks(scratch, MULTIPATH) && neutralise(&packet, scratch, FAST_OPEN))
}
