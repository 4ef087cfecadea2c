extern crate std;

mod generated;

use std::{format, string::String};

use super::*;

const KEY: [u8; 32] = [7; 32];

fn bearer() -> CredentialRule {
    CredentialRule::new(
        Name::new("authorization").unwrap(),
        Name::new("bearer").unwrap(),
        Charset::B64Token,
    )
}

fn api_key() -> CredentialRule {
    CredentialRule::new(
        Name::new("x-api-key").unwrap(),
        Name::EMPTY,
        Charset::Visible,
    )
}

/// A completed head.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Read {
    /// Bytes of the head, leading CRLFs included.
    len: usize,
    credential: Result<[u8; 16], Reason>,
    content_length: u64,
    chunked: bool,
    method: [u8; 8],
}

/// Reads one head, the input cut after every `cut` bytes. `Ok(None)`: more bytes are needed.
fn read(bytes: &[u8], rule: &CredentialRule, cut: usize) -> Result<Option<Read>, Reason> {
    let key = KeyWords::new(&KEY);
    let rules = Rules {
        credential: rule,
        key: &key,
        options: 0,
    };
    let mut window = Window::new();
    let mut head = Head::new(&key);
    let mut len = 0;
    let mut idle = false;
    for piece in bytes.chunks(cut.min(480)) {
        // What lies behind the piece's end, but for the zero there, is never looked at.
        let mut padded = piece.to_vec();
        padded.extend_from_slice(b"\0\r\n\r\n: = AAAA\r\n\r\n");
        window.fill(&padded);
        let mut cursor = Cursor {
            at: 0,
            end: piece.len() as u32,
        };
        while cursor.at < cursor.end {
            let start = cursor.at;
            head.read(&window, &mut cursor, &rules)?;
            let used = cursor.at - start;
            assert!(cursor.at <= cursor.end, "consumed too much");
            assert!(used > 0 || !idle, "two steps without progress");
            idle = used == 0;
            while head.is_hashing() {
                head.hash();
            }
            len += used as usize;
            if head.is_complete() {
                head.finish();
                while head.is_hashing() {
                    head.hash();
                }
                return Ok(Some(Read {
                    len,
                    content_length: head.content_length(),
                    chunked: head.is_chunked(),
                    method: head.method(),
                    credential: head.credential().map(|digest| *digest.as_bytes()),
                }));
            }
        }
    }
    Ok(None)
}

fn digest(token: &str) -> Result<[u8; 16], Reason> {
    Ok(*blake3::keyed_hash(&KEY, token.as_bytes())
        .as_bytes()
        .first_chunk()
        .unwrap())
}

/// The credential, read whole and at many cuts, which must make no difference.
fn credential_of(raw: &str, rule: &CredentialRule) -> Result<[u8; 16], Reason> {
    let whole = read(raw.as_bytes(), rule, usize::MAX);
    for cut in 1..=raw.len().min(80) {
        assert_eq!(
            read(raw.as_bytes(), rule, cut),
            whole,
            "{raw:?} cut every {cut}"
        );
    }
    whole?.expect("the head is complete").credential
}

fn get(field_lines: &str) -> String {
    format!("GET /v1/x?y=z HTTP/1.1\r\nHost: a\r\n{field_lines}\r\n")
}

#[test]
fn finds_the_credential_however_it_is_spelled() {
    for line in [
        "Authorization: Bearer tok~en+/._-9==",
        "authorization: Bearer tok~en+/._-9==",
        "AUTHORIZATION: Bearer tok~en+/._-9==",
        "Authorization:Bearer tok~en+/._-9==",
        "Authorization:     Bearer tok~en+/._-9==",
        "Authorization:\tBearer tok~en+/._-9==",
        "Authorization: BEARER tok~en+/._-9==",
        "Authorization: bEaReR tok~en+/._-9==",
        "Authorization: Bearer  tok~en+/._-9==",
        "Authorization: Bearer\ttok~en+/._-9==",
        "Authorization: Bearer tok~en+/._-9== \t",
        "X-Authorization: Bearer other\r\nAuthorization: Bearer tok~en+/._-9==\r\nAuthorizationx: Bearer x",
        "Authorizatio: Bearer other\r\nAuthorization: Bearer tok~en+/._-9==\r\nProxy-Authorization: Bearer x",
        "X_Y: z\r\nAuthorization: Bearer tok~en+/._-9==",
        "X: \t\r\nY:\r\nCookie: a=\x20b\tc\r\nAuthorization: Bearer tok~en+/._-9==",
    ] {
        let raw = get(&format!("{line}\r\n"));
        assert_eq!(
            credential_of(&raw, &bearer()),
            digest("tok~en+/._-9=="),
            "{line:?}"
        );
    }
    let spaces = " ".repeat(3000);
    let raw = get(&format!(
        "Authorization:{spaces}Bearer{spaces}abc{spaces}\r\n"
    ));
    assert_eq!(credential_of(&raw, &bearer()), digest("abc"));
    for (line, token) in [
        ("X-API-Key: a,b;c=\"d\"", "a,b;c=\"d\""),
        ("x-api-key:=", "="),
        ("X-Api-Key: ~!\t ", "~!"),
    ] {
        assert_eq!(
            credential_of(&get(&format!("{line}\r\n")), &api_key()),
            digest(token),
            "{line:?}"
        );
    }
}

#[test]
fn finds_the_credential_in_headers_of_any_length() {
    for len in 1..=Name::MAX {
        let header = "k".repeat(len);
        for scheme in ["", "a", "bearer", "Digest-SHA-256"] {
            let rule = CredentialRule::new(
                Name::new(&header).unwrap(),
                Name::new(scheme).unwrap(),
                Charset::B64Token,
            );
            let blank = if scheme.is_empty() { "" } else { " " };
            let line = format!("{}: {scheme}{blank}abc\r\n", header.to_uppercase());
            let others = "Host-x: y\r\n".repeat(3);
            let raw = get(&format!("{others}{line}{others}"));
            assert_eq!(credential_of(&raw, &rule), digest("abc"), "{raw:?}");
            let raw = get(&format!("{line}{others}{line}"));
            let twice = credential_of(&raw, &rule);
            assert_eq!(twice, Err(Reason::DuplicateCredential), "{raw:?}");
        }
    }
}

#[test]
fn tells_why_there_is_no_credential() {
    use Reason::{DuplicateCredential, MalformedToken, Missing};
    for (lines, reason) in [
        ("X: y", Missing),
        ("Authorization:", Missing),
        ("Authorization: \t ", Missing),
        ("Authorization: Bearer", Missing),
        ("Authorization: Bearer ", Missing),
        ("Authorization: Basic dXNlcjpwYXNz", Missing),
        ("Authorization: Token abc", Missing),
        ("Authorization:xBearer abc", Missing),
        ("Authorization: Bearerabc def", Missing),
        ("Authorization: Bear.er abc", Missing),
        ("Author.ization: Bearer abc", Missing),
        ("Authorization: Bearer \"abc\"", MalformedToken),
        ("Authorization: Bearer abc def", MalformedToken),
        ("Authorization: Bearer abc%20", MalformedToken),
        ("Authorization: Bearer =", MalformedToken),
        ("Authorization: Bearer ab=c", MalformedToken),
        ("Authorization: Bearer abc,", MalformedToken),
        ("Authorization: Bearer,abc", MalformedToken),
        ("Authorization: \"Bearer\" abc", MalformedToken),
        ("Authorization: Bearer abc, Bearer def", MalformedToken),
        (
            "Authorization: Bearer abc\r\nAuthorization: Bearer abc",
            DuplicateCredential,
        ),
        (
            "Authorization: Basic abc\r\nX: y\r\nAuthorization: Bearer abc",
            DuplicateCredential,
        ),
        (
            "Authorization: Bearer a b\r\nAuthorization:",
            DuplicateCredential,
        ),
    ] {
        assert_eq!(
            credential_of(&get(&format!("{lines}\r\n")), &bearer()),
            Err(reason),
            "{lines:?}"
        );
    }
    for byte in [0x80u8, 0x85, 0xa0, 0xff] {
        let mut raw = get("Authorization: Bearer abc?\r\n").into_bytes();
        let place = raw.iter().rposition(|b| *b == b'?').unwrap();
        raw[place] = byte;
        let got = read(&raw, &bearer(), usize::MAX)
            .unwrap()
            .unwrap()
            .credential;
        assert_eq!(got, Err(MalformedToken), "{byte:#x}");
    }
    for (lines, reason) in [
        ("X-Api-Key:", Missing),
        ("X-Api-Key: a b", MalformedToken),
        ("X-Api-Key: a\r\nX-API-KEY: a", DuplicateCredential),
        ("Authorization: Bearer abc", Missing),
    ] {
        assert_eq!(
            credential_of(&get(&format!("{lines}\r\n")), &api_key()),
            Err(reason),
            "{lines:?}"
        );
    }
}

#[test]
fn credentials_up_to_the_limit() {
    for (len, accepted) in [(8191, true), (8192, true), (8193, false), (20_000, false)] {
        for tail in ["", "==="] {
            let token = format!("{}{tail}", "k".repeat(len - tail.len()));
            let raw = get(&format!("Authorization: Bearer {token}\r\nX: y\r\n"));
            let expected = if accepted {
                digest(&token)
            } else {
                Err(Reason::CredentialTooLong)
            };
            for cut in [1, 7, 64, 1000, 4000] {
                let got = read(raw.as_bytes(), &bearer(), cut).unwrap().unwrap();
                assert_eq!(got.credential, expected, "{len} cut every {cut}");
                assert_eq!(got.len, raw.len());
            }
        }
    }
}

#[test]
fn refuses_what_servers_read_differently() {
    let fields = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n");
    let cases = [
        // Request line.
        " GET / HTTP/1.1\r\n\r\n".into(),
        "\tGET / HTTP/1.1\r\n\r\n".into(),
        "\0GET / HTTP/1.1\r\n\r\n".into(),
        "\nGET / HTTP/1.1\r\n\r\n".into(),
        "\rGET / HTTP/1.1\r\n\r\n".into(),
        "\r\r\nGET / HTTP/1.1\r\n\r\n".into(),
        "\u{feff}GET / HTTP/1.1\r\n\r\n".into(),
        "GET  / HTTP/1.1\r\n\r\n".into(),
        "GET /  HTTP/1.1\r\n\r\n".into(),
        "GET / HTTP/1.1 \r\n\r\n".into(),
        "GET\t/ HTTP/1.1\r\n\r\n".into(),
        "GET /\tHTTP/1.1\r\n\r\n".into(),
        "GET /\x0bHTTP/1.1\r\n\r\n".into(),
        "GE\0T / HTTP/1.1\r\n\r\n".into(),
        "GET /\0 HTTP/1.1\r\n\r\n".into(),
        "GET / HTTP/1.1\0\r\n\r\n".into(),
        "GET /\r HTTP/1.1\r\n\r\n".into(),
        "GET /\u{85}x HTTP/1.1\r\n\r\n".into(),
        "GET /\x7f HTTP/1.1\r\n\r\n".into(),
        "GET / http/1.1\r\n\r\n".into(),
        "GET / HTTP/01.1\r\n\r\n".into(),
        "GET / HTTP/1.2\r\n\r\n".into(),
        "GET / HTTP/0.9\r\n\r\n".into(),
        "GET / HTTP/1.1x\r\n\r\n".into(),
        "GET /\r\n\r\n".into(),
        "GET /\r\nHost: a\r\n\r\n".into(),
        "GET HTTP/1.1\r\n\r\n".into(),
        "GET  HTTP/1.1\r\n\r\n".into(),
        "GE(T / HTTP/1.1\r\n\r\n".into(),
        "GE:T / HTTP/1.1\r\n\r\n".into(),
        " / HTTP/1.1\r\n\r\n".into(),
        "GET / HTTP/1.1\n\r\n".into(),
        "GET / HTTP/1.1\r\r\n\r\n".into(),
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n\r\n".into(),
        format!("{} / HTTP/1.1\r\n\r\n", "M".repeat(33)),
        // Field lines.
        fields(" Host: a"),
        fields("\tHost: a"),
        fields("Host: a\r\n b"),
        fields("Host: a\r\n\tb"),
        fields("Host : a"),
        fields("Authorization; Bearer abc"),
        fields("Authorization  Bearer abc"),
        fields("Host\t: a"),
        fields("Host"),
        fields(": a"),
        fields("Ho st: a"),
        fields("Ho(st): a"),
        fields("Host\0: a"),
        fields("Host\u{85}: a"),
        fields("X: a\0b"),
        fields("X: a\x0bb"),
        fields("X: a\x0cb"),
        fields("X: a\x7fb"),
        fields("X: a\rb"),
        fields("X: a\nY: b"),
        fields("X: a\r\rY: b"),
        fields("X: a\r\r\nY: b"),
        "GET / HTTP/1.1\r\nX: y\r\n\n".into(),
        "GET / HTTP/1.1\r\nX: y\r\n\r\r\n".into(),
        // The credential's header.
        fields("Authorization: \0Bearer abc"),
        fields("Authorization: \x0cBearer abc"),
        fields("Authorization: Bearer\x0babc"),
        fields("Authorization: Bearer abc\x0b"),
        fields("Authorization: Bearer abc\0"),
        fields("Authorization: Bearer abc\x7f"),
        fields("Authorization: Bearer abc\rX"),
        fields("Authorization: Bearer\r\n abc"),
        fields("Authorization: Bearer abc \x0b"),
        // Framing.
        fields("Content-Length:"),
        fields("Content-Length: "),
        fields("Content-Length: -5"),
        fields("Content-Length: +5"),
        fields("Content-Length: 5, 5"),
        fields("Content-Length: 5 5"),
        fields("Content-Length: 1_0"),
        fields("Content-Length: 0x5"),
        fields("Content-Length: 5;"),
        fields("Content-Length: 5e0"),
        fields("Content-Length: \"5\""),
        fields("Content-Length: 5\x0b"),
        fields("Content-Length: \x0b5"),
        fields("Content-Length: 5\0"),
        fields("Content-Length: \r\n 5"),
        fields("Content-Length: 9223372036854775808"),
        fields("Content-Length: 18446744073709551615"),
        fields("Content-Length: 18446744073709551616"),
        fields("Content-Length: 99999999999999999999"),
        fields("Content-Length: 5\r\nContent-Length: 5"),
        fields("Content-Length: 0\r\nContent-Length: 5"),
        fields("Content_Length: 5"),
        fields("content-length: 5\r\ncontent_length: 5"),
        fields("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        fields("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        fields("Transfer-Encoding:"),
        fields("Transfer-Encoding: xchunked"),
        fields("Transfer-Encoding: chunkedx"),
        fields("Transfer-Encoding: chunk"),
        fields("Transfer-Encoding: identity"),
        fields("Transfer-Encoding: gzip, chunked"),
        fields("Transfer-Encoding: chunked, gzip"),
        fields("Transfer-Encoding: ,chunked"),
        fields("Transfer-Encoding: chunked,"),
        fields("Transfer-Encoding: chunked,chunked"),
        fields("Transfer-Encoding: chunked;p=1"),
        fields("Transfer-Encoding: \"chunked\""),
        fields("Transfer-Encoding: x chunked"),
        fields("Transfer-Encoding: chunked x"),
        fields("Transfer-Encoding: \x0bchunked"),
        fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        fields("Transfer_Encoding: chunked"),
        fields("Transfer-Encoding:: chunked"),
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
    ];
    for raw in &cases {
        for cut in [1, 2, 3, 5, 8, 4000] {
            let got = read(raw.as_bytes(), &bearer(), cut);
            assert_eq!(got, Err(Reason::Malformed), "{raw:?} cut every {cut}");
        }
    }
    for dash in "!#$%&'*+.^_`|~".chars() {
        let folded = get(&format!("X-Api-Key: abc\r\nX{dash}Api{dash}Key: abc\r\n"));
        let got = read(folded.as_bytes(), &api_key(), 3);
        assert_eq!(got, Err(Reason::Malformed), "{dash}");
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(
        read(preface, &bearer(), 5),
        Err(Reason::UnsupportedProtocol)
    );
}

#[test]
fn accepts_what_is_ordinary() {
    for (raw, content_length, chunked, method) in [
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", 0, false, b"GET\0\0\0\0\0"),
        ("get * HTTP/1.0\r\n\r\n", 0, false, b"get\0\0\0\0\0"),
        (
            "M!#$%&'*+-.^_`|~9 http://u@h/ HTTP/1.1\r\n\r\n",
            0,
            false,
            b"M!#$%&'*",
        ),
        (
            "OPTIONS * HTTP/1.1\r\n!#$%&'*+-.^_`|~9: x\r\n\r\n",
            0,
            false,
            b"OPTIONS\0",
        ),
        (
            "POST /#a HTTP/1.1\r\ncontent-length: 5368709120\r\n\r\n",
            5_368_709_120,
            false,
            b"POST\0\0\0\0",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length:0005 \t\r\n\r\n",
            5,
            false,
            b"POST\0\0\0\0",
        ),
        (
            "POST / HTTP/1.1\r\nContent.-Length: 5\r\nTransfer!-Encoding: chunked\r\n\r\n",
            0,
            false,
            b"POST\0\0\0\0",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\n",
            CONTENT_LENGTH_MAX,
            false,
            b"POST\0\0\0\0",
        ),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked \r\n\r\n",
            0,
            true,
            b"PUT\0\0\0\0\0",
        ),
        (
            "PUT / HTTP/1.1\r\ntransfer-encoding:chunked\r\nexpect: 100-continue\r\n\r\n",
            0,
            true,
            b"PUT\0\0\0\0\0",
        ),
    ] {
        for cut in 1..40 {
            let got = read(raw.as_bytes(), &bearer(), cut).unwrap().unwrap();
            assert_eq!(got.len, raw.len(), "{raw:?}");
            assert_eq!(got.content_length, content_length, "{raw:?}");
            assert_eq!(got.chunked, chunked, "{raw:?}");
            assert_eq!(&got.method, method, "{raw:?}");
        }
    }
}

#[test]
fn heads_end_at_the_limit() {
    let filler = "x".repeat(2000);
    let mut raw = String::from("GET / HTTP/1.1\r\n");
    while raw.len() + 2100 < HEAD_MAX as usize {
        raw += &format!("Cookie: {filler}\r\n");
    }
    let rest = HEAD_MAX as usize - raw.len() - "X: \r\n\r\n".len();
    let fits = format!("{raw}X: {}\r\n\r\n", "y".repeat(rest));
    assert_eq!(
        read(fits.as_bytes(), &bearer(), 4000).unwrap().unwrap().len,
        HEAD_MAX as usize
    );
    let over = format!("{raw}X: {}\r\n\r\n", "y".repeat(rest + 1));
    assert_eq!(
        read(over.as_bytes(), &bearer(), 4000),
        Err(Reason::HeadTooLong)
    );
}
