//! JSON out of a request's body, without leaving its secrets in memory.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroize;

use crate::{
    token::format::without_tokens,
    wire::{Code, Problem},
};

/// How long a body may take: it comes from this machine.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A body of at most `MOST` bytes.
#[derive(Debug)]
pub(super) struct JsonBody<T, const MOST: usize>(pub(super) T);

/// The query, checked.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned, const MOST: usize> FromRequest<S> for JsonBody<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), MOST).await?;
        // A message of serde names fields and places, and may repeat a wrong value:
        // so only its place is told.
        let parsed = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => described(&error.to_string()),
                serde_json::error::Category::Eof
                | serde_json::error::Category::Io
                | serde_json::error::Category::Syntax => "it is not valid JSON".into(),
            };
            Problem::new(
                Code::BadRequest,
                format!("the body cannot be read at line {line}, column {column}: {what}"),
            )
        });
        wipe(bytes);
        parsed.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|error| {
                let text = error.body_text();
                // The library's own words, and the field's name.
                let message = text.rsplit_once("query string: ").map_or("", |(_, it)| it);
                let message = match message.split_once(": ") {
                    Some((field, rest)) if !field.contains(' ') => rest,
                    Some(_) | None => message,
                };
                let what = described(message);
                Problem::new(
                    Code::BadRequest,
                    format!("the query cannot be read: {what}"),
                )
            })
    }
}

async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    match timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(
            Code::TooLarge,
            format!("the body has more than {most} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest, "the body was broken off")),
        Err(_elapsed) => Err(Problem::new(
            Code::Timeout,
            "the body did not come in time; nothing was done",
        )),
    }
}

/// Which field is wrong. Only messages that cannot hold a value of the request are
/// passed on, and no token where a field should be.
fn described(message: &str) -> String {
    let is_harmless = ["unknown field", "missing field", "duplicate field"]
        .iter()
        .any(|start| message.starts_with(start));
    if is_harmless {
        without_tokens(message)
    } else {
        "a value is not of the kind that is wanted there".into()
    }
}

fn wipe(bytes: Bytes) {
    // Ours alone, so that it can be; what the HTTP library copied on the way cannot.
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}
