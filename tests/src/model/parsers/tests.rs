use super::*;

/// What each parser finds in a stream: targets, with the credentials.
fn served(stream: &str, has_ended: bool) -> Vec<(&'static str, Vec<String>)> {
    let mut all = parsers();
    all.push(Box::new(Hyper));
    all.iter()
        .map(|parser| {
            let requests = parser.served(stream.as_bytes(), has_ended);
            let shown = requests.iter().map(|request| {
                let credentials: Vec<_> = request
                    .credentials
                    .iter()
                    .map(|one| String::from_utf8_lossy(one))
                    .collect();
                let more = if request.is_complete { "" } else { " ..." };
                format!("{} {}{more}", request.target, credentials.join("+"))
            });
            (parser.name(), shown.collect())
        })
        .collect()
}

/// Whether every parser finds just these.
fn all_serve(stream: &str, expected: &[&str]) {
    for has_ended in [false, true] {
        for (name, found) in served(stream, has_ended) {
            assert_eq!(found, expected, "{name}: {stream:?}");
        }
    }
}

/// Those that find a request for this target with this credential.
fn who_serves(stream: &str, what: &str) -> Vec<&'static str> {
    let found = served(stream, true).into_iter();
    found
        .filter(|(_, found)| found.iter().any(|one| one.starts_with(what)))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn what_is_strict_has_one_meaning() {
    let plain = "GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n";
    all_serve(plain, &["/a x"]);
    all_serve(&plain.repeat(3), &["/a x", "/a x", "/a x"]);
    let body =
        "POST /b HTTP/1.1\r\nHost: a\r\nAuthorization: bearer y\r\nContent-Length: 4\r\n\r\n";
    all_serve(&format!("{body}GET {plain}"), &["/b y", "/a x"]);
    all_serve(&format!("{body}GE"), &["/b y ..."]);
    let chunked = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "3\r\nGET\r\n10;a=b\r\nGET / HTTP/1.1\r\n\r\n0\r\nx: y\r\n\r\n";
    all_serve(&format!("{chunked}{chunks}{plain}"), &["/c ", "/a x"]);
    all_serve(&format!("{chunked}{}", &chunks[..20]), &["/c  ..."]);
}

#[test]
fn what_is_not_is_served_by_some() {
    let head = "GET /a HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n";
    assert!(who_serves(head, "/a x").contains(&"like Python's http.server"));
    assert_eq!(who_serves(&head[..30], "/a x"), [""; 0]);
    assert!(who_serves("GET /a\r\n", "/a").contains(&"like nginx"));
    let bare = format!("{head}\r\n").replace('\r', "");
    assert!(who_serves(&bare, "/a x").contains(&"like Go"));
    assert!(!who_serves(&bare, "/a x").contains(&"strict"));

    let both =
        "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n";
    let smuggled = format!("{both}0\r\n\r\n{head}\r\n");
    let mut servers = who_serves(&smuggled, "/b");
    assert_eq!(servers.pop(), Some("hyper"), "which then closes");
    assert_eq!(who_serves(&smuggled, "/a x"), servers);
    let smuggled = format!("{both}1e;x\r\n{head}\r\n");
    assert_eq!(who_serves(&smuggled, "/a x"), ["like Python's http.server"]);
}

#[test]
fn a_head_ends_with_its_last_byte() {
    let plain = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let stream = plain.repeat(2) + "GET /";
    let mut all = parsers();
    all.push(Box::new(Hyper));
    for parser in all {
        let ends = parser.served(stream.as_bytes(), false);
        let ends: Vec<_> = ends.iter().map(|request| request.head_end).collect();
        assert_eq!(ends, [plain.len(), plain.len() * 2], "{}", parser.name());
    }
}
