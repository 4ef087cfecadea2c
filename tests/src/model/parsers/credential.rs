//! Credentials in header fields, as applications find them.

/// The token in a field, if there is one: behind the scheme, without what some language or other strips.
pub(super) fn token(name: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    if !name.eq_ignore_ascii_case(b"authorization") {
        return None;
    }
    let value = trim(value);
    let scheme = value.get(..6)?;
    let rest = &value[6..];
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
    (is_bearer && rest.first().is_some_and(|&byte| is_space(byte))).then(|| trim(rest).to_vec())
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// What Python's `str.strip` takes off, in Latin-1.
const fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | 0x1c..=0x20 | 0x85 | 0xa0)
}
