//! Requests to send.

/// One with a token, and with more header lines, each with its line end.
#[must_use]
pub fn request(method: &str, path: &str, token: &str, more: &str) -> String {
    format!("{method} /{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

/// One that the guard takes for the start of a body without end, where
/// the server takes it for the end of one.
#[must_use]
pub fn bait(token: &str) -> String {
    request("POST", "bait", token, "Content-Length: 1000000000000\r\n")
}
