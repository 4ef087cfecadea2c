//! Chunked bodies.

use token_agent_common::{
    http1::{CHUNK_LINE_MAX, CHUNK_MAX, HEAD_MAX},
    reason::Reason::{self, DuplicateCredential, HeadTooLong, Malformed},
};

use crate::{
    denied_behind_one, follow, told,
    told::{End, digest},
    whole,
};

const HEAD: &str = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nAuthorization: Bearer next\r\n\r\n";

/// Fails unless `body` is a body, with its data at these places of it, and `NEXT` is read behind it.
fn is_body(body: &str, data: &[(usize, usize)]) {
    let told = whole(format!("{HEAD}{body}{NEXT}"), 0);
    let data: Vec<_> = data
        .iter()
        .map(|(start, len)| (HEAD.len() + start, *len))
        .collect();
    assert_eq!(told.opaque, data, "{body:?}");
    assert_eq!(told.requests.len(), 2, "{body:?}");
    assert!(told.requests[0].is_chunked);
    assert_eq!(told.requests[1].credential, Ok(digest(b"next")), "{body:?}");
}

fn is_denied(body: &str, reason: Reason) {
    denied_behind_one(&format!("{HEAD}{body}{NEXT}"), 0, reason);
}

#[test]
fn chunks_are_measured_to_the_byte() {
    is_body("0\r\n\r\n", &[]);
    is_body("1\r\nx\r\n0\r\n\r\n", &[(3, 1)]);
    is_body("00\r\n\r\n", &[]);
    is_body("5\r\nhello\r\n000\r\n\r\n", &[(3, 5)]);
    is_body(
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        &[(3, 10), (18, 10)],
    );
    is_body(
        "1f\r\nGET / HTTP/1.1\r\nHost: evil\r\n\r\nx\r\n0\r\n\r\n",
        &[(4, 31)],
    );
    is_body("3\r\n\r\n0\r\n0\r\n\r\n", &[(3, 3)]);
    let zeros = "0".repeat(60);
    is_body(&format!("{zeros}5\r\nhello\r\n{zeros}\r\n\r\n"), &[(63, 5)]);
    let data = "0\r\n\r\n".repeat(1000);
    is_body(&format!("1388\r\n{data}\r\n0\r\n\r\n"), &[(6, 5000)]);
}

#[test]
fn extensions_are_passed_over() {
    for extension in [
        ";",
        ";a",
        ";a=b",
        ";a=\"b;c\"",
        "; a = b ",
        ";\ta",
        ";;",
        ";\u{e9}\u{ff}",
        ";chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    ] {
        let at = 1 + extension.len() + 2;
        is_body(
            &format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n"),
            &[(at, 5)],
        );
    }
}

#[test]
fn trailers_are_passed_over() {
    for trailers in [
        "Digest: x\r\n",
        "X-Authorization: Bearer REVOKED\r\n",
        "Upgrade: websocket\r\nExpect: x\r\nUpgrade: h2c\r\nConnection: close\r\n",
        "Empty:\r\nA_b: \t\r\n",
        "Host: GET / HTTP/1.1\r\n",
    ] {
        is_body(&format!("0\r\n{trailers}\r\n"), &[]);
        is_body(&format!("2\r\nab\r\n0;x\r\n{trailers}\r\n"), &[(3, 2)]);
    }
    let many = "Trailer: of more than a few bytes\r\n".repeat(1000);
    is_body(&format!("0\r\n{many}\r\n"), &[]);
}

#[test]
fn frames_servers_read_differently_are_denied() {
    for line in [
        "",
        " 5",
        "\t5",
        "5 ",
        "5\t",
        "5 ;a",
        "5\t;a",
        ";a",
        "+5",
        "-5",
        "-0",
        "0x5",
        "5h",
        "g",
        "5,5",
        "5.",
        "5\n",
        "5\r",
        "5\rX",
        "5;a\n",
        "5;a\r",
        "5;a\rb",
        "5;\"\r\n\"",
        "5;a\0",
        "5;\x0b",
        "5;a\x7f",
        "\"5\"",
        "5_0",
        "\u{ff15}",
        "5\0",
        "80000000",
        "7fffffff0",
        "ffffffffffffffff",
        "10000000000000005",
    ] {
        is_denied(&format!("{line}\r\nhello\r\n0\r\n\r\n"), Malformed);
    }
    for end in [
        "\n", "\r", "", "X\r\n", "\r\r\n", "\n\r\n", "\r\n\r\n", "\r\n ",
    ] {
        if end != "\r\n\r\n" && end != "\r\n " {
            is_denied(&format!("5\r\nhello{end}0\r\n\r\n"), Malformed);
        } else {
            is_denied(
                &format!("5\r\nhello{end}5\r\nhello\r\n0\r\n\r\n"),
                Malformed,
            );
        }
    }
    for end in [
        "\r\n\r\n",
        ";\r\n\r\n",
        "0\r\n\n",
        "0\n\r\n",
        "0\r\n\rX",
        "0\r\n\0\r\n",
        "0 \r\n\r\n",
        "0\r\r\n\r\n",
    ] {
        is_denied(&format!("5\r\nhello\r\n{end}"), Malformed);
    }
}

#[test]
fn trailers_servers_merge_or_read_differently_are_denied() {
    for (trailer, reason) in [
        ("Authorization: Bearer x", DuplicateCredential),
        ("authorization:", DuplicateCredential),
        ("AUTHORIZATION: Basic x", DuplicateCredential),
        ("Content-Length: 5", Malformed),
        ("content_length: 5", Malformed),
        ("Transfer-Encoding: chunked", Malformed),
        ("Transfer_Encoding: x", Malformed),
        ("transfer-encoding:", Malformed),
        (" X: y", Malformed),
        ("X: y\r\n z", Malformed),
        ("X : y", Malformed),
        ("X", Malformed),
        (": y", Malformed),
        ("X: y\nZ: z", Malformed),
        ("X: y\rZ: z", Malformed),
        ("X: \0", Malformed),
        ("GET / HTTP/1.1", Malformed),
    ] {
        is_denied(&format!("0\r\n{trailer}\r\n\r\n"), reason);
        is_denied(&format!("0\r\nA: b\r\n{trailer}\r\n\r\n"), reason);
    }
    for trailer in ["X_Api_Key: x", "x-api-key: x", "X-API_KEY:"] {
        let stream = format!("{HEAD}0\r\n{trailer}\r\n\r\n");
        let told = follow(stream.as_bytes(), told::API_KEY, 0);
        assert_eq!(told.end, End::Denied(DuplicateCredential), "{trailer}");
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let line = |len: usize| {
        let extension = "x".repeat(len - 2);
        format!("0;{extension}\r\n\r\n")
    };
    is_body(&line(CHUNK_LINE_MAX as usize), &[]);
    is_denied(&line(CHUNK_LINE_MAX as usize + 1), Malformed);
    let zeros = |len: usize| format!("{}\r\n\r\n", "0".repeat(len));
    is_body(&zeros(CHUNK_LINE_MAX as usize), &[]);
    is_denied(&zeros(CHUNK_LINE_MAX as usize + 1), Malformed);

    // Each line has the whole limit.
    let chunk = format!("1;{}\r\nx\r\n", "x".repeat(3000));
    is_body(&format!("{chunk}{chunk}0\r\n\r\n"), &[(3004, 1), (6011, 1)]);

    let trailers = |len: usize| {
        let value = "y".repeat(len - "X: \r\n\r\n".len());
        format!("0\r\nX: {value}\r\n\r\n")
    };
    is_body(&trailers(HEAD_MAX as usize), &[]);
    is_denied(&trailers(HEAD_MAX as usize + 1), HeadTooLong);

    for (size, end) in [
        (CHUNK_MAX, End::Opaque(CHUNK_MAX - 4)),
        (CHUNK_MAX + 1, End::Denied(Malformed)),
    ] {
        let told = crate::bearer(format!("{HEAD}{size:x}\r\nhell"), 0);
        assert_eq!(told.end, end, "{size:x}");
    }
}

#[test]
fn a_stream_may_end_in_data_and_between_requests_only() {
    let body = "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
    let stream = format!("{HEAD}{body}");
    for len in 1..stream.len() {
        let told = crate::bearer(&stream[..len], 0);
        let into_data = len as i64 - (HEAD.len() + 7) as i64;
        let expected = match into_data {
            0..5 => End::Opaque(5 - into_data as u64),
            _ => End::Deciding,
        };
        assert_eq!(told.end, expected, "{len} bytes");
    }
}
