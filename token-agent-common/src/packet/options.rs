//! TCP options (RFC 9293, section 3.1) that would make the server see another stream than the
//! guard, and how they are made to mean nothing.

/// Fast Open (RFC 7413): data on a SYN.
pub const FAST_OPEN: u8 = 34;

/// Multipath TCP (RFC 8684): one stream on several connections, with numbers of its own.
pub const MULTIPATH: u8 = 30;

/// What no host knows (RFC 4727, section 7): for experiments.
const EXPERIMENT: u8 = 253;

/// A look for options of a kind, turn by turn, as Linux does it: what is no option ends them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Search {
    /// The next option's place, and where they end.
    at: u32,
    to: u32,
    kind: u32,
    /// How many were found.
    pub count: u32,
    /// Where the last one is.
    pub found: u32,
    /// How long it is, in bytes.
    pub len: u32,
}

impl Search {
    /// An upper bound on the turns: the longest options have 40 bytes.
    pub const TURNS: u32 = 41;

    /// From `from` to `to`.
    #[inline(always)]
    pub const fn begin(&mut self, from: u32, to: u32, kind: u8) {
        self.at = from;
        self.to = to;
        self.kind = kind as u32;
        self.count = 0;
        self.found = 0;
        self.len = 0;
    }

    /// Looks at one option; `word` gives the eight bytes at a place, the first in the lowest bits. True
    /// when it was the last.
    #[inline(always)]
    pub fn turn(&mut self, word: impl FnOnce(u32) -> u64) -> bool {
        const END: u8 = 0;
        const NOTHING: u8 = 1;
        if self.at >= self.to {
            return true;
        }
        let [kind, len, ..] = word(self.at).to_le_bytes();
        if kind == END {
            return true;
        }
        if kind == NOTHING {
            self.at += 1;
            return false;
        }
        let len = u32::from(len);
        if len < 2 || self.at + len > self.to {
            return true;
        }
        if u32::from(kind) == self.kind {
            self.count += 1;
            self.found = self.at;
            self.len = len;
        }
        self.at += len;
        false
    }
}

/// Looks for options of a `kind` in `options`.
#[must_use]
pub fn find(options: &[u8], kind: u8) -> Search {
    let mut search = Search::default();
    search.begin(0, options.len() as u32, kind);
    let word = |at: u32| {
        let byte = |i| options.get(at as usize + i).copied().unwrap_or_default();
        u64::from_le_bytes(core::array::from_fn(byte))
    };
    while !search.turn(word) {}
    search
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
            let Search {
                count, found, len, ..
            } = find(options, MULTIPATH);
            (count, found, len)
        };
        let at = |count, at, len| (count, at, len);
        assert_eq!(found(&[]), at(0, 0, 0));
        assert_eq!(found(&[1, 1, 30, 4, 0, 0]), at(1, 2, 4));
        assert_eq!(found(&[2, 4, 30, 4, 30, 4, 0, 0]), at(1, 4, 4));
        assert_eq!(found(&[30, 4, 0, 0, 30, 3, 0]), at(2, 4, 3));
        assert_eq!(found(&[0, 30, 4, 0, 0]), at(0, 0, 0), "behind the end");
        assert_eq!(found(&[30, 5, 0, 0]), at(0, 0, 0), "too long");
        assert_eq!(found(&[8, 1, 30, 2]), at(0, 0, 0), "no option");
    }
}
