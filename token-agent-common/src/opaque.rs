//! Values of which the compiler knows nothing more.
//!
//! It would drop a bound that it can prove needless, for which the kernel's verifier asks, or know something
//! of a value on one way that the verifier does not find on another. What [`core::hint::black_box`] does through memory
//! these do in place.

/// A value that may be any.
#[inline(always)]
#[must_use]
#[cfg(not(target_arch = "bpf"))]
pub fn word(value: u32) -> u32 {
    core::hint::black_box(value)
}

/// A value that may be any.
#[inline(always)]
#[must_use]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "only assembly is opaque without cost")]
pub fn word(value: u32) -> u32 {
    let mut value = u64::from(value);
    // SAFETY: it does nothing.
    unsafe { core::arch::asm!("", inout("r0") value, options(nomem, nostack)) };
    value as u32
}

/// What stands before it is loaded and stored before what stands behind it, as far as the compiler has to do with it.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
pub fn order() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// What stands before it is loaded and stored before what stands behind it, as far as the compiler has to do with it.
#[inline(always)]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "only assembly is opaque without cost")]
pub fn order() {
    // SAFETY: it does nothing.
    unsafe { core::arch::asm!("", options(nostack)) };
}

/// Memory that may have changed: nothing of it stays in registers.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
pub fn memory<T>(value: &mut T) {
    core::hint::black_box(value);
}

/// Memory that may have changed: nothing of it stays in registers.
#[inline(always)]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "only assembly is opaque without cost")]
pub fn memory<T>(value: &mut T) {
    // SAFETY: it does nothing.
    unsafe { core::arch::asm!("", in("r0") core::ptr::from_mut(value), options(nostack)) };
}
