//! Streams nobody thought of: mostly well-formed, then changed somewhere.

use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{
    core, reference,
    told::{API_KEY, BEARER, Credential},
};

/// Lines of a head or of trailers.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => select(&[
            "Host: a", "Authorization: Bearer abc", "authorization:bearer x==", "X-Api-Key: !k~", "x_api_key: k",
            "Expect: 100-continue", "Expect: x", "Upgrade: websocket", "UPGRADE:\tWebSocket ", "Upgrade: h2c",
            "Connection: Upgrade", "X-Long-Name-That-Does-Not-Fit-In-Thirty-Two: v", "Cookie: a=b; c=d",
            "X_y: \t z \t", "Empty:", "Authorization: Basic abc",
            "Authorization: Bearer \t",
            "Authorization: Bearer ==",
            "Authorization: Bearer a=b",
            "Authorization: Bearer a\x7f", "Trailer: x",
        ][..]).prop_map(|line| line.as_bytes().to_vec()),
        1 => select(&[
            "Transfer-Encoding: chunked", "Content-Length: 3", "Content-Length: 0", "Transfer-Encoding: x",
            "Content_Length: 3", "Utf: \u{e9}\u{ff}", "Bad", "Bad : x", " folded", "X: a\rb", "X: a\nb",
        ][..]).prop_map(|line| line.as_bytes().to_vec()),
        1 => "[A-Za-z-]{1,40}:[ -~]{0,80}".prop_map(String::into_bytes),
    ];
    vec(line, 0..6).prop_map(|lines| {
        lines
            .into_iter()
            .flat_map(|line| [line, b"\r\n".to_vec()].concat())
            .collect()
    })
}

fn opaque() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..20),
        select(
            &[
                "GET / HTTP/1.1\r\nAuthorization: Bearer bait\r\n\r\n",
                "0\r\n\r\n",
                "\r\n",
                "5\r\n",
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 600..1500),
    ]
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let extension = select(
        &[
            "",
            "",
            "",
            ";",
            ";a=b",
            "; c=\"d;e\"\t",
            " ",
            ";\u{e9}",
            " ;f",
        ][..],
    );
    (opaque(), extension, 0..20usize, any::<bool>()).prop_map(|(data, extension, zeros, upper)| {
        if data.is_empty() {
            return data;
        }
        let size = format!("{:x}", data.len());
        let size = if upper { size.to_uppercase() } else { size };
        let line = format!("{}{size}{extension}\r\n", "0".repeat(zeros));
        [line.as_bytes(), &data, b"\r\n"].concat()
    })
}

/// What frames a body, and the body.
fn body() -> impl Strategy<Value = (String, Vec<u8>)> {
    let chunked = (vec(chunk(), 0..4), lines()).prop_map(|(chunks, trailers)| {
        let body = [&chunks.concat()[..], b"0\r\n", &trailers, b"\r\n"].concat();
        ("Transfer-Encoding: chunked\r\n".to_owned(), body)
    });
    prop_oneof![
        2 => Just((String::new(), Vec::new())),
        2 => opaque().prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body)),
        3 => chunked,
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        8 => select(&[
            "GET / HTTP/1.1", "POST /a/b?c HTTP/1.1", "HEAD / HTTP/1.1", "CONNECT a:1 HTTP/1.1", "CONNECTX a HTTP/1.1",
            "OPTIONS * HTTP/1.1", "GET / HTTP/1.0", "get http://a/ HTTP/1.1", "\r\nPUT / HTTP/1.1",
        ][..]),
        1 => select(&["PRI * HTTP/2.0", "GET / HTTP/1.2", "GET /", "PROXY UNKNOWN", "\nGET / HTTP/1.1"][..]),
    ];
    (start, lines(), body(), lines()).prop_map(|(start, before, (framing, body), after)| {
        let start = format!("{start}\r\n");
        [
            start.as_bytes(),
            &before,
            framing.as_bytes(),
            &after,
            b"\r\n",
            &body,
        ]
        .concat()
    })
}

fn proxy_header() -> impl Strategy<Value = Vec<u8>> {
    let v2 = (
        select(&[0x20, 0x21, 0x21, 0x22][..]),
        select(&[0x00, 0x11, 0x21, 0x31, 0x41][..]),
        prop_oneof![0..40usize, 210..230usize],
    )
        .prop_map(|(command, family, length)| {
            let fixed = [command, family, 0, length as u8];
            [b"\r\n\r\n\0\r\nQUIT\n", &fixed[..], &vec![b'\r'; length]].concat()
        });
    prop_oneof![
        v2,
        select(
            &[
                "PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\n",
                "PROXY TCP6 ::1 2001:db8::ffff 1 2\r\n",
                "PROXY UNKNOWN\r\n",
                "PROXY UNKNOWN a b\r\n",
                "PROXY TCP4 a b 1 2\r\n",
                "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            ][..]
        )
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// A byte put in, taken out or replaced, at a place given as a share of the whole.
fn change() -> impl Strategy<Value = (f64, u8, u8)> {
    let byte = prop_oneof![
        any::<u8>(),
        select(&b"\r\n \t:;,_-0123456789abcdefx\0\x7f\x80"[..]),
    ];
    (0.0..1.0, 0..3u8, byte)
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    (
        option::weighted(0.3, proxy_header()),
        vec(request(), 0..4),
        prop_oneof![3 => Just(Vec::new()), 2 => vec(change(), 1..4)],
        option::weighted(0.2, 0.0..1.0),
    )
        .prop_map(|(proxy, requests, changes, end)| {
            let mut stream = [proxy.unwrap_or_default(), requests.concat()].concat();
            let place = |share: f64, len: usize| (share * len as f64) as usize;
            for (share, kind, byte) in changes {
                let at = place(share, stream.len());
                match kind {
                    0 => stream.insert(at, byte),
                    1 if !stream.is_empty() => drop(stream.remove(at)),
                    _ if !stream.is_empty() => stream[at] = byte,
                    _ => {}
                }
            }
            if let Some(share) = end {
                stream.truncate(place(share, stream.len()));
            }
            stream
        })
}

fn options() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 0..16u32]
}

fn credential() -> impl Strategy<Value = Credential> {
    select(&[BEARER, API_KEY][..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Any stream at any cut has one meaning, that of the reference.
    #[test]
    fn the_core_agrees_with_the_reference(
        stream in stream(),
        credential in credential(),
        options in options(),
        cuts in vec(prop_oneof![1..8usize, 1..600usize], 1..12),
    ) {
        let told = core::follow(&stream, credential, options, &cuts);
        let whole = core::follow(&stream, credential, options, &[usize::MAX]);
        prop_assert_eq!(&told, &whole);
        let reference = reference::follow(&stream, credential, options);
        told.check(&reference).map_err(TestCaseError::fail)?;
    }
}
