//! smoltcp: another TCP, which lets the newest of overlapping segments win.

use std::collections::VecDeque;

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{self, Device, DeviceCapabilities, Medium},
    socket::tcp::{Socket, SocketBuffer, State},
    time::Instant,
    wire::{HardwareAddress, IpCidr},
};

use super::{Action, Connection, End, Receiver, wire};
use crate::{
    frame::{ACK, FIN},
    model::segment::{Segment, ServerPacket, Time, ahead},
};

const CLIENT_PORT: u16 = 40_000;

/// A host that runs smoltcp.
pub struct Smol {
    device: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    buffer: usize,
    /// Whether the socket's connection is the last of `connections`.
    is_open: bool,
    is_paused: bool,
    is_orphan: bool,
    connections: Vec<Connection>,
    /// The end of the window that was told last.
    edge: u32,
}

impl Smol {
    /// A host with a listening socket and a receive buffer of that size.
    #[must_use]
    pub fn new(buffer: usize, seed: u64) -> Self {
        let mut device = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses
                .push(IpCidr::new(wire::SERVER.into(), 24))
                .expect("there is room for one");
        });
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(listening(buffer));
        Self {
            device,
            interface,
            sockets,
            socket,
            buffer,
            is_open: false,
            is_paused: false,
            is_orphan: false,
            connections: Vec::new(),
            edge: 0,
        }
    }

    fn run(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        let now_there = Instant::from_micros(now.as_micros() as i64);
        self.interface
            .poll(now_there, &mut self.device, &mut self.sockets);
        self.read(now);
        for packet in self.device.sent.drain(..) {
            let packet = wire::parse(&packet);
            if packet.has(ACK) {
                self.edge = packet.acknowledgment.wrapping_add(packet.window.into());
            }
            out.push(packet);
        }
    }

    fn read(&mut self, now: Time) {
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        let state = socket.state();
        let is_over = matches!(state, State::Closed | State::Listen);
        let is_established = !is_over && !matches!(state, State::SynReceived | State::SynSent);
        if is_established && !self.is_open {
            self.is_open = true;
            self.connections.push(Connection::default());
        }
        if !self.is_open {
            return;
        }
        let connection = self.connections.last_mut().expect("it is open");
        connection.note(connection.stream.len() + socket.recv_queue(), now);
        while !self.is_paused && socket.can_recv() {
            let read = socket.recv(|bytes| {
                if !self.is_orphan {
                    connection.deliver(bytes, now);
                }
                (bytes.len(), bytes.len())
            });
            if read.is_err() {
                break;
            }
        }
        if is_over {
            connection.finish(End::Reset, now);
        } else if !socket.may_recv() && !self.is_orphan {
            connection.finish(End::Fin, now);
        }
        if is_over || state == State::TimeWait {
            *socket = listening(self.buffer);
            self.is_open = false;
            self.is_paused = false;
            self.is_orphan = false;
        }
    }
}

impl Receiver for Smol {
    fn receive(&mut self, segment: &Segment, now: Time, out: &mut Vec<ServerPacket>) {
        let mut packet = segment.clone();
        // smoltcp 0.12 cuts a payload at the window and takes the FIN behind it nevertheless.
        if packet.has(FIN) && ahead(packet.sequence.wrapping_add(packet.len()), self.edge) > 0 {
            packet.flags &= !FIN;
        }
        self.device
            .arrived
            .push_back(wire::build(&packet, CLIENT_PORT));
        self.run(now, out);
    }

    fn poll(&mut self, now: Time, out: &mut Vec<ServerPacket>) {
        self.run(now, out);
    }

    fn act(&mut self, action: &Action, now: Time, out: &mut Vec<ServerPacket>) {
        if !self.is_open {
            return;
        }
        let socket = self.sockets.get_mut::<Socket<'_>>(self.socket);
        match action {
            Action::Read => self.is_paused = false,
            Action::Pause => self.is_paused = true,
            Action::Write(bytes) => {
                // A socket that was shut down takes nothing, which is no concern of ours.
                let _ = socket.send_slice(bytes);
            }
            Action::Shutdown => socket.close(),
            Action::Close => {
                if let Some(connection) = self.connections.last_mut() {
                    connection.finish(End::Reset, now);
                }
                self.is_orphan = true;
                self.is_paused = false;
                socket.close();
            }
            Action::Abort => socket.abort(),
        }
        self.run(now, out);
    }

    fn connections(&self) -> &[Connection] {
        &self.connections
    }
}

fn listening(buffer: usize) -> Socket<'static> {
    let mut socket = Socket::new(
        SocketBuffer::new(vec![0; buffer]),
        SocketBuffer::new(vec![0; 4096]),
    );
    socket.set_ack_delay(None);
    // What the application writes goes out when it is written.
    socket.set_nagle_enabled(false);
    socket.listen(wire::PORT).expect("the port is not zero");
    socket
}

impl std::fmt::Debug for Smol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smol")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// What the interface is on: packets that wait to be read, and such as were sent.
#[derive(Default)]
struct Wire {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Sent<'_>)> {
        let packet = self.arrived.pop_front()?;
        Some((Arrived(packet), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 65_535;
        capabilities
    }
}

struct Arrived(Vec<u8>);

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}
