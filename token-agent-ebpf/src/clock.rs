//! The kernel's clocks.

use core::hint::black_box;

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_tai_ns};

/// How long a tick of the kernel takes, in nanoseconds; the agent puts it in at load.
#[unsafe(no_mangle)]
static TICK: u64 = 4_000_000;

/// Nanoseconds since some moment, of a clock that never goes back: 1 to 10 ms coarse, and as cheap as reading memory,
/// for the kernel puts the reading of its counter of ticks in place of the call.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the value is there as long as the program; read so, it is the agent's and not the one above.
    let tick = unsafe { (&raw const TICK).read_volatile() };
    // SAFETY: the helper takes nothing and reads a counter.
    unsafe { bpf_jiffies64() }.wrapping_mul(tick)
}

/// The TAI clock as one CPU has last read it.
///
/// Reading it costs more than looking up a token, so it is read once in a tick
/// of the kernel (1 to 10 ms): what it tells is behind by less than that.
#[repr(C)]
pub(crate) struct Clock {
    /// The tick in which it was read; that is never 0.
    tick: u64,
    nanoseconds: u64,
}

impl Clock {
    /// Nanoseconds of `CLOCK_TAI`, as they were in this tick.
    #[inline(always)]
    pub(crate) fn tai(&mut self) -> u64 {
        // SAFETY: the helper takes nothing and reads a counter.
        let tick = unsafe { bpf_jiffies64() };
        if self.tick != tick {
            self.tick = tick;
            self.nanoseconds = tai();
        }
        // Loaded again, so that the verifier follows what comes next once and not for each way here.
        black_box(self).nanoseconds
    }
}

/// Nanoseconds of `CLOCK_TAI`.
#[inline(always)]
pub(crate) fn tai() -> u64 {
    // SAFETY: the helper takes nothing and reads a clock.
    unsafe { bpf_ktime_get_tai_ns() }
}
