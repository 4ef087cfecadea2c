//! Eight bytes from any place in a buffer of words.
//!
//! The buffer is a power of two of words and [`AHEAD`] more. A place is an
//! offset in bytes, which wraps around at that power of two, and up to `AHEAD`
//! words from there. So no index can panic or leave the buffer, neither the
//! compiler nor the kernel's verifier needs a bounds check, and several words
//! in a row share one calculation of where they are.

use crate::{opaque, swar};

/// How many words in a row may be read from one place.
pub(crate) const AHEAD: usize = 8;

/// The eight bytes at `ahead` words (below [`AHEAD`]) from `at` on, the first in the lowest bits.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
pub(crate) const fn unaligned<const N: usize>(words: &[u64; N], at: u32, ahead: usize) -> u64 {
    let index = place::<N>(at) / 8 + ahead;
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
pub(crate) const fn unaligned<const N: usize>(words: &[u64; N], at: u32, ahead: usize) -> u64 {
    let from = words.as_ptr().cast::<u8>();
    // SAFETY: the place is below (N - AHEAD) * 8, so `ahead` words from there are inside the N words.
    let word = unsafe { from.add(place::<N>(at)).cast::<u64>().add(ahead) };
    // SAFETY: as above.
    u64::from_le(unsafe { word.read_unaligned() })
}

/// Replaces the eight bytes at `ahead` words (below [`AHEAD`]) from `at` on.
#[inline(always)]
#[cfg(not(target_arch = "bpf"))]
pub(crate) const fn set_unaligned<const N: usize>(
    words: &mut [u64; N],
    at: u32,
    ahead: usize,
    value: u64,
) {
    let index = place::<N>(at) / 8 + ahead;
    let shift = (at & 7) * 8;
    let kept = !(u64::MAX << shift);
    words[index] = ((u64::from_le(words[index]) & kept) | value << shift).to_le();
    if shift > 0 {
        let kept = u64::MAX << shift;
        words[index + 1] =
            ((u64::from_le(words[index + 1]) & kept) | value >> (64 - shift)).to_le();
    }
}

/// The same in the kernel, where one store does it.
#[inline(always)]
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "safe Rust has no unaligned store")]
pub(crate) const fn set_unaligned<const N: usize>(
    words: &mut [u64; N],
    at: u32,
    ahead: usize,
    value: u64,
) {
    // SAFETY: the place is below (N - AHEAD) * 8, so `ahead` words from there are inside the N words.
    let word = unsafe { words.as_mut_ptr().byte_add(place::<N>(at)).add(ahead) };
    // SAFETY: as above.
    unsafe { word.write_unaligned(value.to_le()) }
}

/// Copies the `len` bytes at `from_at` to `to_at`, and changes no byte behind them. At most `MAX` are copied; both
/// places leave room for as many before their buffer wraps around, and `MAX` is a multiple of 64.
#[inline(always)]
pub(crate) fn copy_bytes<const MAX: usize, const N: usize, const M: usize>(
    from: &[u64; N],
    mut from_at: u32,
    to: &mut [u64; M],
    mut to_at: u32,
    mut len: u32,
) {
    let mut i = 0;
    while i < MAX / 64 {
        if len < 64 {
            break;
        }
        let mut ahead = 0;
        while ahead < AHEAD {
            set_unaligned(to, to_at, ahead, unaligned(from, from_at, ahead));
            ahead += 1;
            // The compiler would load all of them first, for which there are too few registers.
            if ahead.is_multiple_of(4) {
                opaque::memory(to);
            }
        }
        from_at = from_at.wrapping_add(64);
        to_at = to_at.wrapping_add(64);
        len -= 64;
        i += 1;
    }
    let mut i = 0;
    while i < 7 {
        if len < 8 {
            break;
        }
        set_unaligned(to, to_at, 0, unaligned(from, from_at, 0));
        opaque::memory(to);
        from_at = from_at.wrapping_add(8);
        to_at = to_at.wrapping_add(8);
        len -= 8;
        i += 1;
    }
    if len > 0 {
        let mask = swar::bytes_below(len, 0);
        let (old, new) = (unaligned(to, to_at, 0), unaligned(from, from_at, 0));
        set_unaligned(to, to_at, 0, old & !mask | new & mask);
    }
}

/// Copies a value that is a number of words, one after the other, from the word `first` on.
///
/// Volatile, so that the compiler does not load more of them ahead than there are registers for: in the
/// kernel they would go through the stack, which is small.
#[inline(always)]
#[expect(unsafe_code, reason = "safe Rust has no volatile access")]
pub(crate) fn copy<T>(from: &T, to: &mut T, first: usize) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let from = core::ptr::from_ref(from).cast::<u64>();
    let to = core::ptr::from_mut(to).cast::<u64>();
    let mut i = first;
    while i < size_of::<T>() / 8 {
        // SAFETY: both are that many words, and aligned as words are.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
        i += 1;
    }
}

/// The offset in bytes that `at` stands for.
#[inline(always)]
const fn place<const N: usize>(at: u32) -> usize {
    const { assert!((N - AHEAD).is_power_of_two()) };
    at as usize & ((N - AHEAD) * 8 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_where_they_were_put() {
        for at in 0..64u32 {
            let mut words = [u64::MAX; 8 + AHEAD];
            set_unaligned(&mut words, at, 0, u64::from_le_bytes(*b"abcdefgh"));
            for (i, word) in words.iter().enumerate() {
                for (j, byte) in word.to_le_bytes().into_iter().enumerate() {
                    let place = (i * 8 + j).wrapping_sub(at as usize);
                    let expected = b"abcdefgh".get(place).copied().unwrap_or(0xff);
                    assert_eq!(byte, expected, "at {at}, word {i}, byte {j}");
                }
            }
            assert_eq!(unaligned(&words, at, 0).to_le_bytes(), *b"abcdefgh");
            assert_eq!(unaligned(&words, at + 64, 0), unaligned(&words, at, 0));
            for ahead in 1..AHEAD.min(8 - at as usize / 8) {
                let further = at + 8 * ahead as u32;
                assert_eq!(unaligned(&words, at, ahead), unaligned(&words, further, 0));
            }
        }
    }
    #[test]
    fn so_many_bytes_are_copied_and_no_other() {
        let from: [u64; 64 + AHEAD] = core::array::from_fn(|i| {
            u64::from_le_bytes(core::array::from_fn(|j| (i * 8 + j) as u8))
        });
        for from_at in 0..16u32 {
            for to_at in 0..16u32 {
                for len in 0..=128 {
                    let mut to = [u64::MAX; 32 + AHEAD];
                    copy_bytes::<128, _, _>(&from, from_at, &mut to, to_at, len);
                    for (i, byte) in to.iter().flat_map(|word| word.to_le_bytes()).enumerate() {
                        let place = (i as u32).wrapping_sub(to_at);
                        let expected = if place < len {
                            (place + from_at) as u8
                        } else {
                            0xff
                        };
                        assert_eq!(byte, expected, "{len} bytes from {from_at} to {to_at}: {i}");
                    }
                }
            }
        }
    }
}
