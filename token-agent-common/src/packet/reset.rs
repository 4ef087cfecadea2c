//! A RST that answers a segment (RFC 9293, section 3.10.7.1), to be put in the segment's place.

use super::Segment;
use crate::abi::FlowKey;

/// Length of a TCP header without options, in bytes, and its protocol's number.
const TCP: u32 = 20;
const PROTOCOL: u32 = super::TCP as u32;

const TTL: u32 = 64;
const DO_NOT_FRAGMENT: u32 = 1 << 14;
const RST: u32 = 1 << 2;

/// Words of the longest one, with IPv6.
const WORDS: usize = 15;

/// The answer, from its IP header on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct Reset {
    /// As they lie in memory.
    words: [u32; WORDS],
    /// How many bytes it has.
    pub len: u32,
}

impl Reset {
    /// None.
    pub const NONE: Self = Self {
        words: [0; WORDS],
        len: 0,
    };

    /// Its bytes, and some more.
    #[cfg(test)]
    const fn words(&self) -> &[u32; WORDS] {
        &self.words
    }

    /// Becomes the answer to `segment`, which acknowledges something. False if there are options or extension
    /// headers before its TCP header: the answer has none, and would not stand where that does.
    #[inline(always)]
    pub const fn answer(&mut self, segment: &Segment) -> bool {
        let FlowKey { client, server, .. } = &segment.flow;
        let (to, from) = (client.quarters(), server.quarters());
        let mut sum = Sum(0);
        if server.is_ipv4() {
            const FIRST: u32 = (0x45 << 24) + 20 + TCP;
            const THIRD: u32 = (TTL << 24) + (PROTOCOL << 16);
            sum.add(u32::from_be(from[3]));
            sum.add(u32::from_be(to[3]));
            let mut header = sum;
            header.add(FIRST);
            header.add(DO_NOT_FRAGMENT);
            header.add(THIRD);
            self.words[0] = FIRST.to_be();
            self.words[1] = DO_NOT_FRAGMENT.to_be();
            self.words[2] = (THIRD + header.missing()).to_be();
            self.words[3] = from[3];
            self.words[4] = to[3];
            self.len = 20 + TCP;
        } else {
            self.words[0] = (6_u32 << 28).to_be();
            self.words[1] = ((TCP << 16) + (PROTOCOL << 8) + TTL).to_be();
            let mut i = 0;
            while i < 4 {
                sum.add(u32::from_be(from[i]));
                sum.add(u32::from_be(to[i]));
                self.words[2 + i] = from[i];
                self.words[6 + i] = to[i];
                i += 1;
            }
            self.len = 40 + TCP;
        }
        sum.add(PROTOCOL + TCP);
        let tcp = header(segment, sum);
        let mut i = 0;
        while i < tcp.len() {
            if server.is_ipv4() {
                self.words[5 + i] = tcp[i].to_be();
            } else {
                self.words[10 + i] = tcp[i].to_be();
            }
            i += 1;
        }
        segment.network + self.len == segment.options
    }
}

/// The TCP header, given the sum of the pseudo header.
///
/// Where the sender's host leaves checksums to its network card, the kernel will put the one's complement of the
/// header's sum into the checksum's field, which then has to hold the sum of the pseudo header; elsewhere the field is left alone.
/// Which it is a program cannot tell. The window means nothing here, so it is chosen so that both are the same.
#[inline(always)]
const fn header(segment: &Segment, pseudo: Sum) -> [u32; 5] {
    let FlowKey {
        client_port,
        server_port,
        ..
    } = segment.flow;
    let ports = (server_port as u32) << 16 | client_port as u32;
    let sequence = segment.acknowledgment;
    let flags = (TCP / 4) << 28 | RST << 16;
    let mut sum = pseudo;
    sum.add(pseudo.folded());
    sum.add(ports);
    sum.add(sequence);
    sum.add(flags);
    [
        ports,
        sequence,
        0,
        flags | sum.missing(),
        pseudo.folded() << 16,
    ]
}

/// A sum of 16-bit words (RFC 1071).
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    /// Adds both halves.
    #[inline(always)]
    const fn add(&mut self, word: u32) {
        self.0 += (word >> 16) as u64 + (word & 0xffff) as u64;
    }

    /// In 16 bits, the carries added in.
    #[inline(always)]
    const fn folded(self) -> u32 {
        let once = (self.0 & 0xffff) + (self.0 >> 16);
        ((once & 0xffff) + (once >> 16)) as u32
    }

    /// What makes it all ones.
    #[inline(always)]
    const fn missing(self) -> u32 {
        0xffff - self.folded()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        abi::Address,
        packet::{Frame, Headers, flag},
    };

    fn sum(bytes: &[u8]) -> u32 {
        let mut sum = Sum(0);
        for pair in bytes.as_chunks::<2>().0 {
            sum.add(u32::from(u16::from_be_bytes(*pair)));
        }
        sum.folded()
    }

    fn segment(
        client: Address,
        server: Address,
        ports: (u16, u16),
        numbers: (u32, u32),
    ) -> Segment {
        let mut segment = Segment::NONE;
        segment.flow.client = client;
        segment.flow.server = server;
        (segment.flow.client_port, segment.flow.server_port) = ports;
        (segment.sequence, segment.acknowledgment) = numbers;
        segment.network = 14;
        segment.options = 14 + if server.is_ipv4() { 40 } else { 60 };
        segment
    }

    fn is_right(segment: &Segment) {
        let mut reset = Reset::NONE;
        assert!(reset.answer(segment));
        let bytes: Vec<u8> = reset
            .words()
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let bytes = &bytes[..reset.len as usize];
        let (ip, tcp) = bytes.split_at(bytes.len() - 20);
        let is_ipv4 = segment.flow.server.is_ipv4();
        let addresses = if is_ipv4 {
            assert_eq!(sum(ip), 0xffff, "the IP header's checksum");
            &ip[12..]
        } else {
            &ip[8..]
        };
        let pseudo = [addresses, &[0, 6, 0, 20]].concat();
        assert_eq!(sum(&[&pseudo[..], tcp].concat()), 0xffff, "the checksum");
        let field = u32::from(u16::from_be_bytes([tcp[16], tcp[17]]));
        assert_eq!(
            field,
            0xffff - sum(tcp),
            "what a network card would put there"
        );

        let ethertype: [u8; 2] = if is_ipv4 { [8, 0] } else { [0x86, 0xdd] };
        let frame = [&[0; 12], &ethertype[..], bytes].concat();
        let mut headers = Headers::new();
        headers.fill(&frame);
        let mut read = Segment::NONE;
        assert_eq!(headers.frame(frame.len() as u32, &mut read), Frame::Tcp);
        read.turn_round();
        assert_eq!(read.flow, segment.flow);
        assert_eq!(read.sequence, segment.acknowledgment);
        assert_eq!((read.flags, read.len), (flag::RST, 0));
    }

    proptest! {
        #[test]
        fn every_answer_is_right(
            client: [u8; 16], server: [u8; 16], ports: (u16, u16), numbers: (u32, u32), is_ipv4: bool,
        ) {
            let address = |octets: [u8; 16]| if is_ipv4 {
                Address::ipv4(u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]))
            } else {
                Address::new(octets)
            };
            is_right(&segment(address(client), address(server), ports, numbers));
        }
    }

    #[test]
    fn options_before_the_segment_are_not_answered() {
        let mut segment = segment(Address::ipv4(1), Address::ipv4(2), (1, 2), (3, 4));
        is_right(&segment);
        segment.options += 4;
        let mut reset = Reset::NONE;
        assert!(!reset.answer(&segment));
    }
}
