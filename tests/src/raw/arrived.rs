//! What the server sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{flags::SYN, options};

/// A TCP segment from the server.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgment number.
    pub acknowledged: u32,
    /// See [`flags`](super::flags).
    pub flags: u8,
    /// The window, unscaled.
    pub window: u16,
    /// What it carries.
    pub payload: Vec<u8>,
    options: Vec<u8>,
}

impl Arrived {
    /// Reads a frame; gives also whom it is for. None if it holds no TCP.
    pub(super) fn read(frame: &[u8]) -> Option<(SocketAddr, Self)> {
        let packet = frame.get(14..)?;
        let (to, segment): (IpAddr, _) = match (frame[12], frame[13]) {
            (0x08, 0x00) => {
                let header = 4 * usize::from(packet.first()? & 0xf);
                let total = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
                if packet.get(9) != Some(&6) {
                    return None;
                }
                let to: [u8; 4] = *packet.get(16..)?.first_chunk()?;
                // A length of 0 stands in packets too long for the field.
                let end = if total == 0 { packet.len() } else { total };
                (Ipv4Addr::from(to).into(), packet.get(header..end)?)
            }
            (0x86, 0xdd) => {
                if packet.get(6) != Some(&6) {
                    return None;
                }
                let to: [u8; 16] = *packet.get(24..)?.first_chunk()?;
                let length = usize::from(u16::from_be_bytes(*packet.get(4..)?.first_chunk()?));
                let end = if length == 0 {
                    packet.len()
                } else {
                    40 + length
                };
                (Ipv6Addr::from(to).into(), packet.get(40..end)?)
            }
            _ => return None,
        };
        let word = |at: usize| Some(u32::from_be_bytes(*segment.get(at..)?.first_chunk()?));
        let half = |at: usize| Some(u16::from_be_bytes(*segment.get(at..)?.first_chunk()?));
        let header = 4 * usize::from(segment.get(12)? >> 4);
        let arrived = Self {
            sequence: word(4)?,
            acknowledged: word(8)?,
            flags: *segment.get(13)?,
            window: half(14)?,
            options: segment.get(20..header)?.to_vec(),
            payload: segment.get(header..)?.to_vec(),
        };
        Some((SocketAddr::new(to, half(2)?), arrived))
    }

    /// Whether all of these flags are set.
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// What it holds in an option of this kind.
    #[must_use]
    pub fn option(&self, kind: u8) -> Option<&[u8]> {
        options::find(&self.options, kind)
    }

    /// The sequence number behind it.
    pub(super) fn end(&self) -> u32 {
        let length = u32::try_from(self.payload.len()).expect("a frame's length");
        self.sequence
            .wrapping_add(length)
            .wrapping_add(u32::from(self.has(SYN)))
    }
}
