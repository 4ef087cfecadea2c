//! Eight bytes at a time: byte classes found with plain 64-bit arithmetic.
//!
//! Every function takes a little-endian word (the first byte in the lowest
//! bits) and returns a mask with the top bit of each matching byte set. All
//! are exact for every byte value: no carry crosses a byte.
//! (Method: H. S. Warren, "Hacker's Delight", 2nd ed., chapter 6.)

use crate::words;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Sets bit 5 of every byte: lower case for letters, no change for digits and `-`.
pub(crate) const LOWER: u64 = 0x2020_2020_2020_2020;

/// Of bytes below 0x80 those below `bound` (1 to 0x80); other bits are unspecified.
///
/// Of two of these with different bounds, the exclusive or has the bytes between them. A
/// difference, since BPF would copy the word first to add to it.
#[inline(always)]
const fn below(word: u64, bound: u8) -> u64 {
    (0x7f + bound as u64) * ONES - (word & LOW7)
}

/// Bytes equal to `byte`.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (byte as u64 * ONES);
    !(((difference & LOW7) + LOW7) | difference) & HIGH
}

/// Of bytes below 0x80 those from `low` to `high`, both included; other bits are unspecified.
#[inline(always)]
const fn between(word: u64, low: u8, high: u8) -> u64 {
    below(word, low) ^ below(word, high + 1)
}

/// Letters, digits and `-`: what nearly every method and header name is made of.
#[inline(always)]
pub(crate) const fn common_name(word: u64) -> u64 {
    (between(word | LOWER, b'a', b'z') | between(word, b'0', b'9') | between(word, b'-', b'-'))
        & !word
        & HIGH
}

/// The characters of a b64token before its padding (RFC 6750, section 2.1).
#[inline(always)]
pub(crate) const fn b64token(word: u64) -> u64 {
    // '-' '.' '/' and the digits are neighbours.
    (between(word | LOWER, b'a', b'z')
        | between(word, b'-', b'9')
        | between(word, b'+', b'+')
        | between(word, b'_', b'_')
        | between(word, b'~', b'~'))
        & !word
        & HIGH
}

/// Letters, digits and `-./_`: what nearly every token is made of.
#[inline(always)]
pub(crate) const fn common_token(word: u64) -> u64 {
    (between(word | LOWER, b'a', b'z') | between(word, b'-', b'9') | between(word, b'_', b'_'))
        & !word
        & HIGH
}

/// Visible ASCII: 0x21 to 0x7e.
#[inline(always)]
pub(crate) const fn visible(word: u64) -> u64 {
    between(word, 0x21, 0x7e) & !word & HIGH
}

/// What may stand in a field value (RFC 9110, section 5.5) except HTAB:
/// space, visible ASCII and the obsolete upper half.
#[inline(always)]
pub(crate) const fn field_value(word: u64) -> u64 {
    (between(word, b' ', 0x7e) | word) & HIGH
}

/// Space and HTAB.
#[inline(always)]
pub(crate) const fn blank(word: u64) -> u64 {
    equal(word, b' ') | equal(word, b'\t')
}

/// How many bytes, from the first on, are in the class `mask`: 0 to 8.
#[inline(always)]
pub(crate) const fn leading(mask: u64) -> u32 {
    let other = !mask & HIGH;
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

    /// Runs `class` over every byte value in every position, beside every neighbour extreme.
    fn holds_for_every_byte(class: fn(u64) -> u64, expected: fn(u8) -> bool) {
        for byte in 0..=255u8 {
            for position in 0..8 {
                for filler in [0x00, 0x20, 0x7f, 0x80, 0xff, byte] {
                    let mut bytes = [filler; 8];
                    bytes[position] = byte;
                    let mask = class(u64::from_le_bytes(bytes));
                    let got = mask.to_le_bytes()[position];
                    assert_eq!(got == 0x80, expected(byte), "byte {byte:#x}");
                    assert!(got == 0 || got == 0x80);
                }
            }
        }
    }

    #[test]
    fn classes_are_exact() {
        holds_for_every_byte(common_name, |b| b.is_ascii_alphanumeric() || b == b'-');
        holds_for_every_byte(b64token, |b| {
            b.is_ascii_alphanumeric() || b"-._~+/".contains(&b)
        });
        holds_for_every_byte(common_token, |b| {
            b.is_ascii_alphanumeric() || b"-./_".contains(&b)
        });
        holds_for_every_byte(visible, |b| b.is_ascii_graphic());
        holds_for_every_byte(field_value, |b| b >= 0x20 && b != 0x7f);
        holds_for_every_byte(blank, |b| b == b' ' || b == b'\t');
        holds_for_every_byte(|w| equal(w, 0), |b| b == 0);
        holds_for_every_byte(|w| equal(w, b'='), |b| b == b'=');
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
