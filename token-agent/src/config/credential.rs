//! The header field that carries a token: its name, and the scheme in front of the token.

use super::problem::{Invalid, quote};

/// The field of HTTP authentication.
pub(super) const AUTHORIZATION: &str = "authorization";

const LONGEST: usize = 32;

const HEADER_HELP: &str = r#"write a field name like "authorization" or "x-api-key""#;

/// Fields that say where a request ends, where it goes or what becomes of its connection.
const FRAMING: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a field, in lower case.
pub(super) fn header(text: &str) -> Result<String, Invalid> {
    if !is_token(text) {
        return Err(Invalid::new(format!(
            "{} cannot be a header of at most {LONGEST} bytes",
            quote(text)
        ))
        .help(HEADER_HELP));
    }
    let lower = text.to_ascii_lowercase();
    let is_odd = |char: char| !char.is_ascii_alphanumeric() && char != '-';
    if let Some(odd) = lower.chars().find(|char| is_odd(*char)) {
        return Err(Invalid::new(format!(
            "some servers take {odd} for -, so a name with it is not safe"
        ))
        .help(format!("write {}", quote(&lower.replace(is_odd, "-")))));
    }
    if lower != text {
        return Err(Invalid::new("must be in lower case, which stands for any")
            .help(format!("write {}", quote(&lower))));
    }
    if FRAMING.contains(&text) {
        return Err(Invalid::new(format!(
            "{} frames the request and carries no token",
            quote(text)
        ))
        .help(HEADER_HELP));
    }
    Ok(lower)
}

/// The word in front of the token, or none.
pub(super) fn scheme(text: &str) -> Result<String, Invalid> {
    if !text.is_empty() && !is_token(text) {
        return Err(Invalid::new(format!(
            "{} cannot be a scheme of at most {LONGEST} bytes",
            quote(text)
        ))
        .help(r#"write one word like "Bearer", or "" for a bare token"#));
    }
    Ok(text.to_owned())
}

/// The scheme of a field for which none is written.
pub(super) fn default_scheme(header: &str) -> &'static str {
    if header == AUTHORIZATION {
        "Bearer"
    } else {
        ""
    }
}

/// A token of RFC 9110, section 5.6.2, that is not too long.
fn is_token(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_lower_case_field_that_frames_nothing() {
        let longest = "x".repeat(LONGEST);
        for good in ["authorization", "x-api-key", &longest] {
            assert_eq!(header(good), Ok(good.to_owned()));
        }
        let too_long = "x".repeat(LONGEST + 1);
        for bad in [
            "",
            "a b",
            "a:b",
            "é",
            "a\0",
            "X-Api-Key",
            "x_api_key",
            "x.api.key",
            &too_long,
        ] {
            assert!(header(bad).is_err(), "{bad:?}");
        }
        for framing in FRAMING {
            let error = header(framing).unwrap_err();
            assert!(error.message.contains("frames the request"), "{error}");
        }
    }

    #[test]
    fn a_scheme_is_one_word_or_none() {
        for good in ["", "Bearer", "token"] {
            assert_eq!(scheme(good), Ok(good.to_owned()));
        }
        for bad in [" ", "Bearer ", "a b", "a:", "é"] {
            assert!(scheme(bad).is_err(), "{bad:?}");
        }
        assert_eq!(default_scheme("authorization"), "Bearer");
        assert_eq!(default_scheme("x-api-key"), "");
    }
}
