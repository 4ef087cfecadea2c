//! A parser that looks at one byte after the other and knows nothing of the others.
//!
//! CR means nothing to it, and whatever it does not know it takes as it comes.

use super::{Parser, ServedRequest};

/// The parser.
#[derive(Clone, Copy, Debug)]
pub struct Naive;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// In a head, in the line that `line` collects.
    Head,
    /// In a body, with as many bytes to go.
    Body(u64),
    /// In the line of a chunk's size.
    Size,
    /// In a chunk, with as many bytes to go.
    Chunk(u64),
    /// Behind a chunk.
    ChunkEnd,
    /// In trailers.
    Trailer,
    /// The server has closed the connection.
    Closed,
}

#[derive(Default)]
struct Reading {
    line: Vec<u8>,
    request: Option<ServedRequest>,
    length: u64,
    is_chunked: bool,
    /// Where the last request line ended.
    line_end: usize,
    /// The same of the last request that was served.
    fields: usize,
}

impl Naive {
    /// The last request of which the stream has the head, and where its fields begin.
    #[must_use]
    pub fn last(stream: &[u8]) -> Option<(ServedRequest, usize)> {
        let mut reading = Reading::default();
        let last = reading.read(stream).pop()?;
        Some((last, reading.fields))
    }
}

impl Parser for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn served(&self, stream: &[u8], _has_ended: bool) -> Vec<ServedRequest> {
        Reading::default().read(stream)
    }
}

impl Reading {
    /// The requests in the stream.
    fn read(&mut self, stream: &[u8]) -> Vec<ServedRequest> {
        let mut served = Vec::new();
        let mut state = State::Head;
        for (at, &byte) in stream.iter().enumerate() {
            state = self.step(state, byte, at + 1, &mut served);
            if state == State::Closed {
                break;
            }
        }
        served
    }

    fn step(
        &mut self,
        state: State,
        byte: u8,
        end: usize,
        served: &mut Vec<ServedRequest>,
    ) -> State {
        match state {
            State::Body(1) | State::Body(0) => complete(served),
            State::Body(left) => State::Body(left - 1),
            State::Chunk(1) | State::Chunk(0) => State::ChunkEnd,
            State::Chunk(left) => State::Chunk(left - 1),
            State::ChunkEnd => match byte {
                b'\r' => State::ChunkEnd,
                b'\n' => State::Size,
                _ => State::Closed,
            },
            State::Head | State::Size | State::Trailer => {
                if byte != b'\n' {
                    if byte != b'\r' {
                        self.line.push(byte);
                    }
                    return state;
                }
                let line = std::mem::take(&mut self.line);
                match state {
                    State::Head => self.head_line(&line, end, served),
                    State::Size => size(&line),
                    State::Trailer if line.is_empty() => complete(served),
                    State::Trailer => State::Trailer,
                    State::Body(_) | State::Chunk(_) | State::ChunkEnd | State::Closed => state,
                }
            }
            State::Closed => State::Closed,
        }
    }

    fn head_line(&mut self, line: &[u8], end: usize, served: &mut Vec<ServedRequest>) -> State {
        let text = String::from_utf8_lossy(line);
        let Some(request) = &mut self.request else {
            if line.is_empty() {
                return State::Head;
            }
            let mut words = text.split(' ');
            let mut word = || words.next().unwrap_or_default().to_owned();
            let (method, target, version) = (word(), word(), word());
            if !version.starts_with("HTTP/1.") {
                return State::Closed;
            }
            self.request = Some(ServedRequest {
                method,
                target,
                credentials: Vec::new(),
                head_end: 0,
                is_complete: false,
            });
            self.length = 0;
            self.is_chunked = false;
            self.line_end = end;
            return State::Head;
        };
        if !line.is_empty() {
            let (name, value) = text.split_once(':').unwrap_or_default();
            let value = value.trim();
            match &name.to_ascii_lowercase()[..] {
                "content-length" => self.length = value.parse().unwrap_or(0),
                "transfer-encoding" => self.is_chunked = value.eq_ignore_ascii_case("chunked"),
                "authorization" => {
                    let token = value.split([' ', '\t']).next_back().unwrap_or_default();
                    request.credentials.push(token.as_bytes().to_vec());
                }
                _ => {}
            }
            return State::Head;
        }
        request.head_end = end;
        self.fields = self.line_end;
        served.extend(self.request.take());
        match (self.is_chunked, self.length) {
            (true, _) => State::Size,
            (false, 0) => complete(served),
            (false, length) => State::Body(length),
        }
    }
}

fn size(line: &[u8]) -> State {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let mut size = 0_u64;
    for &digit in digits {
        let value = char::from(digit).to_digit(16).unwrap_or(0);
        size = size.wrapping_mul(16).wrapping_add(u64::from(value));
    }
    match size {
        0 => State::Trailer,
        size => State::Chunk(size),
    }
}

fn complete(served: &mut [ServedRequest]) -> State {
    if let Some(last) = served.last_mut() {
        last.is_complete = true;
    }
    State::Head
}
