//! This machine's kernel, behind a TUN device: what the models are measured against. Not for many schedules: it
//! has a clock of its own.

use std::{
    fmt,
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
    process::Command,
};

use anyhow::{Context as _, Result};
use smoltcp::{
    phy::{Device as _, Medium, RxToken as _, TunTapInterface, TxToken as _},
    time::Instant,
};

use super::{Action, Connection, End, Receiver, wire};
use crate::{
    host::{run, wait_for},
    model::segment::{Segment, ServerPacket, Time},
};

const DEVICE: &str = "ta-model";

/// A listening socket of this machine.
pub struct Kernel {
    tun: TunTapInterface,
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    client_port: u16,
    connections: Vec<Connection>,
}

impl Kernel {
    /// A listening socket in the network namespace that the calling thread is in. Needs root.
    ///
    /// # Errors
    /// If the device cannot be made.
    pub fn new() -> Result<Self> {
        let tun = TunTapInterface::new(DEVICE, Medium::Ip).context("/dev/net/tun")?;
        let address = format!("{}/24", wire::SERVER);
        run(Command::new("ip").args(["address", "add", &address, "dev", DEVICE]))?;
        run(Command::new("ip").args(["link", "set", DEVICE, "mtu", "65000", "up"]))?;
        Ok(Self {
            tun,
            listener: Some(listen()?),
            stream: None,
            client_port: 10_000,
            connections: Vec::new(),
        })
    }

    /// Goes on with another client, and another listening socket: handshakes that were begun are forgotten.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn reset(&mut self) -> Result<()> {
        self.stream = None;
        self.connections.clear();
        self.client_port += 1;
        self.listener = None;
        self.listener = Some(listen()?);
        Ok(())
    }

    fn collect(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        while let Some((packet, _)) = self.tun.receive(Instant::ZERO) {
            packet.consume(|packet| {
                if wire::client_port(packet) == Some(self.client_port) {
                    out.push(wire::parse(packet));
                }
            });
        }
        self.read(now);
        while let Some(Ok((stream, from))) = self.listener.as_ref().map(TcpListener::accept) {
            if from.port() == self.client_port && stream.set_nonblocking(true).is_ok() {
                self.stream = Some(stream);
                self.connections.push(Connection::default());
                self.read(now);
            }
        }
    }

    fn read(&mut self, now: Time) {
        let (Some(stream), Some(connection)) = (&mut self.stream, self.connections.last_mut())
        else {
            return;
        };
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => {
                    connection.finish(End::Fin, now);
                    return;
                }
                Ok(count) => connection.deliver(&bytes[..count], now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    connection.finish(End::Reset, now);
                    return;
                }
            }
        }
    }
}

/// The socket before may not be gone at once.
fn listen() -> Result<TcpListener> {
    let mut listener = None;
    wait_for("the port to be free", || {
        listener = TcpListener::bind((wire::SERVER, wire::PORT)).ok();
        Ok(listener.is_some())
    })?;
    let listener = listener.context("it was waited for")?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Receiver for Kernel {
    fn receive(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        let packet = wire::build(segment, self.client_port);
        if let Some(token) = self.tun.transmit(Instant::ZERO) {
            token.consume(packet.len(), |to| to.copy_from_slice(&packet));
        }
        self.collect(now, out);
    }

    fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        self.collect(now, out);
    }

    /// It is only ever read from.
    fn act(&mut self, _: &Action, _: Time, _: &mut Vec<ServerPacket>) {}

    fn connections(&self) -> &[Connection] {
        &self.connections
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
