//! What is asked for.

/// The length of [`get`], in bytes.
pub(crate) const LENGTH: usize = 307;

/// A request like a browser's or a client library's, of [`LENGTH`] bytes.
pub(crate) fn get(token: &str) -> String {
    let head = format!(
        "GET /v1/orders/1234567 HTTP/1.1\r\nHost: api.example.org\r\n{}",
        headers(token)
    );
    let rest = LENGTH - head.len() - "X-Request-Id: \r\n\r\n".len();
    format!("{head}X-Request-Id: {}\r\n\r\n", "a".repeat(rest))
}

/// Its headers after `Host`, but for the last.
pub(crate) fn headers(token: &str) -> String {
    format!(
        "User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept: application/json\r\nConnection: keep-alive\r\nAuthorization: Bearer {token}\r\n"
    )
}

/// The shortest request with a token.
pub(crate) fn bare(token: &str) -> String {
    format!("GET / HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n")
}
