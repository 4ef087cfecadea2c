//! Ethernet frames, built byte by byte.

use std::net::IpAddr;

/// A TCP segment in a frame, to be changed before it is built.
#[derive(Clone, Debug)]
pub struct Frame {
    /// VLAN tag protocol identifiers, outermost first.
    pub vlans: Vec<u16>,
    /// Source address.
    pub client: IpAddr,
    /// Destination address, of the same family.
    pub server: IpAddr,
    /// Source port.
    pub client_port: u16,
    /// Destination port.
    pub server_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledgment: u32,
    /// TCP flags.
    pub flags: u8,
    /// What the segment carries.
    pub payload: Vec<u8>,
}

/// ACK and PSH.
pub const DATA: u8 = 0x18;
/// ACK.
pub const ACK: u8 = 0x10;
/// FIN.
pub const FIN: u8 = 0x01;
/// RST.
pub const RST: u8 = 0x04;
/// SYN.
pub const SYN: u8 = 0x02;
/// URG.
pub const URG: u8 = 0x20;

impl Frame {
    /// A data segment from some client to `server` at `port`.
    #[must_use]
    pub fn new(server: IpAddr, port: u16, payload: impl Into<Vec<u8>>) -> Self {
        let client = match server {
            IpAddr::V4(_) => IpAddr::from([192, 0, 2, 9]),
            IpAddr::V6(_) => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9]),
        };
        Self {
            vlans: Vec::new(),
            client,
            server,
            client_port: 40_000,
            server_port: port,
            sequence: 1_000,
            acknowledgment: 1,
            flags: DATA,
            payload: payload.into(),
        }
    }

    /// The frame's bytes. Checksums are left empty, as they are on `lo` and veth.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        for tag in &self.vlans {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 5]);
        }
        let length = 20 + self.payload.len();
        match (self.client, self.server) {
            (IpAddr::V4(client), IpAddr::V4(server)) => {
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend(u16::try_from(length + 20).expect("it fits").to_be_bytes());
                frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
                frame.extend(client.octets());
                frame.extend(server.octets());
            }
            (IpAddr::V6(client), IpAddr::V6(server)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(u16::try_from(length).expect("it fits").to_be_bytes());
                frame.extend([6, 64]);
                frame.extend(client.octets());
                frame.extend(server.octets());
            }
            _ => panic!("client and server are of one family"),
        }
        frame.extend(self.client_port.to_be_bytes());
        frame.extend(self.server_port.to_be_bytes());
        frame.extend(self.sequence.to_be_bytes());
        frame.extend(self.acknowledgment.to_be_bytes());
        frame.extend([5 << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(&self.payload);
        frame
    }
}
