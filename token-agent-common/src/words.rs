//! Eight bytes from any place in a buffer of words.

/// The eight bytes from `at` on, the first in the lowest bits. The buffer is a
/// power of two of words and one more, so that a read may start at any byte of
/// the former; `at` wraps around there. No index can panic or leave the buffer,
/// and neither the compiler nor the kernel's verifier needs a bounds check.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
pub(crate) const fn unaligned<const N: usize>(words: &[u64; N], at: u32) -> u64 {
    const { assert!((N - 1).is_power_of_two()) };
    let index = (at >> 3) as usize & (N - 2);
    let shift = (at & 7) * 8;
    let low = u64::from_le(words[index]);
    let high = u64::from_le(words[index + 1]);
    // In two shifts, since a shift by 64 is undefined.
    (low >> shift) | ((high << 1) << (63 - shift))
}

/// The same in the kernel, where one load does it.
#[inline(always)]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "safe Rust has no unaligned load")]
pub(crate) const fn unaligned<const N: usize>(words: &[u64; N], at: u32) -> u64 {
    const { assert!((N - 1).is_power_of_two()) };
    let offset = at as usize & ((N - 1) * 8 - 1);
    // SAFETY: `offset` is below (N - 1) * 8, so the eight bytes are inside the N words.
    u64::from_le(unsafe { words.as_ptr().byte_add(offset).read_unaligned() })
}
