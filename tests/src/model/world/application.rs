//! The application behind the server's TCP: what it says, and when it reads its stream otherwise.

use serde::{Deserialize, Serialize};

use crate::model::{
    parsers::{Naive, ServedRequest},
    receiver::{Action, Receiver},
};

/// What an application does.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Deed {
    /// Something with its socket that has nothing to do with HTTP.
    Socket(Action),
    /// Answers with something.
    Respond,
    /// Asks for the body (`100 Continue`).
    Continue,
    /// Turns down a request whose body has not begun and is not on its way from the guard, and takes what
    /// comes next for another request.
    Refuse,
    /// Upgrades the connection, if its last request asks for it: what follows is no HTTP.
    Upgrade,
    /// Says that it does though nobody asks for it, as far as it has read and is on its way, and goes on reading requests.
    PretendUpgrade,
}

/// From some byte on, the stream is read otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// There begins another request.
    Request(usize),
    /// There HTTP ends.
    Opaque(usize),
}

/// The application.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// For each connection, where its stream is read otherwise.
    turns: Vec<Vec<Turn>>,
    /// How many connections there were when it last said that it would write no more.
    mute: usize,
    /// The same of when it last stopped reading, if it has not begun again: then it may have been asked for more than
    /// it knows.
    paused: usize,
}

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
const UPGRADE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

impl Application {
    /// Where the connection of that number is read otherwise, in order.
    #[must_use]
    pub fn turns(&self, connection: usize) -> &[Turn] {
        self.turns.get(connection).map_or(&[], |turns| turns)
    }

    /// What it does with its socket; nothing if it is not the time for the deed.
    pub(super) fn action(
        &mut self,
        deed: &Deed,
        receiver: &dyn Receiver,
        is_quiet: bool,
    ) -> Option<Action> {
        let number = receiver.connections().len().checked_sub(1)?;
        self.turns.resize(number + 1, Vec::new());
        let stream = receiver.stream();
        let bytes = match deed {
            Deed::Socket(action) => {
                match action {
                    Action::Shutdown | Action::Close | Action::Abort => self.mute = number + 1,
                    Action::Pause => self.paused = number + 1,
                    Action::Read => self.paused = 0,
                    Action::Write(_) => {}
                }
                return Some(action.clone());
            }
            _ if self.mute > number => return None,
            Deed::Respond => RESPONSE,
            Deed::Continue => CONTINUE,
            Deed::PretendUpgrade => {
                // Who was asked for it has no part in this: what follows is then its own affair.
                let asked = self
                    .last(number, stream)
                    .is_some_and(|(_, head)| head.contains("\nupgrade: websocket\r"));
                if asked || !is_quiet || self.paused > number {
                    return None;
                }
                UPGRADE
            }
            Deed::Refuse => {
                let (waiting, head) = self.last(number, stream)?;
                let is_time = is_quiet && !waiting.is_complete && waiting.head_end == stream.len();
                // Of what it has not read it does not know that it has begun.
                if !is_time || self.paused > number || !head.contains("\nexpect: 100-continue\r") {
                    return None;
                }
                self.turns[number].push(Turn::Request(stream.len()));
                REFUSAL
            }
            Deed::Upgrade => {
                let (last, head) = self.last(number, stream)?;
                if !head.contains("\nupgrade: websocket\r") {
                    return None;
                }
                self.turns[number].push(Turn::Opaque(last.head_end));
                UPGRADE
            }
        };
        Some(Action::Write(bytes.to_vec()))
    }

    /// The last request of which the application has read the head, and its fields.
    fn last(&self, connection: usize, stream: &[u8]) -> Option<(ServedRequest, String)> {
        let start = match self.turns[connection].last() {
            None => 0,
            Some(Turn::Request(at)) => *at,
            Some(Turn::Opaque(_)) => return None,
        };
        let (mut last, fields) = Naive::last(stream.get(start..)?)?;
        last.head_end += start;
        // With the line's end before the first one.
        let fields = &stream[start + fields - 1..last.head_end];
        Some((last, String::from_utf8_lossy(fields).to_lowercase()))
    }
}
