//! Paths with a query.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// `path` with the fields of `query` behind it; those that say nothing are left out.
pub(super) fn path(path: &str, query: &impl Serialize) -> serde_json::Result<String> {
    let mut text = path.to_owned();
    let mut mark = '?';
    if let Value::Object(fields) = serde_json::to_value(query)? {
        for (name, value) in fields {
            let value = match value {
                Value::Null => continue,
                Value::String(value) => value,
                other
                @ (Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                    other.to_string()
                }
            };
            text.push(mark);
            mark = '&';
            text.push_str(&name);
            text.push('=');
            text.push_str(&escaped(&value));
        }
    }
    Ok(text)
}

/// `text` as one segment of a path or one value of a query (RFC 3986, section 2.3).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{EventQuery, ListQuery};

    #[test]
    fn what_is_asked_for_is_in_the_query() {
        let query = ListQuery {
            service: Some("a b&c".into()),
            limit: Some(3),
            ..ListQuery::default()
        };
        assert_eq!(
            path("/v1/tokens", &query).unwrap(),
            "/v1/tokens?limit=3&service=a%20b%26c"
        );
        let all = path("/v1/tokens", &ListQuery::default()).unwrap();
        assert_eq!(all, "/v1/tokens");
        let query = EventQuery {
            follow: true,
            client: Some("2001:db8::1".parse().unwrap()),
            ..EventQuery::default()
        };
        assert_eq!(
            path("/v1/events", &query).unwrap(),
            "/v1/events?client=2001%3Adb8%3A%3A1&follow=true"
        );
    }
}
