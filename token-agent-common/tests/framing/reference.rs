//! A second framing of HTTP/1.x, made for being looked through, not for speed: the whole
//! stream at hand, one byte after the other, no state kept in numbers. It shares
//! nothing with the core but the names of reasons, options and limits.

use token_agent_common::{
    http1::{
        CHUNK_LINE_MAX, CHUNK_MAX, CONTENT_LENGTH_MAX, CREDENTIAL_MAX, HEAD_MAX, METHOD_MAX,
        PROXY_V1_MAX, PROXY_V2_MAX, option,
    },
    reason::Reason::{self, Malformed},
};

use crate::told::{Credential, End, Request, Told, digest};

/// What stops reading.
enum Stop {
    /// The stream's end, in an opaque stretch or within deciding bytes.
    End(End),
    Denied(Reason),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason)
    }
}

type Read<T> = Result<T, Stop>;

/// Reads `stream` from a connection's start.
pub(crate) fn follow(stream: &[u8], credential: Credential, options: u32) -> Told {
    let mut reader = Reader {
        stream,
        at: 0,
        credential,
        options,
        told: Told {
            requests: Vec::new(),
            opaque: Vec::new(),
            end: End::Between,
        },
    };
    reader.told.end = match reader.connection() {
        Ok(()) => End::Between,
        Err(Stop::End(end)) => end,
        Err(Stop::Denied(reason)) => End::Denied(reason),
    };
    reader.told
}

struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
    credential: Credential,
    options: u32,
    told: Told,
}

/// What the fields of a head say.
#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    is_chunked: bool,
    /// The value of each credential header.
    credentials: Vec<Vec<u8>>,
    upgrades: Vec<Vec<u8>>,
    expects: bool,
}

/// Where fields stand.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Section {
    Head { is_http_10: bool },
    Trailers,
}

impl Reader<'_> {
    fn connection(&mut self) -> Read<()> {
        if self.options & option::PROXY_PROTOCOL != 0 && !self.stream.is_empty() {
            self.proxy_header()?;
        }
        while self.at < self.stream.len() {
            if self.stream[self.at] == b'\r' {
                self.expect(b"\r\n")?;
            } else {
                self.request()?;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Read<u8> {
        let byte = self.stream.get(self.at).ok_or(Stop::End(End::Deciding))?;
        self.at += 1;
        Ok(*byte)
    }

    /// The next byte, of a section that started at `start`.
    fn next_since(&mut self, start: usize) -> Read<u8> {
        let byte = self.next()?;
        if self.at - start > HEAD_MAX as usize {
            return Err(Reason::HeadTooLong.into());
        }
        Ok(byte)
    }

    fn take(&mut self, count: usize) -> Read<Vec<u8>> {
        (0..count).map(|_| self.next()).collect()
    }

    fn expect(&mut self, bytes: &[u8]) -> Read<()> {
        for &byte in bytes {
            require(self.next()? == byte)?;
        }
        Ok(())
    }

    fn request(&mut self) -> Read<()> {
        let start = self.at;
        let method = self.word(
            start,
            |byte| byte.is_ascii_graphic() && is_tchar(byte),
            Some(METHOD_MAX),
        )?;
        self.word(start, |byte| byte.is_ascii_graphic(), None)?;
        let version = self.take(8)?;
        let is_http_10 = match &version[..] {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            b"HTTP/2.0" => return Err(Reason::UnsupportedProtocol.into()),
            _ => return Err(Malformed.into()),
        };
        self.expect(b"\r\n")?;
        let fields = self.fields(start, Section::Head { is_http_10 })?;

        let content_length = fields.content_length.unwrap_or(0);
        let has_body = content_length > 0 || fields.is_chunked;
        let is_connect = method == b"CONNECT";
        let has_option = |option| self.options & option != 0;
        let bodyless = [&b"get"[..], b"head"].contains(&&method.to_ascii_lowercase()[..]);
        require(!(has_body && is_connect))?;
        require(!(has_body && bodyless && has_option(option::NO_BODY_ON_GET)))?;
        let is_upgrade = !fields.upgrades.is_empty();
        let may_upgrade = has_option(option::WEBSOCKET)
            && fields.upgrades.len() == 1
            && fields.upgrades[0].eq_ignore_ascii_case(b"websocket")
            && !(is_http_10 || has_body || is_connect);
        let is_refused = is_upgrade && !may_upgrade || is_connect && !has_option(option::CONNECT);
        let mut first_eight = [0; 8];
        let kept = method.len().min(8);
        first_eight[..kept].copy_from_slice(&method[..kept]);
        self.told.requests.push(Request {
            end: self.at,
            credential: if is_refused {
                Err(Reason::UpgradeRefused)
            } else {
                credential(self.credential, &fields.credentials)
            },
            content_length,
            is_chunked: fields.is_chunked,
            method: first_eight,
            is_connect,
            wants_upgrade: is_upgrade && !is_refused,
            expects_continue: fields.expects && has_body,
        });
        if fields.is_chunked {
            return self.chunks();
        }
        self.opaque(content_length)
    }

    /// A word and the space behind it.
    fn word(
        &mut self,
        start: usize,
        is_in_word: fn(u8) -> bool,
        max: Option<u32>,
    ) -> Read<Vec<u8>> {
        let mut word = Vec::new();
        loop {
            let byte = self.next_since(start)?;
            if byte == b' ' && !word.is_empty() {
                return Ok(word);
            }
            require(is_in_word(byte))?;
            word.push(byte);
            require(max.is_none_or(|max| word.len() <= max as usize))?;
        }
    }

    /// Field lines and the empty line behind them.
    fn fields(&mut self, start: usize, section: Section) -> Read<Fields> {
        let mut fields = Fields::default();
        loop {
            let mut name = Vec::new();
            loop {
                match self.next_since(start)? {
                    b'\r' if name.is_empty() => {
                        require(self.next_since(start)? == b'\n')?;
                        return Ok(fields);
                    }
                    b':' if !name.is_empty() => break,
                    byte => {
                        require(is_tchar(byte))?;
                        name.push(byte);
                    }
                }
            }
            let spelled = String::from_utf8(name).unwrap().to_lowercase();
            // Some servers take any of these for a `-`.
            let name = spelled.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let decides = [
                self.credential.header,
                "content-length",
                "transfer-encoding",
            ]
            .contains(&name.as_str());
            if section == Section::Trailers && name == self.credential.header {
                return Err(Reason::DuplicateCredential.into());
            }
            require(!decides || spelled == name && section != Section::Trailers)?;
            if name == "content-length" || name == "transfer-encoding" {
                require(fields.content_length.is_none() && !fields.is_chunked)?;
            }
            let value = self.value(start)?;
            let Section::Head { is_http_10 } = section else {
                continue;
            };
            match name.as_str() {
                "content-length" => fields.content_length = Some(content_length(&value)?),
                "transfer-encoding" => {
                    require(!is_http_10 && value.eq_ignore_ascii_case(b"chunked"))?;
                    fields.is_chunked = true;
                }
                name if name == self.credential.header => fields.credentials.push(value),
                "upgrade" => fields.upgrades.push(value),
                "expect" => {
                    require(!fields.expects && value.eq_ignore_ascii_case(b"100-continue"))?;
                    fields.expects = true;
                }
                _ => {}
            }
        }
    }

    /// A field's value without the blanks around it.
    fn value(&mut self, start: usize) -> Read<Vec<u8>> {
        let mut value = Vec::new();
        loop {
            match self.next_since(start)? {
                b'\r' => break,
                byte => {
                    require(is_in_value(byte))?;
                    value.push(byte);
                }
            }
        }
        require(self.next_since(start)? == b'\n')?;
        let is_blank = |byte: &u8| [b' ', b'\t'].contains(byte);
        while value.last().is_some_and(is_blank) {
            value.pop();
        }
        let blanks = value.iter().take_while(|byte| is_blank(byte)).count();
        Ok(value.split_off(blanks))
    }

    fn opaque(&mut self, len: u64) -> Read<()> {
        let rest = self.stream.len() - self.at;
        let here = len.min(rest as u64);
        if here > 0 {
            self.told.opaque.push((self.at, here as usize));
            self.at += here as usize;
        }
        if here < len {
            return Err(Stop::End(End::Opaque(len - here)));
        }
        Ok(())
    }

    fn chunks(&mut self) -> Read<()> {
        loop {
            let size = self.chunk_line()?;
            if size == 0 {
                let start = self.at;
                self.fields(start, Section::Trailers)?;
                return Ok(());
            }
            self.opaque(size)?;
            self.expect(b"\r\n")?;
        }
    }

    fn chunk_line(&mut self) -> Read<u64> {
        let mut line = Vec::new();
        let mut size = 0u64;
        loop {
            let byte = self.next()?;
            if byte == b'\r' {
                break;
            }
            line.push(byte);
            require(line.len() <= CHUNK_LINE_MAX as usize)?;
            if line.contains(&b';') {
                require(is_in_value(byte))?;
            } else {
                let digit = (byte as char).to_digit(16).ok_or(Malformed)?;
                size = size * 16 + u64::from(digit);
                require(size <= CHUNK_MAX)?;
            }
        }
        require(line.first().is_some_and(|first| *first != b';'))?;
        self.expect(b"\n")?;
        Ok(size)
    }

    fn proxy_header(&mut self) -> Read<()> {
        match self.stream[self.at] {
            b'P' => self.proxy_v1(),
            b'\r' => self.proxy_v2(),
            _ => Err(Malformed.into()),
        }
    }

    fn proxy_v1(&mut self) -> Read<()> {
        require(self.take(6)? == b"PROXY ")?;
        let mut line = self.take(5)?;
        let fields = if line == b"TCP4 " || line == b"TCP6 " {
            4
        } else {
            line.extend(self.take(2)?);
            require(line == b"UNKNOWN")?;
            0
        };
        let mut rest = Vec::new();
        loop {
            let byte = self.next()?;
            require(self.at <= PROXY_V1_MAX as usize)?;
            if byte == b'\r' {
                break;
            }
            require(byte == b' ' || byte.is_ascii_graphic())?;
            rest.push(byte);
        }
        self.expect(b"\n")?;
        require(self.at <= PROXY_V1_MAX as usize)?;
        let rest = String::from_utf8(rest).unwrap();
        if fields == 0 {
            require(rest.is_empty() || rest.starts_with(' '))?;
            require(rest.split(' ').skip(1).all(|field| !field.is_empty()))?;
            return Ok(());
        }
        let parts: Vec<_> = rest.split(' ').collect();
        require(parts.len() == fields && parts.iter().all(|part| !part.is_empty()))?;
        let is_address = |part: &&str| {
            part.chars()
                .all(|c| c.is_ascii_hexdigit() || c == '.' || c == ':')
        };
        let is_port = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
        require(parts[..2].iter().all(is_address) && parts[2..].iter().all(is_port))?;
        Ok(())
    }

    fn proxy_v2(&mut self) -> Read<()> {
        require(self.take(8)? == b"\r\n\r\n\0\r\nQ")?;
        let fixed = self.take(8)?;
        let length = u16::from_be_bytes([fixed[6], fixed[7]]);
        let addresses = match fixed[5] {
            0x00 => 0,
            0x11 | 0x12 => 2 * (4 + 2),
            0x21 | 0x22 => 2 * (16 + 2),
            0x31 | 0x32 => 2 * 108,
            _ => return Err(Malformed.into()),
        };
        require(&fixed[..4] == b"UIT\n" && [0x20, 0x21].contains(&fixed[4]))?;
        require((addresses..=PROXY_V2_MAX).contains(&u64::from(length)))?;
        self.take(length.into())?;
        Ok(())
    }
}

fn require(condition: bool) -> Read<()> {
    if condition {
        Ok(())
    } else {
        Err(Malformed.into())
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_in_value(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

fn content_length(value: &[u8]) -> Read<u64> {
    require(!value.is_empty() && value.iter().all(u8::is_ascii_digit))?;
    let digits = std::str::from_utf8(value).unwrap().trim_start_matches('0');
    let number = if digits.is_empty() {
        Ok(0)
    } else {
        digits.parse()
    };
    number
        .ok()
        .filter(|length| *length <= CONTENT_LENGTH_MAX)
        .ok_or(Malformed.into())
}

/// The credential in the values of its header.
fn credential(credential: Credential, values: &[Vec<u8>]) -> Result<[u8; 16], Reason> {
    let [value] = values else {
        return Err(match values {
            [] => Reason::Missing,
            _ => Reason::DuplicateCredential,
        });
    };
    let mut rest = &value[..];
    if !credential.scheme.is_empty() {
        let len = rest.iter().take_while(|byte| is_tchar(**byte)).count();
        let scheme;
        (scheme, rest) = rest.split_at(len);
        match rest {
            [] => return Err(Reason::Missing),
            [b' ' | b'\t', ..] if scheme.eq_ignore_ascii_case(credential.scheme.as_bytes()) => {}
            [b' ' | b'\t', ..] => return Err(Reason::Missing),
            _ => return Err(Reason::MalformedToken),
        }
    }
    let token = rest.trim_ascii_start();
    if token.is_empty() {
        return Err(Reason::Missing);
    }
    let is_in_token = |byte: &u8| {
        if credential.is_visible {
            byte.is_ascii_graphic()
        } else {
            byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte)
        }
    };
    let run = token.iter().take_while(|byte| is_in_token(byte)).count();
    if run == 0 {
        return Err(Reason::MalformedToken);
    }
    let padding = token[run..]
        .iter()
        .take_while(|byte| **byte == b'=')
        .count();
    if run + padding > CREDENTIAL_MAX as usize {
        return Err(Reason::CredentialTooLong);
    }
    if run + padding < token.len() {
        return Err(Reason::MalformedToken);
    }
    Ok(digest(token))
}
