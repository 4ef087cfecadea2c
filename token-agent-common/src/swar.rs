//! Eight bytes at a time: byte classes found with plain 64-bit arithmetic.
//!
//! Every function takes a little-endian word (the first byte in the lowest
//! bits) and returns a mask with the top bit of each matching byte set. All
//! are exact for every byte value: no carry crosses a byte.
//! (Method: H. S. Warren, "Hacker's Delight", 2nd ed., chapter 6.)

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Sets bit 5 of every byte: lower case for letters, no change for digits and `-`.
pub(crate) const LOWER: u64 = 0x2020_2020_2020_2020;

/// Bytes at or above `bound` (at most 0x80).
#[inline(always)]
const fn at_least(word: u64, bound: u8) -> u64 {
    (((word & LOW7) + (0x80 - bound as u64) * ONES) | word) & HIGH
}

/// Bytes equal to `byte`.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ (byte as u64 * ONES);
    !(((difference & LOW7) + LOW7) | difference) & HIGH
}

/// ASCII bytes from `low` to `high`, both included.
#[inline(always)]
const fn between(word: u64, low: u8, high: u8) -> u64 {
    at_least(word, low) & !at_least(word, high + 1)
}

/// Letters, digits and `-`: what nearly every method and header name is made of.
#[inline(always)]
pub(crate) const fn common_name(word: u64) -> u64 {
    between(word | LOWER, b'a', b'z') & !(word & HIGH)
        | between(word, b'0', b'9')
        | equal(word, b'-')
}

/// The characters of a b64token before its padding (RFC 6750, section 2.1).
#[inline(always)]
pub(crate) const fn b64token(word: u64) -> u64 {
    // '-' '.' '/' and the digits are neighbours.
    between(word | LOWER, b'a', b'z') & !(word & HIGH)
        | between(word, b'-', b'9')
        | equal(word, b'+')
        | equal(word, b'_')
        | equal(word, b'~')
}

/// Visible ASCII: 0x21 to 0x7e.
#[inline(always)]
pub(crate) const fn visible(word: u64) -> u64 {
    between(word, 0x21, 0x7e)
}

/// What may stand in a field value (RFC 9110, section 5.5) except HTAB:
/// space, visible ASCII and the obsolete upper half.
#[inline(always)]
pub(crate) const fn field_value(word: u64) -> u64 {
    at_least(word, 0x20) & !equal(word, 0x7f)
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

/// A word with the first `count` (0 to 8) bytes set.
#[inline(always)]
pub(crate) const fn first_bytes(count: u32) -> u64 {
    if count >= 8 {
        u64::MAX
    } else {
        (1 << (count * 8)) - 1
    }
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
        holds_for_every_byte(visible, |b| b.is_ascii_graphic());
        holds_for_every_byte(field_value, |b| b >= 0x20 && b != 0x7f);
        holds_for_every_byte(blank, |b| b == b' ' || b == b'\t');
        holds_for_every_byte(|w| equal(w, 0), |b| b == 0);
        holds_for_every_byte(|w| equal(w, b'='), |b| b == b'=');
    }

    #[test]
    fn tchar_is_the_rfc_set() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_tchar(byte), expected, "byte {byte:#x}");
        }
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
