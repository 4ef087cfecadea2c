//! The header of the PROXY protocol.

use token_agent_common::{
    http1::{PROXY_V1_MAX, PROXY_V2_MAX, option::PROXY_PROTOCOL},
    reason::Reason::Malformed,
};

use crate::{bearer, denied, told::End, whole};

const NEXT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, payload].concat()
}

fn before_request(header: impl AsRef<[u8]>) -> Vec<u8> {
    [header.as_ref(), NEXT].concat()
}

fn is_header(header: impl AsRef<[u8]>) {
    let stream = before_request(header);
    let told = whole(&stream, PROXY_PROTOCOL);
    assert_eq!(told.requests.len(), 1);
    assert!(told.opaque.is_empty());
    denied(&stream, 0, Malformed);
}

fn is_denied(header: impl AsRef<[u8]>) {
    denied(before_request(header), PROXY_PROTOCOL, Malformed);
}

#[test]
fn version_1() {
    for header in [
        "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
        "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 2\r\n",
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
        "PROXY UNKNOWN what ever it is~\r\n",
    ] {
        is_header(header);
    }
    for header in [
        "",
        "\r\n",
        "PROXY",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1  2\r\n",
        "PROXY TCP4  5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4  1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n",
        "PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 x\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 host 1 2\r\n",
        "PROXY TCP4 1.2.3.\0 5.6.7.8 1 2\r\n",
        "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n",
        "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP44 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN  a\r\n",
        "PROXY UNKNOWN a \r\n",
        "PROXY UNKNOWN a\tb\r\n",
        "PROXY UNKNOWN a\nb\r\n",
        "PROXY UNKNOWN \u{e9}\r\n",
        "PROXY UNKNOWN\n",
        " PROXY UNKNOWN\r\n",
        "\r\nPROXY UNKNOWN\r\n",
        "PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n",
        "PROXY UNKNOWN\r\n\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ] {
        is_denied(header);
    }
    let padded = |len: usize| {
        let padding = "x".repeat(len - "PROXY UNKNOWN \r\n".len());
        format!("PROXY UNKNOWN {padding}\r\n")
    };
    is_header(padded(PROXY_V1_MAX as usize));
    is_denied(padded(PROXY_V1_MAX as usize + 1));
}

#[test]
fn version_2() {
    for header in [
        v2(0x20, 0x00, b""),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x11, &[7; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x21, &[b'\r'; 36]),
        v2(0x21, 0x22, &[7; 36]),
        v2(0x21, 0x31, &[b'\n'; 216]),
        v2(0x20, 0x11, b"GET / HTTP/1.1\r\n\r\n"),
        v2(0x21, 0x11, &[9; 600]),
        v2(0x21, 0x00, &[0xff; PROXY_V2_MAX as usize]),
    ] {
        is_header(header);
    }
    let mut other_signature = v2(0x21, 0x00, b"");
    other_signature[11] = b'\r';
    for header in [
        other_signature,
        v2(0x21, 0x11, &[0; 11]),
        v2(0x20, 0x21, &[0; 35]),
        v2(0x21, 0x32, &[0; 215]),
        v2(0x21, 0x01, &[0; 216]),
        v2(0x21, 0x10, &[0; 216]),
        v2(0x21, 0x13, &[0; 216]),
        v2(0x21, 0x41, &[0; 216]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x31, 0x11, &[0; 12]),
        v2(0x00, 0x11, &[0; 12]),
        v2(0x21, 0x00, &[0; PROXY_V2_MAX as usize + 1]),
        [v2(0x21, 0x00, b""), v2(0x21, 0x00, b"")].concat(),
        [&v2(0x21, 0x00, b"")[..], b"PROXY UNKNOWN\r\n"].concat(),
        b"\r\n\r\n".to_vec(),
    ] {
        is_denied(header);
    }
}

#[test]
fn a_stream_may_end_before_it_or_behind_it() {
    for header in [
        b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".to_vec(),
        v2(0x21, 0x11, &[1; 20]),
    ] {
        for len in 0..=header.len() {
            let expected = if len == 0 || len == header.len() {
                End::Between
            } else {
                End::Deciding
            };
            assert_eq!(bearer(&header[..len], PROXY_PROTOCOL).end, expected);
        }
    }
}
