//! Chunked bodies, as lenient as servers are.

/// What is found of a chunked body.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Body<'a> {
    /// All of it: its length with framing and trailers, and the trailers' lines.
    Whole(usize, Vec<&'a [u8]>),
    /// More is to come.
    Partial,
    /// It is refused, and the connection closed.
    Bad,
}

/// Reads a chunked body from the start of `stream`.
pub(super) fn read(stream: &[u8], bare_lf: bool) -> Body<'_> {
    let mut at = 0;
    loop {
        let Some(line) = super::personality::line(&stream[at..], bare_lf) else {
            return Body::Partial;
        };
        let Ok((line, taken)) = line else {
            return Body::Bad;
        };
        at += taken;
        let Some(size) = size(line) else {
            return Body::Bad;
        };
        if size == 0 {
            break;
        }
        let rest = &stream[at..];
        if rest.len() < size {
            return Body::Partial;
        }
        at += size;
        let rest = &stream[at..];
        at += match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] if bare_lf => 1,
            [] | [b'\r'] => return Body::Partial,
            [..] => return Body::Bad,
        };
    }
    let mut trailers = Vec::new();
    loop {
        let Some(line) = super::personality::line(&stream[at..], bare_lf) else {
            return Body::Partial;
        };
        let Ok((line, taken)) = line else {
            return Body::Bad;
        };
        at += taken;
        if line.is_empty() {
            return Body::Whole(at, trailers);
        }
        trailers.push(line);
    }
}

/// The size in a chunk's line, whatever extensions follow it.
fn size(line: &[u8]) -> Option<usize> {
    let line = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(line).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    usize::from_str_radix(digits, 16).ok()
}
