//! Servers that differ in what they tolerate: lines and framing here, fields by httparse.

use httparse::{EMPTY_HEADER, Status};

use super::{
    Parser, ServedRequest,
    chunked::{self, Body},
    credential,
};

/// What a server tolerates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Personality {
    /// Whom it takes after.
    pub name: &'static str,
    /// A line may end in LF alone.
    pub bare_lf: bool,
    /// A line that begins with a blank.
    pub fold: Fold,
    /// Blanks between a field's name and the colon.
    pub blank_before_colon: Blank,
    /// A request line without version is a request (HTTP/0.9).
    pub versionless: bool,
    /// What there is of a head when the client says no more is a request.
    pub unfinished: bool,
    /// `Content-Length` and `Transfer-Encoding` in one request.
    pub conflict: Conflict,
    /// Whether `Transfer-Encoding` counts in HTTP/1.0.
    pub coding_in_1_0: bool,
    /// Whether any `Transfer-Encoding` that has the word `chunked` in it is chunked; else exactly that.
    pub loose_coding: bool,
    /// Several `Content-Length`s that differ.
    pub lengths: Lengths,
    /// Whether trailers count as header fields.
    pub merges_trailers: bool,
    /// Whether `_` in a name is as good as `-`, and a name with blanks around it as one without.
    pub loose_names: bool,
}

/// See [`Personality::fold`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fold {
    /// It belongs to the field before.
    Join,
    /// It is passed over.
    Ignore,
    /// The request is refused.
    Refuse,
}

/// See [`Personality::blank_before_colon`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blank {
    /// They are taken off.
    Strip,
    /// The field is passed over.
    Ignore,
    /// The request is refused.
    Refuse,
}

/// See [`Personality::conflict`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conflict {
    /// The coding wins.
    Coding,
    /// The length wins.
    Length,
    /// The request is refused.
    Refuse,
}

/// See [`Personality::lengths`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lengths {
    /// The first counts.
    First,
    /// The last counts.
    Last,
    /// The request is refused.
    Refuse,
}

/// A strict one; others differ from it.
const STRICT: Personality = Personality {
    name: "strict",
    bare_lf: false,
    fold: Fold::Refuse,
    blank_before_colon: Blank::Refuse,
    versionless: false,
    unfinished: false,
    conflict: Conflict::Refuse,
    coding_in_1_0: false,
    loose_coding: false,
    lengths: Lengths::Refuse,
    merges_trailers: false,
    loose_names: false,
};

/// Servers in use, some of them as they were some years ago.
pub const PERSONALITIES: [Personality; 6] = [
    Personality {
        name: "like nginx",
        bare_lf: true,
        fold: Fold::Ignore,
        blank_before_colon: Blank::Ignore,
        versionless: true,
        ..STRICT
    },
    Personality {
        name: "like Go",
        bare_lf: true,
        fold: Fold::Join,
        conflict: Conflict::Coding,
        ..STRICT
    },
    Personality {
        name: "like Node",
        conflict: Conflict::Coding,
        coding_in_1_0: true,
        loose_coding: true,
        ..STRICT
    },
    Personality {
        name: "like Python's http.server",
        bare_lf: true,
        fold: Fold::Join,
        blank_before_colon: Blank::Strip,
        versionless: true,
        unfinished: true,
        conflict: Conflict::Length,
        lengths: Lengths::First,
        loose_names: true,
        ..STRICT
    },
    Personality {
        name: "like an old application server",
        bare_lf: true,
        fold: Fold::Join,
        blank_before_colon: Blank::Strip,
        conflict: Conflict::Coding,
        coding_in_1_0: true,
        loose_coding: true,
        lengths: Lengths::Last,
        merges_trailers: true,
        loose_names: true,
        unfinished: true,
        ..STRICT
    },
    STRICT,
];

/// A head as its lines say.
struct Head<'a> {
    method: String,
    target: String,
    is_1_0: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    lines: Vec<&'a [u8]>,
}

/// How a request's body ends.
enum Framing {
    Length(u64),
    Chunked,
}

/// The server closes the connection.
pub(super) struct Refused;

impl Parser for Personality {
    fn name(&self) -> &'static str {
        self.name
    }

    fn served(&self, stream: &[u8], has_ended: bool) -> Vec<ServedRequest> {
        let mut served = Vec::new();
        let mut at = 0;
        while let Ok(Some(next)) = self.request(stream, at, has_ended, &mut served) {
            at = next;
        }
        served
    }
}

impl Personality {
    /// Serves the request at `at`, and says where the next one starts, if that is known.
    fn request(
        &self,
        stream: &[u8],
        at: usize,
        has_ended: bool,
        served: &mut Vec<ServedRequest>,
    ) -> Result<Option<usize>, Refused> {
        let Some((lines, head_end)) = self.head_lines(stream, at, has_ended)? else {
            return Ok(None);
        };
        let head = self.head(lines)?;
        let mut request = ServedRequest {
            method: head.method.clone(),
            target: head.target.clone(),
            credentials: self.credentials(&head.fields),
            head_end,
            is_complete: false,
        };
        let rest = &stream[head_end..];
        let body = match self.framing(&head)? {
            Framing::Length(length) => usize::try_from(length)
                .ok()
                .filter(|&length| length <= rest.len()),
            Framing::Chunked => match chunked::read(rest, self.bare_lf) {
                Body::Whole(length, trailers) => {
                    if self.merges_trailers {
                        let fields: Vec<_> =
                            trailers.iter().filter_map(|line| field(line)).collect();
                        request.credentials.extend(self.credentials(&fields));
                    }
                    Some(length)
                }
                Body::Partial | Body::Bad => None,
            },
        };
        request.is_complete = body.is_some();
        served.push(request);
        Ok(body.map(|length| head_end + length))
    }

    /// The lines of a head, without the empty one, and where it ends.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn head_lines<'a>(
        &self,
        stream: &'a [u8],
        mut at: usize,
        has_ended: bool,
    ) -> Result<Option<(Vec<&'a [u8]>, usize)>, Refused> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = line(&stream[at..], self.bare_lf) else {
                let rest = &stream[at..];
                if !self.unfinished || !has_ended || lines.is_empty() && rest.is_empty() {
                    return Ok(None);
                }
                if !rest.is_empty() {
                    lines.push(rest);
                }
                return Ok(Some((lines, stream.len())));
            };
            let (line, taken) = line?;
            at += taken;
            match (line.is_empty(), lines.is_empty()) {
                (true, true) => {}
                (true, false) => return Ok(Some((lines, at))),
                (false, _) => lines.push(line),
            }
            if self.versionless && lines.len() == 1 && line.split(|&b| b == b' ').count() == 2 {
                return Ok(Some((lines, at)));
            }
        }
    }

    fn head<'a>(&self, lines: Vec<&'a [u8]>) -> Result<Head<'a>, Refused> {
        let mut head = Head {
            method: String::new(),
            target: String::new(),
            is_1_0: false,
            fields: Vec::new(),
            lines,
        };
        let first = head.lines[0];
        let words: Vec<_> = first.split(|&byte| byte == b' ').collect();
        if self.versionless && words.len() == 2 {
            head.method = lossy(words[0]);
            head.target = lossy(words[1]);
            return Ok(head);
        }
        let strict = self.straighten(&head.lines)?;
        let mut headers = [EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(Status::Complete(_)) = request.parse(&strict) else {
            return Err(Refused);
        };
        head.method = request.method.unwrap_or_default().to_owned();
        head.target = request.path.unwrap_or_default().to_owned();
        head.is_1_0 = request.version == Some(0);
        for header in request.headers.iter() {
            head.fields
                .push((header.name.as_bytes().to_vec(), header.value.to_vec()));
        }
        Ok(head)
    }

    /// The head as it would be if it had been sent properly.
    fn straighten(&self, lines: &[&[u8]]) -> Result<Vec<u8>, Refused> {
        let mut strict = lines[0].to_vec();
        for line in &lines[1..] {
            if matches!(line[0], b' ' | b'\t') {
                match self.fold {
                    Fold::Join => {
                        strict.push(b' ');
                        strict.extend(line.trim_ascii());
                    }
                    Fold::Ignore => {}
                    Fold::Refuse => return Err(Refused),
                }
                continue;
            }
            let colon = line.iter().position(|&byte| byte == b':');
            let name = &line[..colon.unwrap_or(0)];
            let is_blank = name.last().is_some_and(|&b| matches!(b, b' ' | b'\t'));
            match (is_blank, self.blank_before_colon) {
                (true, Blank::Ignore) => continue,
                (true, Blank::Refuse) => return Err(Refused),
                (true, Blank::Strip) | (false, _) => {}
            }
            strict.extend(b"\r\n");
            strict.extend(name.trim_ascii_end());
            strict.extend(&line[name.len()..]);
        }
        strict.extend(b"\r\n\r\n");
        Ok(strict)
    }

    fn framing(&self, head: &Head<'_>) -> Result<Framing, Refused> {
        let values = |name: &str| -> Vec<&[u8]> {
            let is_it = |field: &&(Vec<u8>, Vec<u8>)| self.name_is(&field.0, name);
            let fields = head.fields.iter().filter(is_it);
            fields.map(|(_, value)| &value[..]).collect()
        };
        let lengths = values("content-length");
        let codings = values("transfer-encoding");
        let has_coding = !codings.is_empty() && (self.coding_in_1_0 || !head.is_1_0);
        if has_coding {
            let takes_coding = match (lengths.is_empty(), self.conflict) {
                (true, _) | (false, Conflict::Coding) => true,
                (false, Conflict::Length) => false,
                (false, Conflict::Refuse) => return Err(Refused),
            };
            if takes_coding {
                let coding = codings.concat().to_ascii_lowercase();
                let is_chunked = if self.loose_coding {
                    coding.windows(7).any(|word| word == b"chunked")
                } else {
                    coding.trim_ascii() == b"chunked"
                };
                return if is_chunked {
                    Ok(Framing::Chunked)
                } else {
                    Err(Refused)
                };
            }
        }
        let numbers: Option<Vec<u64>> = lengths.iter().map(|value| number(value)).collect();
        let numbers = numbers.ok_or(Refused)?;
        let chosen = match self.lengths {
            Lengths::First => numbers.first(),
            Lengths::Last => numbers.last(),
            Lengths::Refuse if numbers.len() > 1 => return Err(Refused),
            Lengths::Refuse => numbers.first(),
        };
        Ok(Framing::Length(chosen.copied().unwrap_or(0)))
    }

    fn credentials(&self, fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<Vec<u8>> {
        let name = |name: &[u8]| {
            if self.loose_names {
                straight(name)
            } else {
                name.to_vec()
            }
        };
        fields
            .iter()
            .filter_map(|field| credential::token(&name(&field.0), &field.1))
            .collect()
    }

    fn name_is(&self, name: &[u8], wanted: &str) -> bool {
        if self.loose_names {
            straight(name).eq_ignore_ascii_case(wanted.as_bytes())
        } else {
            name.eq_ignore_ascii_case(wanted.as_bytes())
        }
    }
}

fn straight(name: &[u8]) -> Vec<u8> {
    let dash = |&byte: &u8| if byte == b'_' { b'-' } else { byte };
    name.trim_ascii().iter().map(dash).collect()
}

/// The first line of `bytes` without its end, and how long it is with it; `None` if it has no end yet.
pub(super) fn line(bytes: &[u8], bare_lf: bool) -> Option<Result<(&[u8], usize), Refused>> {
    let lf = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = &bytes[..lf];
    Some(match (line.strip_suffix(b"\r"), bare_lf) {
        (Some(line), _) => Ok((line, lf + 1)),
        (None, true) => Ok((line, lf + 1)),
        (None, false) => Err(Refused),
    })
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
