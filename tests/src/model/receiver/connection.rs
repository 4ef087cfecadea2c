//! What an application has got of one connection.

use crate::model::segment::Time;

/// A connection that was accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Connection {
    /// The bytes in order. That the application may read them later makes no difference:
    /// nothing changes them any more.
    pub stream: Vec<u8>,
    /// How the client's direction has ended.
    pub end: Option<End>,
    /// Whether another protocol was agreed on, in which the stream is not that of the sequence numbers (RFC 8684).
    pub is_multipath: bool,
    /// When the stream had become that long.
    arrivals: Vec<(usize, Time)>,
    /// When the end was there.
    ended: Time,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By a FIN: the application reads an end of file.
    Fin,
    /// By a reset, or because the application was through with it.
    Reset,
}

impl Connection {
    pub(super) fn new(is_multipath: bool) -> Self {
        Self {
            is_multipath,
            ..Self::default()
        }
    }

    pub(super) fn deliver(&mut self, bytes: &[u8], now: Time) {
        self.stream.extend_from_slice(bytes);
        self.note(self.stream.len(), now);
    }

    /// Notes that so much has arrived, read or not.
    pub(super) fn note(&mut self, len: usize, now: Time) {
        if self.arrivals.last().map_or(0, |last| last.0) < len {
            self.arrivals.push((len, now));
        }
    }

    pub(super) fn finish(&mut self, end: End, now: Time) {
        if self.end.is_none() {
            self.end = Some(end);
            self.ended = now;
        }
    }

    /// When the first `len` bytes were there; of what never came, when the stream ended.
    #[must_use]
    pub fn arrived(&self, len: usize) -> Time {
        let at = self.arrivals.partition_point(|&(until, _)| until < len);
        self.arrivals.get(at).map_or(self.ended, |&(_, time)| time)
    }
}
