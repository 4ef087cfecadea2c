//! A connection, as its client sees it.

use std::{
    net::SocketAddr,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use super::{
    Arrived, Segment,
    flags::{ACK, FIN, PSH, RST, SYN},
    options::{TIMESTAMPS, timestamps},
    wire::Link,
};

/// How the server ended a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// By a FIN.
    Closed,
    /// By a RST.
    Reset,
}

/// One end of a connection that only does what it is told, but for acknowledging what arrives.
///
/// Places in the stream count from its first byte, which follows the SYN.
#[derive(Debug)]
pub struct Peer {
    link: Arc<Link>,
    incoming: Receiver<Arrived>,
    client: SocketAddr,
    server: SocketAddr,
    /// The sequence number of the stream's first byte.
    start: u32,
    /// The sequence number of the server's next byte, once it answered.
    pub(super) expected: u32,
    acked: u32,
    window: u16,
    received: Vec<u8>,
    end: Option<End>,
    /// Whether the server has answered this SYN; what else arrives before that is of an earlier connection.
    is_offered: bool,
    offers: Vec<Arrived>,
    stamps: Option<Stamps>,
    is_silent: bool,
    /// How far [`Peer::deliver`] has come.
    pub(super) delivered: u32,
}

/// The state of RFC 7323's timestamps.
#[derive(Clone, Copy, Debug)]
struct Stamps {
    value: u32,
    echo: u32,
}

/// Where a peer's timestamps begin: far from both ends of their range.
const FIRST_STAMP: u32 = 1 << 30;

impl Peer {
    pub(super) fn new(link: Arc<Link>, client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            incoming: link.register(client),
            link,
            client,
            server,
            // Near the end of the numbers, so that many a stream passes it.
            start: 0_u32.wrapping_sub(1 + u32::from(client.port()) % 256),
            expected: 0,
            acked: 0,
            window: 0,
            received: Vec::new(),
            end: None,
            is_offered: false,
            offers: Vec::new(),
            stamps: None,
            is_silent: false,
            delivered: 0,
        }
    }

    pub(super) fn twin(&self, link: Arc<Link>) -> Self {
        let mut twin = Self::new(link, self.client, self.server);
        twin.start = self.start;
        twin.expected = self.expected;
        twin.acked = self.acked;
        twin
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.client
    }

    /// Connects.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn connect(&mut self) -> Result<()> {
        self.connect_with(&[])
    }

    /// The same with these TCP options on the SYN; if timestamps are among
    /// what the server takes up, each segment has them from then on.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn connect_with(&mut self, options: &[u8]) -> Result<()> {
        const TRIES: usize = 5;
        let syn = self.syn().tcp_options(options);
        let mut is_offered = false;
        for _ in 0..TRIES {
            if !is_offered {
                syn.send()?;
                is_offered = self.is_offered()?;
            }
        }
        ensure!(is_offered, "{} does not answer a SYN", self.server);
        self.use_timestamps();
        self.ack().send()
    }

    /// Options of a SYN as most kernels send it: MSS, SACK, timestamps, window scale.
    #[must_use]
    pub fn usual_options() -> Vec<u8> {
        let mut options = vec![2, 4, 0x05, 0xb4, 4, 2, TIMESTAMPS, 10];
        options.extend(FIRST_STAMP.to_be_bytes());
        options.extend([0; 4]);
        options.extend([1, 3, 3, 7]);
        options
    }

    /// Whether a SYN-ACK comes.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn is_offered(&mut self) -> Result<bool> {
        let before = self.offers.len();
        self.wait(Duration::from_millis(600), |peer| {
            peer.offers.len() > before
        })
    }

    /// Has all further segments carry timestamps, if the last SYN-ACK did.
    pub fn use_timestamps(&mut self) {
        let theirs = self
            .offers
            .last()
            .and_then(|offer| offer.option(TIMESTAMPS));
        if let Some(&[a, b, c, d, ..]) = theirs {
            self.stamps = Some(Stamps {
                value: FIRST_STAMP,
                echo: u32::from_be_bytes([a, b, c, d]),
            });
        }
    }

    /// Begins anew on the same addresses; its first byte will have this sequence number more than now.
    pub fn restart(&mut self, later: i32) {
        self.start = self.start.wrapping_add_signed(later);
        self.acked = 0;
        self.delivered = 0;
        self.end = None;
        self.is_offered = false;
        self.is_silent = false;
        self.stamps = None;
        self.received.clear();
    }

    /// Takes a RST that came so far for someone else's, as kernels do whose numbers it does not bear.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn forget_reset(&mut self) -> Result<()> {
        self.pause(Duration::from_millis(50))?;
        self.end = None;
        Ok(())
    }

    /// Does not even acknowledge by itself.
    pub const fn be_silent(&mut self) {
        self.is_silent = true;
    }

    /// A segment with these flags, whose first byte has this place in the stream.
    pub fn segment(&self, flags: u8, place: i32, payload: &[u8]) -> Segment {
        let mut segment = Segment::new(Arc::clone(&self.link), self.client, self.server, payload);
        segment.tcp.sequence = self.start.wrapping_add_signed(place);
        segment.tcp.acknowledged = if flags & ACK == 0 { 0 } else { self.expected };
        segment.tcp.flags = flags;
        if let Some(stamps) = self.stamps {
            segment = segment.tcp_options(&timestamps(stamps.value, stamps.echo));
        }
        segment
    }

    /// The SYN.
    pub fn syn(&self) -> Segment {
        let mut syn = self.segment(SYN, -1, b"");
        syn.tcp.options.clear();
        syn
    }

    /// An empty segment that acknowledges all that arrived.
    pub fn ack(&self) -> Segment {
        self.segment(ACK, self.acked.cast_signed(), b"")
    }

    /// A segment with data.
    pub fn data(&self, place: i32, payload: &[u8]) -> Segment {
        self.segment(PSH | ACK, place, payload)
    }

    /// A FIN behind this place.
    pub fn fin(&self, place: i32) -> Segment {
        self.segment(FIN | ACK, place, b"")
    }

    /// A RST.
    pub fn rst(&self, place: i32) -> Segment {
        self.segment(RST, place, b"")
    }

    /// What the server has acknowledged: so many bytes of the stream.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn acked(&mut self) -> Result<u32> {
        self.wait(Duration::ZERO, |_| true)?;
        Ok(self.acked)
    }

    /// Whether the server has acknowledged so many bytes, as far as was seen.
    #[must_use]
    pub fn has_acked(&self, count: usize) -> bool {
        usize::try_from(self.acked).is_ok_and(|acked| acked >= count)
    }

    /// The same, of what was taken already.
    pub(super) const fn acked_so_far(&self) -> u32 {
        self.acked
    }

    /// The window that the server announced last, unscaled.
    #[must_use]
    pub const fn window(&self) -> u16 {
        self.window
    }

    /// What the server sent.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Whether there is an answer's beginning in what the server sent.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.received.starts_with(b"HTTP/1.")
    }

    /// How the server ended the connection, if it did.
    #[must_use]
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// The SYN-ACKs so far.
    #[must_use]
    pub fn offers(&self) -> &[Arrived] {
        &self.offers
    }

    /// Takes up another one of the SYN-ACKs.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn take_up(&mut self, number: usize) -> Result<()> {
        let offer = self.offers.get(number);
        let offer = offer.with_context(|| format!("SYN-ACKs: {:?}", self.offers))?;
        self.start = offer.acknowledged;
        self.expected = offer.end();
        Ok(())
    }

    /// Takes what arrives until `condition` holds; false if it does not in time.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn wait(&mut self, most: Duration, condition: impl Fn(&Self) -> bool) -> Result<bool> {
        let until = Instant::now() + most;
        loop {
            while let Ok(arrived) = self.incoming.try_recv() {
                self.take(arrived)?;
            }
            if condition(self) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if let Ok(arrived) = self.incoming.recv_timeout(left) {
                self.take(arrived)?;
            }
        }
    }

    /// Lets time pass, and takes what arrives.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn pause(&mut self, time: Duration) -> Result<()> {
        self.wait(time, |_| false).map(drop)
    }

    /// Waits for an answer, but not for long, and then until the server says no more: what
    /// passed the guard is answered in a fraction of that.
    ///
    /// # Errors
    /// If the wire is gone.
    pub fn settle(&mut self) -> Result<()> {
        const LONG_ENOUGH: Duration = Duration::from_millis(300);
        const QUIET: Duration = Duration::from_millis(150);
        self.wait(LONG_ENOUGH, |peer| peer.is_answered() || peer.end.is_some())?;
        let mut seen = 0;
        while self.received.len() > seen && self.end != Some(End::Reset) {
            seen = self.received.len();
            self.wait(QUIET, |peer| peer.received.len() > seen)?;
        }
        Ok(())
    }

    fn take(&mut self, arrived: Arrived) -> Result<()> {
        if arrived.has(SYN | ACK) {
            self.expected = arrived.end();
            self.window = arrived.window;
            self.is_offered = true;
            self.offers.push(arrived);
            return Ok(());
        }
        if !self.is_offered && arrived.acknowledged != self.start {
            return Ok(());
        }
        if arrived.has(RST) {
            self.end = Some(End::Reset);
            return Ok(());
        }
        self.window = arrived.window;
        let acked = arrived.acknowledged.wrapping_sub(self.start);
        // What seems so far ahead lies behind.
        if acked.wrapping_sub(self.acked) < 1 << 30 {
            self.acked = acked;
        }
        if let (Some(stamps), Some(&[a, b, c, d, ..])) =
            (&mut self.stamps, arrived.option(TIMESTAMPS))
        {
            stamps.value += 1;
            stamps.echo = u32::from_be_bytes([a, b, c, d]);
        }
        let known = self.expected.wrapping_sub(arrived.sequence);
        let known = usize::try_from(known).context("a place")?;
        if let Some(new) = arrived.payload.get(known..) {
            self.received.extend(new);
            self.expected = arrived.end();
            if arrived.has(FIN) && self.end.is_none() {
                self.expected = self.expected.wrapping_add(1);
                self.end = Some(End::Closed);
            }
        }
        if !self.is_silent && (!arrived.payload.is_empty() || arrived.has(FIN)) {
            self.ack().send()?;
        }
        Ok(())
    }
}

impl Drop for Peer {
    /// Resets the connection, so that the server keeps nothing.
    fn drop(&mut self) {
        if self.end != Some(End::Reset) && !self.offers.is_empty() {
            // The wire may be gone already.
            let _ = self.rst(self.acked.cast_signed()).send();
        }
        self.link.forget(self.client);
    }
}
