//! Heads nobody thought of.

extern crate std;
use std::{format, vec, vec::Vec};

use proptest::prelude::*;

use super::{Reason, bearer, digest, read};

/// Field lines and bytes that are, or nearly are, what the parser looks for.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![
            &b"Host: a\r\n"[..], b"Authorization: Bearer abc\r\n", b"authorization:bearer x==\r\n",
            b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
            b"X-Long-Name-That-Does-Not-Fit-In-Thirty-Two: v\r\n", b"Cookie: a=b; c=d\r\n",
            b"X_y: \t z \t\r\n", b"Empty:\r\n", b"Utf: \xc3\xa9\xff\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::sample::select(vec![
            &b"\r\n"[..], b"\n", b"\r", b" ", b"\t", b":", b"\0", b"\x7f", b"a", b"Authorization: Bearer ",
            b"Content-Length: ", b"GET / HTTP/1.1\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => Just(b"GET /a/b?c HTTP/1.1\r\n".to_vec()),
        2 => Just(b"POST /a HTTP/1.0\r\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    (line, prop::collection::vec(fragment(), 0..8)).prop_map(|(line, fields)| {
        let mut raw = line;
        raw.extend(fields.concat());
        raw.extend_from_slice(b"\r\n");
        raw
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// What the core accepts, httparse accepts with the same end, method, framing
    /// and credential; and what httparse reads as an ordinary request, the core reads too.
    #[test]
    fn agrees_with_httparse(raw in request()) {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut reference = httparse::Request::new(&mut headers);
        let parsed = reference.parse(&raw);
        match read(&raw, &bearer(), usize::MAX) {
            Ok(Some(got)) => {
                prop_assert_eq!(parsed, Ok(httparse::Status::Complete(got.len)));
                let all = |name: &str| -> Vec<&[u8]> {
                    reference.headers.iter()
                        .filter(|h| h.name.eq_ignore_ascii_case(name))
                        .map(|h| h.value.trim_ascii())
                        .collect()
                };
                let lengths = all("content-length");
                prop_assert!(lengths.len() <= 1);
                let length = lengths.first()
                    .map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap());
                prop_assert_eq!(got.content_length, length);
                prop_assert_eq!(got.chunked, !all("transfer-encoding").is_empty());
                let credentials = all("authorization");
                match credentials[..] {
                    [] => prop_assert_eq!(got.credential, Err(Reason::Missing)),
                    [value] => if let Ok(found) = got.credential {
                        let value = std::str::from_utf8(value).unwrap();
                        prop_assert!(value[..7].eq_ignore_ascii_case("bearer "));
                        prop_assert_eq!(Ok(found), digest(value[7..].trim()));
                    },
                    _ => prop_assert_eq!(got.credential, Err(Reason::DuplicateCredential)),
                }
            }
            Ok(None) => prop_assert_ne!(parsed, Ok(httparse::Status::Complete(raw.len()))),
            Err(_) => {}
        }
    }

    /// Any bytes at any cut: no panic, progress, and one outcome.
    #[test]
    fn cuts_change_nothing(raw in request(), cut in 1usize..50) {
        prop_assert_eq!(read(&raw, &bearer(), cut), read(&raw, &bearer(), usize::MAX));
    }

    /// Well-formed requests are all read, whole.
    #[test]
    fn reads_every_well_formed_request(
        method in "[A-Za-z!#$%&'*+.^_`|~-]{1,32}",
        target in "[!-~]{1,300}",
        minor in 0..2u8,
        fields in prop::collection::vec(("[A-Za-z0-9!#$%&'*+.^`|~-]{1,60}", "[ -~\\t\\u{80}-\\u{ff}]{0,200}"), 0..20),
        token in "[A-Za-z0-9._~+/-]{1,200}={0,3}",
    ) {
        let mut raw = format!("{method} {target} HTTP/1.{minor}\r\n");
        for (name, value) in &fields {
            let special = ["authorization", "content-length", "transfer-encoding"];
            if !special.contains(&name.to_ascii_lowercase().as_str()) {
                raw += &format!("{name}:{value}\r\n");
            }
        }
        raw += &format!("Authorization: Bearer {token}\r\n\r\n");
        let got = read(raw.as_bytes(), &bearer(), usize::MAX).unwrap().unwrap();
        prop_assert_eq!(got.len, raw.len());
        prop_assert_eq!(got.credential, digest(&token));
    }
}
