//! Eight bytes at a time: byte classes found with plain 64-bit arithmetic.
//!
//! Every function takes a little-endian word (the first byte in the lowest
//! bits) and returns a mask with the top bit of each matching byte set. A class
//! is exact up to the first byte that is not of it, and behind that its bits are unspecified:
//! that is all it takes to count a run, and saves to keep carries from crossing bytes.
//! (Method: H. S. Warren, "Hacker's Delight", 2nd ed., chapter 6.)

use crate::words;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Sets bit 5 of every byte: lower case for letters, no change for digits and `-`.
pub(crate) const LOWER: u64 = 0x2020_2020_2020_2020;

/// Bytes below `bound` (1 to 0x80), up to the first byte of 0x80 or more; its own bit and others are unspecified.
///
/// Of two of these with different bounds, the exclusive or has the bytes between them. A
/// difference, since BPF would copy the word first to add to it.
#[inline(always)]
const fn below(word: u64, bound: u8) -> u64 {
    ((0x7f + bound as u64) * ONES).wrapping_sub(word)
}

/// Bytes equal to `byte`, exact for all of the word.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (byte as u64 * ONES);
    !(((difference & LOW7) + LOW7) | difference) & HIGH
}

/// Bytes from `low` to `high`, both included, up to the first byte of 0x80 or more; its own bit and others are unspecified.
#[inline(always)]
const fn between(word: u64, low: u8, high: u8) -> u64 {
    below(word, low) ^ below(word, high + 1)
}

/// ASCII letters.
#[inline(always)]
const fn letter(word: u64) -> u64 {
    between(word | LOWER, b'a', b'z')
}

/// Upper-case letters: what nearly every method is made of.
#[inline(always)]
pub(crate) const fn upper(word: u64) -> u64 {
    between(word, b'A', b'Z') & !word & HIGH
}

/// Letters and `-`: what most header names are made of.
#[inline(always)]
pub(crate) const fn common_name(word: u64) -> u64 {
    (letter(word) ^ between(word, b'-', b'-')) & !word & HIGH
}

/// Letters, digits and `-`: what nearly every header name and scheme is made of.
#[inline(always)]
pub(crate) const fn plain_name(word: u64) -> u64 {
    (letter(word) ^ between(word, b'0', b'9') ^ between(word, b'-', b'-')) & !word & HIGH
}

/// The characters of a b64token before its padding (RFC 6750, section 2.1).
#[inline(always)]
pub(crate) const fn b64token(word: u64) -> u64 {
    // '-' '.' '/' and the digits are neighbours.
    (letter(word)
        ^ between(word, b'-', b'9')
        ^ between(word, b'+', b'+')
        ^ between(word, b'_', b'_')
        ^ between(word, b'~', b'~'))
        & !word
        & HIGH
}

/// Letters, digits and `-./_`: what nearly every token is made of.
#[inline(always)]
pub(crate) const fn common_token(word: u64) -> u64 {
    (letter(word) ^ between(word, b'-', b'9') ^ between(word, b'_', b'_')) & !word & HIGH
}

/// Visible ASCII: 0x21 to 0x7e.
#[inline(always)]
pub(crate) const fn visible(word: u64) -> u64 {
    between(word, 0x21, 0x7e) & !word & HIGH
}

/// Control characters, exact for all of the word; of bytes of 0x80 or more those whose lower seven bits are one.
#[inline(always)]
pub(crate) const fn control(word: u64) -> u64 {
    let low = word & LOW7;
    // DEL is the one that has the top bit when one is added.
    (below(low, b' ') ^ (low + ONES)) & HIGH
}

/// HTAB and bytes of 0x80 or more: what may stand in a field value (RFC 9110, section 5.5) beside space and visible ASCII.
#[inline(always)]
pub(crate) const fn unusual_value(word: u64) -> u64 {
    equal(word, b'\t') | word & HIGH
}

/// Space and HTAB.
#[inline(always)]
pub(crate) const fn blank(word: u64) -> u64 {
    equal(word, b' ') | equal(word, b'\t')
}

/// The top bit of each byte that is not in the class `mask`.
#[inline(always)]
pub(crate) const fn others(mask: u64) -> u64 {
    !mask & HIGH
}

/// How many bytes stand before the first of `others`, of which there is one.
#[inline(always)]
pub(crate) const fn before(others: u64) -> u32 {
    // Up to and including its top bit, so one more than are before it.
    let through = others ^ others.wrapping_sub(1);
    ((through & ONES).wrapping_mul(ONES) >> 56) as u32 - 1
}

/// How many bytes, from the first on, are in the class `mask`: 0 to 8.
#[inline(always)]
pub(crate) const fn leading(mask: u64) -> u32 {
    let other = others(mask);
    // The lowest top bit, moved to the bottom of its byte; below it are the bytes to count.
    let first = (other & other.wrapping_neg()) >> 7;
    ((first.wrapping_sub(1) & ONES).wrapping_mul(ONES) >> 56) as u32
}

/// How many bytes, from the first on, are in a class: 0 to `8 * N`, given the
/// class's mask for each of `N` (at most 8) words in a row.
///
/// Without a branch, since the kernel's verifier would follow each one.
#[inline(always)]
pub(crate) fn leading_of<const N: usize>(mask: impl Fn(usize) -> u64) -> u32 {
    let mut others = gather::<N>(|i| !mask(i));
    if N < 8 {
        others |= 1 << (N * 8);
    }
    others.trailing_zeros()
}

/// The top bits of each byte of `N` (at most 8) words in a row, the first in the lowest bit.
#[inline(always)]
pub(crate) fn gather<const N: usize>(word: impl Fn(usize) -> u64) -> u64 {
    const { assert!(N <= 8) };
    let mut bits = 0;
    let mut i = 0;
    while i < N {
        // Of the factor's bits one moves each top bit to its place, and no two of them meet.
        let gathered = (word(i) & HIGH).wrapping_mul(0x0002_0408_1020_4081) >> 56;
        bits |= gathered << (i * 8);
        i += 1;
    }
    bits
}

/// A word with the first `count` (0 to 8) bytes set.
#[inline(always)]
pub(crate) const fn first_bytes(count: u32) -> u64 {
    // In two shifts, since a shift by 64 is undefined.
    ((1u64 << (count * 4)) << (count * 4)).wrapping_sub(1)
}

/// A word with the bytes set that lie below `count` (0 to 64), the word being the one
/// with that `index` (0 to 7).
///
/// From a table, whose place for a count is found once for all words: the bytes before its
/// middle are set, and word 0 of a count stands as many bytes before that.
#[inline(always)]
pub(crate) const fn bytes_below(count: u32, index: usize) -> u64 {
    const fn table() -> [u64; 16 + words::AHEAD] {
        let mut table = [0; 16 + words::AHEAD];
        let mut i = 0;
        while i < 8 {
            table[i] = u64::MAX;
            i += 1;
        }
        table
    }
    static TABLE: [u64; 16 + words::AHEAD] = table();
    words::unaligned(&TABLE, 64u32.wrapping_sub(count), index)
}

/// Whether `byte` may stand in a method or a field name: tchar (RFC 9110, section 5.6.2).
#[inline(always)]
pub(crate) const fn is_tchar(byte: u8) -> bool {
    const fn set(bytes: &[u8], base: u8) -> u64 {
        let mut bits = 0;
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] >= base && bytes[i] < base + 64 {
                bits |= 1 << (bytes[i] - base);
            }
            i += 1;
        }
        bits
    }
    const TCHAR: &[u8] =
        b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const LOW: u64 = set(TCHAR, 0);
    const UPPER: u64 = set(TCHAR, 64);
    if byte >= 128 {
        false
    } else if byte >= 64 {
        (UPPER >> (byte - 64)) & 1 == 1
    } else {
        (LOW >> byte) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `check` with every byte value in every position, between all kinds of neighbours.
    fn for_every_byte(check: impl Fn([u8; 8])) {
        const NEIGHBOURS: [u8; 9] = [0x00, 0x1f, b' ', b'-', b'a', b'Z', 0x7f, 0x80, 0xff];
        for byte in 0..=255u8 {
            for position in 0..8 {
                for before in NEIGHBOURS.into_iter().chain([byte]) {
                    for behind in NEIGHBOURS {
                        let mut bytes = [behind; 8];
                        bytes[..position].fill(before);
                        bytes[position] = byte;
                        check(bytes);
                    }
                }
            }
        }
    }

    fn counts_runs(class: fn(u64) -> u64, expected: fn(u8) -> bool) {
        for_every_byte(|bytes| {
            let mask = class(u64::from_le_bytes(bytes));
            let run = bytes.iter().take_while(|byte| expected(**byte)).count();
            assert_eq!(leading(mask), run as u32, "{bytes:x?}");
            assert_eq!(mask & !HIGH, 0, "{bytes:x?}");
        });
    }

    fn tells_all_bytes(class: fn(u64) -> u64, expected: fn(u8) -> bool) {
        for_every_byte(|bytes| {
            let mask = class(u64::from_le_bytes(bytes));
            let all = bytes.map(|byte| if expected(byte) { 0x80 } else { 0 });
            assert_eq!(mask, u64::from_le_bytes(all), "{bytes:x?}");
        });
    }

    #[test]
    fn classes_are_exact() {
        counts_runs(upper, |b| b.is_ascii_uppercase());
        counts_runs(common_name, |b| b.is_ascii_alphabetic() || b == b'-');
        counts_runs(plain_name, |b| b.is_ascii_alphanumeric() || b == b'-');
        counts_runs(b64token, |b| {
            b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)
        });
        counts_runs(common_token, |b| {
            b.is_ascii_alphanumeric() || b"-./_".contains(&b)
        });
        counts_runs(visible, |b| b.is_ascii_graphic());
        tells_all_bytes(control, |b| (b & 0x7f).is_ascii_control());
        tells_all_bytes(unusual_value, |b| b == b'\t' || b >= 0x80);
        tells_all_bytes(blank, |b| b == b' ' || b == b'\t');
        tells_all_bytes(|w| equal(w, 0), |b| b == 0);
        tells_all_bytes(|w| equal(w, b'='), |b| b == b'=');
    }

    #[test]
    fn top_bits_are_gathered_whatever_is_below_them() {
        for bits in 0..=255 {
            for below in [0, LOW7, LOWER, ONES, 0x0123_4567_1032_5476] {
                let word = (0..8).fold(below, |word, i| word | (bits >> i & 1) << (8 * i + 7));
                assert_eq!(gather::<1>(|_| word), bits, "{word:#x}");
            }
        }
    }

    #[test]
    fn tchar_is_the_rfc_set() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_tchar(byte), expected, "byte {byte:#x}");
        }
    }

    #[test]
    fn runs_over_words_are_counted() {
        for run in 0..=64usize {
            let mut bytes = [b'='; 64];
            if run < 64 {
                bytes[run] = b'!';
                bytes[63] = b'!';
            }
            let word = |i| *bytes.as_chunks::<8>().0.get(i).unwrap();
            let mask = |i| equal(u64::from_le_bytes(word(i)), b'=');
            assert_eq!(leading_of::<8>(mask), run as u32);
            assert_eq!(leading_of::<4>(mask), run.min(32) as u32);
        }
    }

    #[test]
    fn masks_cover_what_they_say() {
        for count in 0..=64 {
            for start in (0..=56).step_by(8) {
                let expected: [u8; 8] =
                    core::array::from_fn(|i| if start + (i as u32) < count { 0xff } else { 0 });
                assert_eq!(
                    bytes_below(count, start as usize / 8).to_le_bytes(),
                    expected,
                    "{count} {start}"
                );
            }
        }
        assert_eq!(
            [first_bytes(0), first_bytes(3), first_bytes(8)],
            [0, 0xff_ffff, u64::MAX]
        );
    }

    #[test]
    fn leading_counts_the_run() {
        for run in 0..=8u32 {
            let mut bytes = [0u8; 8];
            bytes[..run as usize].fill(b'=');
            if run < 7 {
                bytes[7] = b'=';
            }
            assert_eq!(leading(equal(u64::from_le_bytes(bytes), b'=')), run);
        }
    }
}
