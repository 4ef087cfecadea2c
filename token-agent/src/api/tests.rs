//! The server, over a real unix socket, with routes that need no kernel.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::Path,
    routing::{get, post},
};
use nix::unistd::{getegid, geteuid};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};

use super::{
    ControlSocket, Gatekeeper, Limits, Shutdown,
    body::{Asked, JsonBody},
    routes::common,
    serve_control,
    server::Endless,
};
use crate::wire::{
    Actor, EventQuery, IssueRequest, ListQuery, ModeRequest, Problem, RevokeRequest,
};

struct Server {
    directory: TempDir,
    end: watch::Sender<bool>,
    served: JoinHandle<()>,
    _socket: ControlSocket,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let (socket, listener) = ControlSocket::bind(&path, None).unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        let routes = Router::new()
            .route(
                "/who",
                get(async |Extension(actor): Extension<Actor>| Json(actor)),
            )
            .route("/much", get(async || vec![0; 16 << 20]))
            .route("/endless", get(endless))
            .route("/id/{id}", get(async |Path(id): Path<String>| id))
            .route(
                "/find",
                get(async |Asked(query): Asked<ListQuery>| Json(query)),
            )
            .route(
                "/events",
                get(async |Asked(query): Asked<EventQuery>| Json(query)),
            )
            .route(
                "/mode",
                post(async |JsonBody(mode): JsonBody<ModeRequest, 128>| Json(mode)),
            )
            .route(
                "/issue",
                get(async || ()).post(async |JsonBody(it): JsonBody<IssueRequest, 512>| Json(it)),
            )
            .route(
                "/revoke",
                post(async |JsonBody(it): JsonBody<RevokeRequest, 512>| Json(it)),
            );
        let (end, shutdown) = Shutdown::new();
        let keeper = Gatekeeper {
            group: Some(getegid()),
        };
        let served = tokio::spawn(serve_control(
            listener,
            common(routes),
            limits,
            keeper,
            shutdown,
        ));
        Self {
            directory,
            end,
            served,
            _socket: socket,
        }
    }

    async fn connect(&self) -> UnixStream {
        let path = self.directory.path().join("control.sock");
        UnixStream::connect(path).await.unwrap()
    }

    /// Everything that is answered to `request`.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn post(&self, body: &str) -> String {
        self.post_to("/mode", body).await
    }

    async fn post_to(&self, path: &str, body: &str) -> String {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }
}

/// Says something after a while.
async fn endless(Extension(endless): Extension<Endless>) -> Body {
    endless.set();
    Body::from_stream(futures_util::stream::once(async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok::<_, std::convert::Infallible>("at last")
    }))
}

fn problem(answer: &str) -> Problem {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase()
            .contains("application/problem+json"),
        "{head}"
    );
    serde_json::from_str(body).unwrap()
}

fn close(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn the_peer_is_known() {
    let server = Server::start(Limits::CONTROL);
    let answer = server.ask(&close("/who")).await;
    let uid = format!("\"uid\":{}", geteuid());
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains(&uid),
        "{answer}"
    );
}

#[tokio::test]
async fn whatever_is_wrong_is_a_problem() {
    let server = Server::start(Limits::CONTROL);
    for (answer, code) in [
        (server.ask(&close("/nowhere")).await, "not_found"),
        (server.ask(&close("/mode")).await, "not_found"),
        (server.post("{").await, "bad_request"),
        (
            server.post(r#"{"mode":"enforce","secret":1}"#).await,
            "bad_request",
        ),
        (server.post(r#"{"mode":"s3cret"}"#).await, "bad_request"),
        (server.post(&" ".repeat(129)).await, "too_large"),
        (
            server.ask(&close("/find?state=s3cret")).await,
            "bad_request",
        ),
        (
            server
                .ask(&close(&format!("/find?tka_{}=1", "s3cret".repeat(8))))
                .await,
            "bad_request",
        ),
    ] {
        let problem = problem(&answer);
        assert_eq!(problem.code.as_str(), code, "{answer}");
        assert!(!problem.detail.contains("s3cret"), "{answer}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {}", problem.status)),
            "{answer}"
        );
    }
    let unknown = problem(&server.ask(&close("/find?sate=active")).await);
    assert!(
        unknown.detail.contains("unknown field `sate`"),
        "{unknown:?}"
    );
    assert!(
        server
            .post(r#"{"mode":"enforce"}"#)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start(Limits::CONTROL);
    for (method, path, allowed) in [
        ("GET", "/mode", "POST"),
        ("POST", "/find", "GET, HEAD"),
        ("DELETE", "/issue", "GET, HEAD, POST"),
    ] {
        let answer = server.ask(&close(path).replacen("GET", method, 1)).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        let allow = format!("\r\nallow: {}\r\n", allowed.replace(' ', ""));
        assert!(
            answer
                .to_ascii_lowercase()
                .contains(&allow.to_ascii_lowercase()),
            "{answer}"
        );
        let problem = problem(&answer);
        assert_eq!((problem.status, problem.code.as_str()), (405, "not_found"));
        assert!(problem.detail.ends_with(allowed), "{problem:?}");
    }
}

#[tokio::test]
async fn a_wrong_field_is_named_and_its_value_is_not() {
    let server = Server::start(Limits::CONTROL);
    for (path, body, detail) in [
        ("/mode", "", "the body is empty"),
        ("/mode", " \n", "the body is empty"),
        ("/mode", "{\n", "the body ends before its JSON does"),
        ("/mode", "s3cret", "it is not valid JSON"),
        ("/mode", "{}", "missing field `mode`"),
        (
            "/mode",
            "3",
            "it has to be an object with the fields that are wanted",
        ),
        (
            "/mode",
            r#"{"mode":"s3cret, expected s3cret"}"#,
            "`mode` has to be `enforce` or `monitor`",
        ),
        (
            "/mode",
            r#"{"mode":"enforce","for":3600}"#,
            "`for` has to be a duration of at most 36500d, such as `90s`, `15m`, `24h` or `30d`",
        ),
        (
            "/mode",
            r#"{"mode":"enforce","for":"s3cret"}"#,
            "`for` has to be a duration of at most 36500d, such as `90s`, `15m`, `24h` or `30d`",
        ),
        (
            "/issue",
            r#"{"owner":"a","purpose":"s3cret\u0000"}"#,
            "`purpose` has to be 1 to 256 printable characters, and no token",
        ),
        (
            "/issue",
            r#"{"owner":"a","purpose":"b","not_before":"s3cret"}"#,
            "`not_before` has to be a time of RFC 3339, such as `2030-01-31T12:00:00Z`",
        ),
        (
            "/issue",
            r#"{"owner":"a","purpose":"b","services":["a",{"s3cret":1}]}"#,
            "`services[1]` has to be a string",
        ),
        (
            "/revoke",
            r#"{"ids":["s3cret"]}"#,
            "`ids[0]` has to be the id of a token: `t-` and 16 characters",
        ),
        (
            "/revoke",
            r#"{"ids":[]}"#,
            "`ids` has to be a list of at least one: there is nothing to revoke",
        ),
        (
            "/revoke",
            r#"{"secrets":[]}"#,
            "`secrets` has to be a list of at least one: there is nothing to revoke",
        ),
        (
            "/revoke",
            r#"{"secrets":"s3cret"}"#,
            "`secrets` has to be a list",
        ),
        (
            "/revoke",
            r#"{"all":"s3cret"}"#,
            "`all` has to be true or false",
        ),
    ] {
        let found = problem(&server.post_to(path, body).await);
        assert_eq!(found.status, 400, "{body}");
        // The place is told, once, where there is one.
        let told = found
            .detail
            .strip_prefix("the body cannot be read at line 1, column ")
            .and_then(|rest| rest.split_once(": "))
            .map_or(found.detail.as_str(), |(_, what)| what);
        assert_eq!(told, detail, "{body}");
    }
    let some = r#"{"secrets":["s3cret"],"ids":null}"#;
    let answer = server.post_to("/revoke", some).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_wrong_parameter_is_named_and_its_value_is_not() {
    let server = Server::start(Limits::CONTROL);
    for (path, what) in [
        (
            "/events?reason=s3cret",
            "`reason` has to be one of `allowed`, `public`, ",
        ),
        (
            "/events?reason=",
            "`reason` has to be one of `allowed`, `public`, ",
        ),
        (
            "/events?verdict=s3cret",
            "`verdict` has to be one of `allow`, `deny`",
        ),
        (
            "/events?token=s3cret",
            "`token` has to be the id of a token",
        ),
        ("/events?client=s3cret", "`client` has to be an IP address"),
        ("/events?follow=s3cret", "`follow` has to be true or false"),
        ("/find?state=s3cret", "`state` has to be one of `active`, "),
        (
            "/find?state=query%20string:%20a:%20missing%20field%20s3cret",
            "`state` has to be one of `active`, ",
        ),
        ("/find?limit=s3cret", "`limit` has to be a whole number"),
        ("/find?expiring=s3cret", "`expiring` has to be a duration "),
        ("/find?owner=s3cret!", "`owner` has to be 1 to 64 of "),
    ] {
        let found = problem(&server.ask(&close(path)).await);
        assert_eq!(found.status, 400, "{path}");
        let what = format!("the query cannot be read: {what}");
        assert!(found.detail.starts_with(&what), "{path}: {found:?}");
        assert!(!found.detail.contains("s3cret"), "{path}: {found:?}");
    }
    for path in ["/events", "/events?reason=revoked&verdict=deny&follow=true"] {
        let answer = server.ask(&close(path)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_is_not_waited_for_and_not_of_any_size() {
    let server = Server::start(Limits {
        head_time: Duration::from_millis(50),
        ..Limits::CONTROL
    });
    let answer = server.ask("GET / HTTP/1.1\r\nHost").await;
    assert!(!answer.contains("200"), "{answer}");
    let server = Server::start(Limits::CONTROL);
    let long = "a".repeat(100_000);
    let mut stream = server.connect().await;
    // It may hang up before it has read all of it.
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_connection_too_many_is_refused_politely() {
    let server = Server::start(Limits {
        connections: 1,
        ..Limits::CONTROL
    });
    let mut first = server.connect().await;
    first
        .write_all(b"GET /id/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 16];
    first.read_exact(&mut some).await.unwrap();
    let refused = problem(&server.ask(&close("/id/2")).await);
    assert_eq!(refused.code.as_str(), "overloaded");
    drop(first);
    // Its place is free again, if not at once.
    for _ in 0..100 {
        if server
            .ask(&close("/id/3"))
            .await
            .starts_with("HTTP/1.1 200")
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no place became free");
}

#[tokio::test]
async fn a_place_is_not_held_for_ever() {
    let server = Server::start(Limits {
        connections: 1,
        lifetime: Duration::from_millis(50),
        ..Limits::CONTROL
    });
    let unfinished = "POST /mode HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    let unread = "GET /much HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, answers) in [(unfinished, 0), (unread, 16)] {
        let mut slow = server.connect().await;
        slow.write_all(request.as_bytes()).await.unwrap();
        slow.read_exact(&mut vec![0; answers]).await.unwrap();
        let freed =
            async { while !server.ask(&close("/who")).await.starts_with("HTTP/1.1 200") {} };
        tokio::time::timeout(Duration::from_secs(5), freed)
            .await
            .unwrap();
    }
    // What never ends by its nature goes on.
    let answer = server.ask(&close("/endless")).await;
    assert!(answer.contains("at last"), "{answer}");
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let server = Server::start(Limits::CONTROL);
    let resting = server.connect().await;
    server.ask(&close("/who")).await;
    server.end.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(2), server.served)
        .await
        .unwrap()
        .unwrap();
    drop(resting);
}
