//! What must never happen, and what must.

use std::{fmt, time::Duration};

use super::{
    guard::Policy,
    parsers::{Hyper, Naive, Parser, ServedRequest, parsers},
    receiver::{Connection, End, Receiver},
    segment::Time,
    world::{Application, Turn},
};

/// How long a judged request may be on its way: a guard voids a connection whose head was not
/// acknowledged within about a second, which it may count in ticks of a little more.
pub const GRACE: Duration = Duration::from_millis(2_500);

/// What went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// An application serves a request that is denied.
    Served {
        /// The server.
        parser: &'static str,
        /// Which connection it came on.
        connection: usize,
        /// The request.
        request: Box<ServedRequest>,
        /// When the last byte of its head had arrived.
        arrived: Time,
    },
    /// A connection became something else than HTTP that must not, or not any more.
    Upgraded {
        /// Which one.
        connection: usize,
    },
    /// Data came by Multipath TCP, where sequence numbers mean something else.
    Multipath,
    /// A stream does not begin with what its client sent first.
    Shifted {
        /// With what it begins.
        start: Vec<u8>,
    },
    /// An honest client's bytes reached the application otherwise than it had sent them.
    Changed {
        /// Where they differ.
        at: usize,
    },
    /// An honest client was not served in time.
    Starved {
        /// How much of its stream the application had got.
        delivered: usize,
        /// Of how much.
        of: usize,
    },
    /// An honest client's connection was reset.
    Reset,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served {
                parser,
                connection,
                request,
                arrived,
            } => {
                let tokens: Vec<_> = request
                    .credentials
                    .iter()
                    .map(|token| token.escape_ascii().to_string())
                    .collect();
                write!(
                    f,
                    "{} {} with {tokens:?} is served by a server of the kind {parser:?}, on connection {connection}, \
                     from byte {} on, at {:.3} s",
                    request.method,
                    request.target,
                    request.head_end,
                    arrived.as_secs_f64()
                )
            }
            Self::Upgraded { connection } => {
                write!(f, "connection {connection} became another protocol's")
            }
            Self::Multipath => f.write_str("data came by Multipath TCP"),
            Self::Shifted { start } => {
                write!(f, "a stream begins with \"{}\"", start.escape_ascii())
            }
            Self::Changed { at } => write!(f, "an honest stream was changed at byte {at}"),
            Self::Starved { delivered, of } => {
                write!(
                    f,
                    "an honest client was not served: {delivered} of {of} bytes"
                )
            }
            Self::Reset => f.write_str("an honest client was reset"),
        }
    }
}

/// The servers that all streams are shown to.
pub struct Judges {
    parsers: Vec<Box<dyn Parser + Send + Sync>>,
    /// Whether hyper is asked, too, which takes its time.
    pub is_thorough: bool,
    /// Whether a stream must begin with what its client sent first: SYN cookies make that a promise of its own.
    pub looks_at_starts: bool,
}

impl Judges {
    /// All there are.
    #[must_use]
    pub fn new() -> Self {
        Self {
            parsers: parsers(),
            is_thorough: false,
            looks_at_starts: false,
        }
    }

    /// Looks at all that the applications were given; counts the requests that one of them serves.
    ///
    /// # Errors
    /// What must not be.
    pub fn look(
        &self,
        receiver: &dyn Receiver,
        application: &Application,
        policy: &Policy,
    ) -> Result<u64, Violation> {
        let mut served = 0;
        for (number, connection) in receiver.connections().iter().enumerate() {
            if connection.stream.is_empty() {
                continue;
            }
            if connection.is_multipath {
                return Err(Violation::Multipath);
            }
            let turns = application.turns(number);
            if is_wrongly_upgraded(connection, turns, policy) {
                return Err(Violation::Upgraded { connection: number });
            }
            served += self.connection(number, connection, turns, policy)?;
        }
        Ok(served)
    }

    fn connection(
        &self,
        number: usize,
        connection: &Connection,
        turns: &[Turn],
        policy: &Policy,
    ) -> Result<u64, Violation> {
        let mut most = 0;
        let hyper: Option<&dyn Parser> = self.is_thorough.then_some(&Hyper);
        let parsers = self.parsers.iter().map(|parser| &**parser as &dyn Parser);
        for parser in parsers.chain(hyper) {
            let requests = served(parser, connection, turns);
            most = most.max(requests.len() as u64);
            for request in requests {
                let arrived = connection.arrived(request.head_end);
                let asked = arrived.saturating_sub(GRACE);
                let is_allowed = |token: &Vec<u8>| policy.allows(token, asked);
                if request.credentials.is_empty() || !request.credentials.iter().all(is_allowed) {
                    return Err(Violation::Served {
                        parser: parser.name(),
                        connection: number,
                        request: Box::new(request),
                        arrived,
                    });
                }
            }
        }
        Ok(most)
    }
}

/// Whether bytes reached the application behind an upgrade that the service does not allow, or that was not
/// the connection's first request.
fn is_wrongly_upgraded(connection: &Connection, turns: &[Turn], policy: &Policy) -> bool {
    turns.iter().any(|turn| match *turn {
        Turn::Request(_) => false,
        Turn::Opaque(at) => {
            let before = Naive.served(&connection.stream[..at], false).len();
            connection.stream.len() > at && (!policy.websocket || turns.len() > 1 || before > 1)
        }
    })
}

/// What a server serves of a connection.
fn served(parser: &dyn Parser, connection: &Connection, turns: &[Turn]) -> Vec<ServedRequest> {
    let stream = &connection.stream;
    let has_ended = connection.end == Some(End::Fin);
    let mut requests = Vec::new();
    let mut start = 0;
    for turn in turns {
        let (end, is_last) = match *turn {
            Turn::Request(at) => (at, false),
            Turn::Opaque(at) => (at, true),
        };
        add(&mut requests, parser, &stream[start..end], start, false);
        if is_last {
            return requests;
        }
        start = end;
    }
    add(&mut requests, parser, &stream[start..], start, has_ended);
    requests
}

fn add(
    requests: &mut Vec<ServedRequest>,
    parser: &dyn Parser,
    stream: &[u8],
    start: usize,
    has_ended: bool,
) {
    requests.extend(
        parser
            .served(stream, has_ended)
            .into_iter()
            .map(|request| ServedRequest {
                head_end: request.head_end + start,
                ..request
            }),
    );
}

impl Default for Judges {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Judges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judges").finish_non_exhaustive()
    }
}
