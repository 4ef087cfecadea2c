//! One connection through the guard, both of its sides played by the test: what the client
//! sends goes to the guard, what the server says to the witness.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use token_agent::datapath::Program;
use token_agent_common::reason::Reason;

use crate::{
    frame::{ACK, DATA, Frame, RST, SYN},
    guard::Guard,
    rows::{address, orders},
};

/// A connection to [`ORDERS`](crate::rows::ORDERS).
#[derive(Debug)]
pub struct Conversation<'a> {
    /// The guard between its two sides.
    pub guard: &'a mut Guard,
    program: Program,
    /// A frame of the client's, to be changed.
    frame: Frame,
    client_isn: u32,
    server_isn: u32,
    /// How much the server has sent.
    sent: u32,
    /// What the client says it has of that.
    received: u32,
}

/// What became of a segment: `Ok` with the reason for which something was counted, if anything
/// was, where it passed.
pub type Outcome = std::result::Result<Option<Reason>, Option<Reason>>;

/// Sequence numbers that no connection began with, of the client and the server. Those that follow each other do as
/// SYN cookies of one minute.
fn fresh() -> (u32, u32) {
    static USED: AtomicU32 = AtomicU32::new(0);
    let used = USED.fetch_add(1, Ordering::Relaxed);
    (
        used.wrapping_add(0xffff_f000),
        used.wrapping_add(0x7fff_ff00),
    )
}

/// It passed, and nothing was counted.
pub const PASSED: Outcome = Ok(None);

/// It passed, with a request that is allowed.
pub const ALLOWED: Outcome = Ok(Some(Reason::Allowed));

/// It was dropped.
pub const fn dropped(reason: Reason) -> Outcome {
    Err(Some(reason))
}

impl<'a> Conversation<'a> {
    /// A connection from `port`, open.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(guard: &'a mut Guard, program: Program, port: u16) -> Result<Self> {
        Self::closed(guard, program, port).opened()
    }

    /// An open connection to one of the services of [`rows`](crate::rows).
    ///
    /// # Errors
    /// The kernel's.
    pub fn open_to(guard: &'a mut Guard, program: Program, service: u32) -> Result<Self> {
        let mut conversation = Self::closed(guard, program, 1);
        conversation.frame.server = address(&format!("10.0.0.{}", service + 4));
        conversation.opened()
    }

    fn opened(self) -> Result<Self> {
        let mut conversation = self;
        conversation.server(RST, 0, 0, "")?;
        conversation.offer()?;
        assert_eq!(conversation.send(0, "")?, Ok(None), "the handshake passes");
        Ok(conversation)
    }

    /// A connection from `port` of which nothing was seen.
    pub fn closed(guard: &'a mut Guard, program: Program, port: u16) -> Self {
        let (client_isn, server_isn) = fresh();
        Self {
            guard,
            program,
            frame: Frame {
                client_port: port,
                ..orders("")
            },
            client_isn,
            server_isn,
            sent: 0,
            received: 0,
        }
    }

    /// Goes on as the client's connection from another port.
    pub const fn turn_to(&mut self, port: u16) {
        self.frame.client_port = port;
    }

    /// Goes on with other initial sequence numbers.
    pub fn renumber(&mut self, client: u32, server: u32) {
        self.client_isn = client;
        self.server_isn = server;
        self.sent = 0;
        self.received = 0;
    }

    /// The server sends its SYN-ACK.
    ///
    /// # Errors
    /// The kernel's.
    pub fn offer(&mut self) -> Result<bool> {
        let frame = self.servers(SYN | ACK, self.server_isn, 0, "");
        self.guard.witness(&frame)
    }

    /// The client's segment with `payload` at `position`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&mut self, position: u32, payload: impl Into<Vec<u8>>) -> Result<Outcome> {
        self.send_with(DATA, position, payload)
    }

    /// The same with other flags.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_with(
        &mut self,
        flags: u8,
        position: u32,
        payload: impl Into<Vec<u8>>,
    ) -> Result<Outcome> {
        let frame = self.segment(flags, position, payload);
        self.pass(&frame)
    }

    /// The frame of such a segment.
    pub fn segment(&self, flags: u8, position: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            sequence: self.client_isn.wrapping_add(1).wrapping_add(position),
            acknowledgment: self.server_isn.wrapping_add(1).wrapping_add(self.received),
            flags,
            payload: payload.into(),
            ..self.frame.clone()
        }
    }

    /// Runs the guard on a frame of the client's.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pass(&mut self, frame: &Frame) -> Result<Outcome> {
        let (passed, counted) = self.guard.go_on(self.program, &frame.build())?;
        let reason = counted.first().map(|((_, _, reason), _)| *reason);
        Ok(if passed { Ok(reason) } else { Err(reason) })
    }

    /// The server acknowledges what stands before `position`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ack(&mut self, position: u32) -> Result<()> {
        self.server(ACK, self.sent, position, "")
    }

    /// The server acknowledges what stands before `position`, and answers. The client has that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn answer(&mut self, position: u32, payload: &str) -> Result<()> {
        self.server(DATA, self.sent, position, payload)?;
        self.sent += payload.len() as u32;
        self.received = self.sent;
        Ok(())
    }

    /// How much the server has sent.
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    /// A packet of the server's: what it holds stands at `at` of its stream.
    ///
    /// # Errors
    /// The kernel's.
    pub fn server(&mut self, flags: u8, at: u32, acked: u32, payload: &str) -> Result<()> {
        let sequence = self.server_isn.wrapping_add(1).wrapping_add(at);
        let frame = self.servers(flags, sequence, acked, payload);
        assert!(self.guard.witness(&frame)?, "the server's packets pass");
        Ok(())
    }

    fn servers(&self, flags: u8, sequence: u32, acked: u32, payload: &str) -> Frame {
        Frame {
            client: self.frame.server,
            server: self.frame.client,
            client_port: self.frame.server_port,
            server_port: self.frame.client_port,
            sequence,
            acknowledgment: self.client_isn.wrapping_add(1).wrapping_add(acked),
            flags,
            payload: payload.into(),
            ..self.frame.clone()
        }
    }
}
