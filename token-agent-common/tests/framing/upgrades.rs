//! `Upgrade`, `CONNECT`, `Expect`, and bodies where there is to be none.

use token_agent_common::{
    http1::option::{CONNECT, NO_BODY_ON_GET, WEBSOCKET},
    reason::Reason::{self, DuplicateCredential, Malformed, Missing, UpgradeRefused},
};

use crate::{
    bearer, denied, denied_behind_one,
    told::{End, Request, digest},
};

fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\n{lines}Authorization: Bearer abc\r\n\r\n")
}

/// The first request of `stream`, which is all there is but for a body.
fn request(stream: &str, options: u32) -> Request {
    let mut told = bearer(stream, options);
    assert!(!matches!(told.end, End::Denied(_)), "{stream:?}: {told:?}");
    assert_eq!(told.requests.len(), 1, "{stream:?}");
    told.requests.remove(0)
}

fn is_refused(stream: &str, options: u32) {
    let request = request(stream, options);
    assert_eq!(request.credential, Err(UpgradeRefused), "{stream:?}");
    assert!(!request.wants_upgrade, "{stream:?}");
}

#[test]
fn a_websocket_where_it_is_allowed() {
    for line in [
        "Upgrade: websocket\r\n",
        "upgrade:WebSocket\r\n",
        "UPGRADE:  \t WEBSOCKET \t \r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Upgrade: websocket\r\nContent-Length: 0\r\n",
        "Upgrade-Insecure-Requests: 1\r\nUpgrades: h2c\r\nUpgrade: websocket\r\nXUpgrade: x\r\n",
    ] {
        let allowed = request(&get(line), WEBSOCKET);
        assert!(allowed.wants_upgrade, "{line:?}");
        assert_eq!(allowed.credential, Ok(digest(b"abc")));
        is_refused(&get(line), 0);
        is_refused(&get(line), !WEBSOCKET & CONNECT);
    }
    assert!(!request(&get(""), WEBSOCKET).wants_upgrade);
}

#[test]
fn any_other_upgrade_is_refused() {
    for line in [
        "Upgrade: h2c\r\n",
        "Upgrade:\r\n",
        "Upgrade: \t\r\n",
        "Upgrade: web\r\n",
        "Upgrade: websockets\r\n",
        "Upgrade: xwebsocket\r\n",
        "Upgrade: websocket/13\r\n",
        "Upgrade: websocket,\r\n",
        "Upgrade: websocket , h2c\r\n",
        "Upgrade: websocket websocket\r\n",
        "Upgrade: h2c, websocket\r\n",
        "Upgrade: ,websocket\r\n",
        "Upgrade: \"websocket\"\r\n",
        "Upgrade: \u{a0}websocket\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nupgrade:\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nContent-Length: 1\r\n",
        "Content-Length: 00001\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nUpgrade: websocket\r\n",
        "Upgrade: TLS/1.0\r\n",
    ] {
        is_refused(&get(line), WEBSOCKET | CONNECT);
    }
    is_refused(
        "GET / HTTP/1.0\r\nUpgrade: websocket\r\nAuthorization: Bearer abc\r\n\r\n",
        WEBSOCKET,
    );
    is_refused(
        "CONNECT a:1 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        WEBSOCKET | CONNECT,
    );
    for line in [
        "Upgrade: web\0socket\r\n",
        "Upgrade: websocket\0\r\n",
        "Upgrade : websocket\r\n",
        "Upgrade: websocket \r\r\n",
    ] {
        denied(get(line), WEBSOCKET, Malformed);
    }
}

/// A refused request is framed all the same.
#[test]
fn behind_a_refused_upgrade_requests_are_told() {
    let refused = get("Upgrade: h2c\r\nContent-Length: 3\r\n");
    let told = bearer(format!("{refused}GET{}", get("")), 0);
    assert_eq!(told.opaque, [(refused.len(), 3)]);
    assert_eq!(told.requests[1].credential, Ok(digest(b"abc")));
}

#[test]
fn connect_where_it_is_allowed() {
    let connect = |lines: &str| format!("CONNECT a:1 HTTP/1.1\r\n{lines}\r\n");
    let allowed = request(&connect("Authorization: Bearer abc\r\n"), CONNECT);
    assert!(allowed.is_connect);
    assert_eq!(allowed.credential, Ok(digest(b"abc")));
    assert_eq!(
        request(&connect("Content-Length: 0\r\n"), CONNECT).credential,
        Err(Missing)
    );
    is_refused(&connect("Authorization: Bearer abc\r\n"), 0);
    is_refused(
        &connect("Authorization: Bearer abc\r\n"),
        WEBSOCKET | NO_BODY_ON_GET,
    );
    for lines in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        denied(connect(lines), CONNECT, Malformed);
        denied(connect(lines), 0, Malformed);
    }
    for method in [
        "connect",
        "Connect",
        "CONNEC",
        "CONNECTX",
        "CONNECTCONNECT",
        "XCONNECT",
        "CONNECT!",
    ] {
        let other = format!("{method} a:1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
        let other = request(&other, 0);
        assert!(
            !other.is_connect && other.credential == Err(Missing),
            "{method}"
        );
    }
}

#[test]
fn expectations() {
    let post = |lines: &str| format!("POST / HTTP/1.1\r\n{lines}\r\n");
    for (lines, expects) in [
        ("Expect: 100-continue\r\nContent-Length: 5\r\n", true),
        ("Content-Length: 5\r\nexpect:100-Continue \t\r\n", true),
        (
            "EXPECT:\t100-CONTINUE\r\nTransfer-Encoding: chunked\r\n",
            true,
        ),
        ("Expect: 100-continue\r\n", false),
        ("Expect: 100-continue\r\nContent-Length: 0\r\n", false),
        ("Content-Length: 5\r\n", false),
        ("X-Expect: y\r\nExpected: z\r\nContent-Length: 5\r\n", false),
    ] {
        assert_eq!(
            request(&post(lines), 0).expects_continue,
            expects,
            "{lines:?}"
        );
    }
    for value in [
        "",
        " ",
        "100",
        "100-continues",
        "100-continue, x",
        "100-continue,",
        "y 100-continue",
        "x",
        "100-continue x",
        "100-continue;q=1",
        "\"100-continue\"",
        "100 continue",
        "100\rcontinue",
        "100\x0dcontinue",
        "\x11\x10\x10-continue",
        "100-continue\r\nExpect: 100-continue",
        "100-continue\r\nExpect:",
        "\u{a0}100-continue",
    ] {
        denied(
            post(&format!("Expect: {value}\r\nContent-Length: 5\r\n")),
            0,
            Malformed,
        );
        denied(post(&format!("Expect:{value}\r\n")), 0, Malformed);
    }
}

#[test]
fn no_body_on_get() {
    for method in ["GET", "HEAD", "get", "Head"] {
        for line in ["Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n"] {
            let stream = format!("{method} / HTTP/1.1\r\n{line}\r\n");
            denied(&stream, NO_BODY_ON_GET, Malformed);
            assert_eq!(
                request(&stream, !NO_BODY_ON_GET & WEBSOCKET).credential,
                Err(Missing)
            );
        }
        let stream = format!("{method} / HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(request(&stream, NO_BODY_ON_GET).credential, Err(Missing));
    }
    for method in ["POST", "GETX", "GET!", "HEADER", "G", "DELETE", "OPTIONS"] {
        let stream = format!("{method} / HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
        assert_eq!(
            request(&stream, NO_BODY_ON_GET).credential,
            Err(Missing),
            "{method}"
        );
    }
}

#[test]
fn what_is_wrong_is_told_in_a_fixed_order() {
    let stream = "GET / HTTP/1.1\r\nUpgrade: h2c\r\nAuthorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n";
    is_refused(stream, 0);
    let without = stream.replace("Upgrade", "X-Upgrade");
    assert_eq!(
        request(&without, 0).credential,
        Err::<_, Reason>(DuplicateCredential)
    );
    denied_behind_one(&format!("{stream}GET\r\n"), 0, Malformed);
}
