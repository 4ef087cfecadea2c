//! What is wrong with a request, without its values: any of them may be a secret.

use axum::{Json, extract::rejection::QueryRejection};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::token::format::without_tokens;

/// Why `bytes` are no `T`, as `error` has it.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let what = match error.classify() {
        Category::Data => field_of_body::<T>(bytes, error),
        Category::Eof if bytes.trim_ascii().is_empty() => return "the body is empty".into(),
        // The place would be the end.
        Category::Eof => return "the body ends before its JSON does".into(),
        Category::Io | Category::Syntax => "it is not valid JSON".into(),
    };
    format!("the body cannot be read at line {line}, column {column}: {what}")
}

/// Why a query is not the one wanted.
pub(super) fn query(rejection: &QueryRejection) -> String {
    let text = rejection.body_text();
    let message = text.split_once("query string: ").map_or("", |(_, it)| it);
    format!("the query cannot be read: {}", described(message))
}

/// Only the HTTP library notes the field; it is asked where something is wrong.
fn field_of_body<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> String {
    let text = Json::<T>::from_bytes(bytes)
        .err()
        .map(|rejection| rejection.body_text())
        .unwrap_or_default();
    let message = text.split_once("target type: ").map_or("", |(_, it)| it);
    let place = format!(" at line {} column {}", error.line(), error.column());
    described(message.strip_suffix(&place).unwrap_or(message))
}

/// What a message of serde's, after the field's name if there is one, says without its value.
fn described(message: &str) -> String {
    let (field, message) = match message.split_once(": ") {
        Some((field, rest)) if !field.contains(' ') => (Some(field), rest),
        Some(_) | None => (None, message),
    };
    let is_harmless = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| message.starts_with(start));
    if is_harmless {
        return without_tokens(message);
    }
    match field {
        Some(field) => {
            let wanted = expected(message).unwrap_or_else(|| wanted(field));
            format!("`{}` has to be {wanted}", without_tokens(field))
        }
        None => "it has to be an object with the fields that are wanted".into(),
    }
}

/// The end of a message that tells what is expected: it is ours, the value stands before it.
fn expected(message: &str) -> Option<&str> {
    let tells = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown variant",
    ]
    .iter()
    .any(|start| message.starts_with(start));
    let (_, expected) = message.rsplit_once(", expected ").filter(|_| tells)?;
    Some(match expected {
        "a sequence" => "a list",
        "a boolean" => "true or false",
        other => other,
    })
}

/// What the text in a field has to be. The checks' own messages may repeat parts of it.
fn wanted(field: &str) -> &'static str {
    match field.split('[').next().unwrap_or_default() {
        "owner" => "1 to 64 of `A-Z a-z 0-9 . _ @ -`, a letter or digit first, and no token",
        "purpose" | "reason" => "1 to 256 printable characters, and no token",
        "id" | "ids" | "token" => "the id of a token: `t-` and 16 characters",
        "at" | "not_before" => "a time of RFC 3339, such as `2030-01-31T12:00:00Z`",
        "client" => "an IP address",
        "limit" => "a whole number of at most 4294967295",
        "follow" => "true or false",
        _ => "of another kind",
    }
}
