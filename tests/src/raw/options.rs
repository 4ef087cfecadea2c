//! TCP options, each padded to whole words.

/// The kind of timestamps (RFC 7323).
pub const TIMESTAMPS: u8 = 8;
/// The kind of Multipath TCP (RFC 8684).
pub const MPTCP: u8 = 30;
/// The kind of TCP Fast Open (RFC 7413).
pub const FAST_OPEN: u8 = 34;

/// Timestamps.
#[must_use]
pub fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    let mut option = vec![1, 1, TIMESTAMPS, 10];
    option.extend(value.to_be_bytes());
    option.extend(echo.to_be_bytes());
    option
}

/// A Fast Open cookie; an empty one asks for one.
#[must_use]
pub fn fast_open(cookie: &[u8]) -> Vec<u8> {
    let mut option = vec![FAST_OPEN, u8::try_from(2 + cookie.len()).expect("a cookie")];
    option.extend(cookie);
    option.resize(option.len().next_multiple_of(4), 1);
    option
}

/// `MP_CAPABLE` of version 1, as it stands in a SYN.
#[must_use]
pub fn mptcp_capable() -> Vec<u8> {
    vec![MPTCP, 4, 0x01, 0x01]
}

/// What an option of this kind holds, among these.
pub(super) fn find(options: &[u8], kind: u8) -> Option<&[u8]> {
    let mut rest = options;
    while let [this, tail @ ..] = rest {
        rest = match this {
            0 => return None,
            1 => tail,
            _ => {
                let length = usize::from(*tail.first()?);
                let value = rest.get(2..length)?;
                if *this == kind {
                    return Some(value);
                }
                &rest[length..]
            }
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there() {
        let options = [timestamps(1, 2), fast_open(&[7; 6]), mptcp_capable()].concat();
        assert_eq!(
            find(&options, TIMESTAMPS),
            Some(&[0, 0, 0, 1, 0, 0, 0, 2][..])
        );
        assert_eq!(find(&options, FAST_OPEN), Some(&[7; 6][..]));
        assert_eq!(find(&options, MPTCP), Some(&[1, 1][..]));
        assert_eq!(find(&options, 5), None);
        assert_eq!(find(&[TIMESTAMPS, 0], TIMESTAMPS), None);
        assert_eq!(find(&[TIMESTAMPS], TIMESTAMPS), None);
    }
}
