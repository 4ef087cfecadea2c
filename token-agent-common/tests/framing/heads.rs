//! Heads, and bodies of known length between them.

use token_agent_common::{
    http1::{CONTENT_LENGTH_MAX, CREDENTIAL_MAX, HEAD_MAX, METHOD_MAX},
    reason::Reason::{CredentialTooLong, HeadTooLong, Malformed, UnsupportedProtocol},
};

use crate::{
    bearer, denied, denied_behind_one,
    told::{End, digest},
    whole,
};

fn request(start: &str, lines: &str) -> String {
    format!("{start} HTTP/1.1\r\n{lines}\r\n")
}

#[test]
fn bodies_are_measured_to_the_byte() {
    let bait = request("GET /bait", "Authorization: Bearer bait\r\n");
    for body in [
        "",
        "x",
        "\r\n",
        &bait,
        &bait.repeat(100),
        &bait[..bait.len() - 1],
    ] {
        let head = request("POST /", &format!("Content-Length: {}\r\n", body.len()));
        let next = request("GET /", "Authorization: Bearer next\r\n");
        let told = whole(format!("{head}{body}\r\n{next}"), 0);
        let opaque = [(head.len(), body.len())];
        assert_eq!(
            told.opaque,
            if body.is_empty() {
                &opaque[..0]
            } else {
                &opaque
            }
        );
        assert_eq!(told.requests.len(), 2);
        assert_eq!(told.requests[1].credential, Ok(digest(b"next")));
        denied_behind_one(&format!("{head}{body}\n{next}"), 0, Malformed);
        denied_behind_one(&format!("{head}{body}\0{next}"), 0, Malformed);
        denied_behind_one(&format!("{head}{body} {next}"), 0, Malformed);
    }
}

#[test]
fn lengths_up_to_the_limit() {
    for (length, end) in [
        ("5368709120", End::Opaque(5_368_709_120)),
        ("00000000000000000000000000000000007", End::Opaque(7)),
        ("9223372036854775807", End::Opaque(CONTENT_LENGTH_MAX)),
        ("9223372036854775808", End::Denied(Malformed)),
        ("9223372036854775810", End::Denied(Malformed)),
        ("18446744073709551621", End::Denied(Malformed)),
    ] {
        let told = bearer(
            request("PUT /", &format!("Content-Length: {length}\r\n")),
            0,
        );
        assert_eq!(told.end, end, "{length}");
    }
}

/// Each line alone, and before what is known to be ordinary.
#[test]
fn what_servers_read_differently_is_denied() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: chunkedchunked\r\n",
        "Transfer-Encoding: c\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer_Encoding: chunked\r\n",
        "transfer_encoding: x\r\n",
        "Content_Length: 0\r\n",
        "Authorization\0: Bearer x\r\n",
        "Authorization : Bearer x\r\n",
        "Authorization: Bearer\r\n x\r\n",
        "X: y\r\n\tz\r\n",
        "X: y\rz\r\n",
        "X: y\nz: a\r\n",
        "X: \0\r\n",
        "X\r\n",
        " X: y\r\n",
    ] {
        denied(request("POST /", lines), 0, Malformed);
        denied(
            request("POST /", &format!("Host: a\r\n{lines}X: y\r\n")),
            0,
            Malformed,
        );
        let first = request("GET /", "");
        denied_behind_one(
            &format!("{first}{}", request("POST /", lines)),
            0,
            Malformed,
        );
    }
    denied(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        0,
        Malformed,
    );
}

#[test]
fn other_protocols() {
    denied("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, UnsupportedProtocol);
    denied("GET / HTTP/2.0\r\n\r\n", 0, UnsupportedProtocol);
    denied(
        "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        0,
        UnsupportedProtocol,
    );
    let preface = format!("{}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", request("GET /", ""));
    denied_behind_one(&preface, 0, UnsupportedProtocol);
    for stream in [
        "\x16\x03\x01\x02\0\x01\0",
        "SSH-2.0-x\r\n",
        "GET /\r\n\r\n",
        "\0",
    ] {
        denied(stream, 0, Malformed);
    }
}

#[test]
fn what_is_ordinary() {
    for start in [
        "OPTIONS *",
        "GET http://user@host:80/path?query",
        "BASELINE-CONTROL /",
        "UPDATEREDIRECTREF /",
        "!#$%&'*+-.^_`|~0aZ /",
        &format!("{} /", "M".repeat(METHOD_MAX as usize)),
        &format!("GET /{}", "x".repeat(30_000)),
    ] {
        let told = whole(request(start, "Authorization: Bearer abc\r\n"), 0);
        assert_eq!(told.requests[0].credential, Ok(digest(b"abc")), "{start}");
    }
    denied(
        request(&format!("{} /", "M".repeat(METHOD_MAX as usize + 1)), ""),
        0,
        Malformed,
    );
}

#[test]
fn credentials_and_heads_up_to_the_limit() {
    for (len, is_read) in [
        (CREDENTIAL_MAX as usize, true),
        (CREDENTIAL_MAX as usize + 1, false),
    ] {
        let token = "k".repeat(len);
        let credential = format!("Authorization: Bearer {token}\r\n");
        let cookie = format!("Cookie: {}\r\n", "c".repeat(7_500));
        // The credential first, in the middle, and last.
        for place in [0, 2, 4] {
            let lines = [
                cookie.repeat(place),
                credential.clone(),
                cookie.repeat(4 - place),
            ];
            let stream = request("GET /", &lines.concat());
            assert!(stream.len() > 32_768);
            let expected = if is_read {
                Ok(digest(token.as_bytes()))
            } else {
                Err(CredentialTooLong)
            };
            assert_eq!(whole(&stream, 0).requests[0].credential, expected);
        }
    }
    let head = |len: usize| {
        let rest = len - request("GET /", "X: \r\n").len();
        request("GET /", &format!("X: {}\r\n", "x".repeat(rest)))
    };
    whole(head(HEAD_MAX as usize), 0);
    denied(head(HEAD_MAX as usize + 1), 0, HeadTooLong);
    // Each head has the whole limit, and line ends before it are not of it.
    whole(head(HEAD_MAX as usize).repeat(2), 0);
    whole(
        format!("{}{}", "\r\n".repeat(40_000), head(HEAD_MAX as usize)),
        0,
    );
}
