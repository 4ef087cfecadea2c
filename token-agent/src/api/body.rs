//! JSON out of a request's body, without leaving its secrets in memory.

mod wrong;

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

use crate::wire::{Code, Problem};

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
        let parsed = serde_json::from_slice(&bytes).map_err(|error| {
            let detail = wrong::body::<T>(&bytes, &error);
            Problem::new(Code::BadRequest, detail)
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
            .map_err(|rejection| Problem::new(Code::BadRequest, wrong::query(&rejection)))
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

fn wipe(bytes: Bytes) {
    // Ours alone, so that it can be; what the HTTP library copied on the way cannot.
    if let Ok(mut bytes) = bytes.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}
