//! A strict reading of a stream, from its start.

/// What a stream holds.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) heads: Vec<Head>,
    pub(super) place: Place,
    /// Whether the last request has a body, which is not whole, and waits to be asked for it.
    pub(super) expects: bool,
}

/// A request's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) end: usize,
    pub(super) token: Vec<u8>,
}

/// Where a stream ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// Between two requests.
    Between,
    /// In the midst of one.
    Within,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Reading {
    /// Reads it; `None` if it is not strict, or a request has no token.
    pub(super) fn new(stream: &[u8]) -> Option<Self> {
        let mut reading = Self {
            heads: Vec::new(),
            place: Place::Between,
            expects: false,
        };
        let mut at = 0;
        loop {
            while stream[at..].starts_with(b"\r\n") {
                at += 2;
            }
            reading.place = Place::Within;
            let rest = &stream[at..];
            if rest.is_empty() {
                reading.place = Place::Between;
                return Some(reading);
            }
            let Some(length) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                // A line without version is a whole request to some.
                let line = rest.windows(2).position(|two| two == b"\r\n");
                let is_fine = line.is_none_or(|length| is_request_line(&rest[..length]));
                return (is_fine && is_text(rest)).then_some(reading);
            };
            let (token, framing, expects) = head(&rest[..length])?;
            at += length + 4;
            reading.heads.push(Head { end: at, token });
            let body = match framing {
                Framing::Length(length) => (length <= stream.len() - at).then_some(length),
                Framing::Chunked => chunked(&stream[at..])?,
            };
            reading.expects = expects && body.is_none();
            let Some(body) = body else {
                return Some(reading);
            };
            at += body;
        }
    }
}

/// The token, the framing, and whether the client waits with the body.
fn head(bytes: &[u8]) -> Option<(Vec<u8>, Framing, bool)> {
    if !is_text(bytes) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    if !is_request_line(first.as_bytes()) {
        return None;
    }
    let mut token = None;
    let mut framing = None;
    let mut expects = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if !is_token(name.as_bytes()) || name.contains('_') {
            return None;
        }
        let value = value.trim_matches([' ', '\t']);
        match &name.to_ascii_lowercase()[..] {
            "authorization" => {
                let value = value.strip_prefix("Bearer ")?.as_bytes().to_vec();
                if token.replace(value).is_some() {
                    return None;
                }
            }
            "content-length" => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let length = value.parse().ok().filter(|_| is_number)?;
                if framing.replace(Framing::Length(length)).is_some() {
                    return None;
                }
            }
            "transfer-encoding" => {
                let is_fine = value == "chunked" && first.ends_with("HTTP/1.1");
                if !is_fine || framing.replace(Framing::Chunked).is_some() {
                    return None;
                }
            }
            "expect" => expects = true,
            // What follows one that is taken is no HTTP.
            "upgrade" => return None,
            _ => {}
        }
    }
    Some((token?, framing.unwrap_or(Framing::Length(0)), expects))
}

fn is_request_line(line: &[u8]) -> bool {
    let words: Vec<_> = line.split(|&byte| byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return false;
    };
    is_token(method)
        && method != b"CONNECT"
        && target.starts_with(b"/")
        && [&b"HTTP/1.1"[..], b"HTTP/1.0"].contains(&version)
}

fn is_token(text: &[u8]) -> bool {
    let is_part = |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.iter().all(is_part)
}

/// The length of a chunked body, if it is whole; the outer `None`: it is not strict.
#[expect(clippy::option_option, reason = "an error, or not yet")]
fn chunked(bytes: &[u8]) -> Option<Option<usize>> {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let Some(length) = rest.windows(2).position(|two| two == b"\r\n") else {
            return is_text(rest).then_some(None);
        };
        let line = std::str::from_utf8(&rest[..length]).ok()?;
        let digits = line.split(';').next()?;
        if !is_text(line.as_bytes()) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let size = usize::from_str_radix(digits, 16).ok()?;
        at += length + 2;
        if size == 0 {
            break;
        }
        let rest = &bytes[at..];
        if rest.len() < size + 2 {
            return Some(None);
        }
        if &rest[size..size + 2] != b"\r\n" {
            return None;
        }
        at += size + 2;
    }
    // Trailers decide nothing here, but may not have a credential.
    loop {
        let rest = &bytes[at..];
        let Some(length) = rest.windows(2).position(|two| two == b"\r\n") else {
            return is_text(rest).then_some(None);
        };
        let line = &rest[..length];
        if !is_text(line) || line.to_ascii_lowercase().starts_with(b"authorization") {
            return None;
        }
        at += length + 2;
        if length == 0 {
            return Some(Some(at));
        }
    }
}

/// Whether there are no controls but CR LF, and blanks only within lines.
fn is_text(bytes: &[u8]) -> bool {
    let is_line_end = |i: usize| match bytes[i] {
        b'\r' => bytes.get(i + 1).is_none_or(|&next| next == b'\n'),
        b'\n' => i > 0 && bytes[i - 1] == b'\r',
        b' ' | b'\t' => i == 0 || bytes[i - 1] != b'\n',
        byte => (0x20..0x7f).contains(&byte),
    };
    (0..bytes.len()).all(is_line_end)
}
