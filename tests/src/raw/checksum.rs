//! The Internet checksum (RFC 1071).

use std::net::{IpAddr, SocketAddr};

/// Over these parts as if they stood one behind the other; all but the last are of even length.
pub(super) fn internet(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for word in part.chunks(2) {
            let low = word.get(1).copied().unwrap_or_default();
            sum += u32::from(u16::from_be_bytes([word[0], low]));
        }
        sum = (sum & 0xffff) + (sum >> 16);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded")
}

/// Of a TCP segment with an empty checksum field.
pub(super) fn tcp(from: SocketAddr, to: SocketAddr, segment: &[u8]) -> u16 {
    let mut pseudo = Vec::with_capacity(40);
    for address in [from.ip(), to.ip()] {
        match address {
            IpAddr::V4(address) => pseudo.extend(address.octets()),
            IpAddr::V6(address) => pseudo.extend(address.octets()),
        }
    }
    let length = u32::try_from(segment.len()).expect("a frame's length");
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, 6]);
    internet(&[&pseudo, segment])
}

#[cfg(test)]
mod tests {
    use super::internet;

    #[test]
    fn a_sum_with_its_checksum_is_zero() {
        // RFC 1071, section 3, and an odd byte.
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet(&[&data]), !0xddf2);
        assert_eq!(internet(&[&data[..2], &data[2..]]), !0xddf2);
        assert_eq!(internet(&[&[0xff, 0xff], &[1]]), !0x0100);
    }
}
