//! TCP options (RFC 9293, section 3.1) that would make the server see another stream than the
//! guard, and how they are made to mean nothing.

/// Fast Open (RFC 7413): data on a SYN.
pub const FAST_OPEN: u8 = 34;

/// Multipath TCP (RFC 8684): one stream on several connections, with numbers of its own.
pub const MULTIPATH: u8 = 30;

/// What no host knows (RFC 4727, section 7): for experiments.
const EXPERIMENT: u8 = 253;

/// The longest options, in bytes.
const LONGEST: u32 = 40;

/// What was found of an option.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// How often.
    pub count: u32,
    /// Where, for the last time.
    pub at: u32,
    /// How long it is there, in bytes.
    pub len: u32,
}

/// Looks for options of a `kind` from `from` to `to`, as Linux does: what is no option ends them.
#[inline(always)]
#[must_use]
pub fn find(byte: impl Fn(u32) -> u8, from: u32, to: u32, kind: u8) -> Found {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    let mut found = Found::default();
    let mut at = from;
    let mut i = 0;
    while i < LONGEST {
        i += 1;
        if at >= to {
            break;
        }
        let this = byte(at);
        if this == END {
            break;
        }
        if this == NOTHING {
            at += 1;
            continue;
        }
        let len = u32::from(byte(at + 1));
        if len < 2 || at + len > to {
            break;
        }
        if this == kind {
            found.count += 1;
            found.at = at;
            found.len = len;
        }
        at += len;
    }
    found
}

/// The first four bytes of an option, made into one that means nothing, so that the sum over the
/// segment stays what it was (RFC 1071): a checksum that is right stays so, and one that is filled in later will be.
/// `is_odd`: whether it stands at an odd place. Its length stays.
#[inline(always)]
#[must_use]
pub const fn neutral(option: [u8; 4], is_odd: bool) -> [u8; 4] {
    let [kind, len, third, fourth] = option;
    let more = EXPERIMENT.wrapping_sub(kind);
    if !is_odd {
        // The kind is the upper half of a word; the next word becomes less by as much, around the end.
        let word = u16::from_be_bytes([third, fourth]) as u32 + !((more as u16) << 8) as u32;
        let word = (word & 0xffff) + (word >> 16);
        let [third, fourth] = (word as u16).to_be_bytes();
        return [EXPERIMENT, len, third, fourth];
    }
    // The kind is the lower half of a word, as is the third byte; the fourth is an upper one.
    let (third, fourth) = if third >= more {
        (third - more, fourth)
    } else if fourth > 0 {
        (third.wrapping_sub(more), fourth - 1)
    } else {
        // 0xff00 less is 0xff more, around the end.
        (third.wrapping_sub(more).wrapping_sub(1), 0xff)
    };
    [EXPERIMENT, len, third, fourth]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071: the ones' complement sum of all words.
    fn sum(bytes: &[u8]) -> u32 {
        let mut sum: u32 = bytes
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // Both are nothing.
        sum % 0xffff
    }

    #[test]
    fn sums_stay_what_they_were() {
        for kind in [MULTIPATH, FAST_OPEN] {
            for third in 0..=255 {
                for fourth in 0..=255 {
                    let option = [kind, 4, third, fourth];
                    let even = neutral(option, false);
                    assert_eq!(sum(&even), sum(&option), "{option:?}");
                    assert_eq!(even[..2], [EXPERIMENT, 4]);
                    let odd = neutral(option, true);
                    let around = |[a, b, c, d]: [u8; 4]| [1, a, b, c, d, 7];
                    assert_eq!(sum(&around(odd)), sum(&around(option)), "{option:?}");
                    assert_eq!(odd[..2], [EXPERIMENT, 4]);
                }
            }
        }
    }

    #[test]
    fn options_are_found_where_they_are() {
        let found = |options: &[u8]| {
            let byte = |at| *options.get(at as usize).unwrap_or(&0xee);
            find(byte, 0, options.len() as u32, MULTIPATH)
        };
        let at = |count, at, len| Found { count, at, len };
        assert_eq!(found(&[]), at(0, 0, 0));
        assert_eq!(found(&[1, 1, 30, 4, 0, 0]), at(1, 2, 4));
        assert_eq!(found(&[2, 4, 30, 4, 30, 4, 0, 0]), at(1, 4, 4));
        assert_eq!(found(&[30, 4, 0, 0, 30, 3, 0]), at(2, 4, 3));
        assert_eq!(found(&[0, 30, 4, 0, 0]), at(0, 0, 0), "behind the end");
        assert_eq!(found(&[30, 5, 0, 0]), at(0, 0, 0), "too long");
        assert_eq!(found(&[8, 1, 30, 2]), at(0, 0, 0), "no option");
    }
}
