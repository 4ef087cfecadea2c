//! A case, and one playing of it.

use std::{net::SocketAddr, ops::Range};

use anyhow::Result;
use token_agent_tests::{
    ground::Ground,
    raw::{Peer, Segment},
};

/// An attack, or honest traffic like it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: &'static str,
    /// The real stream, in letters: this, so many times.
    pub(crate) letters: (&'static str, usize),
    pub(crate) is_ipv6: bool,
    /// Whether the steps begin with the SYN; else the connection stands already.
    pub(crate) has_handshake: bool,
    /// Whether it is for a server whose buffer is small.
    pub(crate) is_slow: bool,
    /// Whether an honest client can come to send the same, if what is a decoy elsewhere is real,
    /// and then goes on: it must be served.
    pub(crate) is_honest: bool,
    pub(crate) steps: fn(&mut Play) -> Result<()>,
}

/// What is sent in a case.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) peer: Peer,
    /// Not letters but requests.
    pub(crate) is_http: bool,
    real: Vec<u8>,
    decoy: Vec<u8>,
    /// So many bytes stand for a letter.
    unit: usize,
}

/// In a request so many bytes stand for a letter, if there are few.
const UNIT: usize = 32;
/// If there are that many, fewer do: but as many as make a request of this length.
const MANY: usize = 100;
const SHORTEST: usize = 160;

impl Case {
    pub(crate) const fn new(
        id: &'static str,
        letters: &'static str,
        steps: fn(&mut Play) -> Result<()>,
    ) -> Self {
        Self {
            id,
            letters: (letters, 1),
            is_ipv6: false,
            has_handshake: false,
            is_slow: false,
            is_honest: true,
            steps,
        }
    }

    /// With the letters so many times.
    pub(crate) const fn times(mut self, times: usize) -> Self {
        self.letters.1 = times;
        self
    }

    pub(crate) const fn with_handshake(mut self) -> Self {
        self.has_handshake = true;
        self
    }

    /// At a server whose buffer is small.
    pub(crate) const fn slow(mut self) -> Self {
        self.is_slow = true;
        self
    }

    pub(crate) const fn ipv6(mut self) -> Self {
        self.is_ipv6 = true;
        self
    }

    /// No honest client does that and goes on.
    pub(crate) const fn hostile(mut self) -> Self {
        self.is_honest = false;
        self
    }
}

impl Play {
    /// In letters.
    pub(crate) fn letters(ground: &Ground<'_>, case: &Case, to: SocketAddr) -> Result<Self> {
        let (letters, times) = case.letters;
        let real = letters.repeat(times).into_bytes();
        Ok(Self {
            peer: ground.wire.peer(to)?,
            is_http: false,
            decoy: vec![b'X'; real.len()],
            real,
            unit: 1,
        })
    }

    /// In requests with these tokens.
    pub(crate) fn requests(
        ground: &Ground<'_>,
        case: &Case,
        to: SocketAddr,
        real: &str,
        decoy: &str,
    ) -> Result<Self> {
        let (letters, times) = case.letters;
        let count = letters.len() * times;
        let unit = if count < MANY {
            UNIT
        } else {
            SHORTEST.div_ceil(count)
        };
        let urgent = letters.matches('!').count() * times;
        Ok(Self {
            peer: ground.wire.peer(to)?,
            is_http: true,
            real: request(case.id, real, urgent, count * unit),
            decoy: request(case.id, decoy, urgent, count * unit),
            unit,
        })
    }

    /// Plays the case.
    pub(crate) fn run(&mut self, case: &Case) -> Result<()> {
        if !case.has_handshake {
            self.peer.connect()?;
        }
        (case.steps)(self)
    }

    /// A part of the real stream, by letters.
    pub(crate) fn real(&self, letters: Range<i32>) -> Segment {
        self.part(&self.real, letters)
    }

    /// A part of the decoy.
    pub(crate) fn decoy(&self, letters: Range<i32>) -> Segment {
        self.part(&self.decoy, letters)
    }

    /// The place in the stream of a letter.
    pub(crate) fn at(&self, letter: i32) -> i32 {
        letter * i32::try_from(self.unit).expect("a small number")
    }

    /// A part of the real stream, by bytes.
    pub(crate) fn bytes(&self, bytes: Range<usize>) -> Segment {
        let start = i32::try_from(bytes.start).expect("a short stream");
        self.peer.data(start, &self.real[bytes])
    }

    /// All of the real stream.
    pub(crate) fn stream(&self) -> &[u8] {
        &self.real
    }

    /// The places of the bytes that are to be urgent.
    pub(crate) fn urgent(&self) -> Vec<usize> {
        (0..self.real.len())
            .filter(|&at| self.real[at] == b'!')
            .collect()
    }

    fn part(&self, of: &[u8], letters: Range<i32>) -> Segment {
        let (start, end) = (self.at(letters.start), self.at(letters.end));
        let byte = |place: i32| match usize::try_from(place) {
            Ok(at) => of[at % of.len()],
            // Before the stream there is nothing.
            Err(_) => b'X',
        };
        let bytes: Vec<_> = (start..end).map(byte).collect();
        self.peer.data(start, &bytes)
    }
}

/// A request of exactly this length. Its token stands a little behind the middle, and so does the first
/// of the bytes that are to be urgent: without that one the line it is in is a credential, too.
fn request(id: &str, token: &str, urgent: usize, length: usize) -> Vec<u8> {
    let begin = format!("GET /{id} HTTP/1.1\r\nHost: a\r\n");
    let credential = format!("Authorization: Bearer {token}\r\n");
    let credential = match urgent {
        0 => credential,
        1 => credential.replace(':', "!:"),
        _ => credential.replace(':', "!:") + "X-Note: aa!aa\r\n",
    };
    let filler = |length: usize| {
        let filler = length
            .checked_sub("X: \r\n".len())
            .expect("room for a line");
        format!("X: {}\r\n", "p".repeat(filler))
    };
    let ahead = length * 3 / 5 - begin.len() - "Authorization: Bearer ".len();
    let begin = begin + &filler(ahead) + &credential;
    let end = filler(length - begin.len() - "\r\n".len());
    (begin + &end + "\r\n").into_bytes()
}
