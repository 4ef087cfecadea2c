//! Problems as answers.

use std::error::Error;

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tracing::error;

use crate::{
    agent::AgentError,
    store::StoreError,
    wire::{Code, Problem},
};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

impl From<AgentError> for Problem {
    fn from(error: AgentError) -> Self {
        let code = code(&error);
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            detail = format!("{detail}: {source}");
            cause = source.source();
        }
        if matches!(code, Code::Internal | Code::Kernel | Code::NotEnforced) {
            error!("{detail}");
        }
        Self::new(code, detail)
    }
}

const fn code(error: &AgentError) -> Code {
    match error {
        AgentError::BadRequest(_) | AgentError::NoCredential { .. } => Code::BadRequest,
        AgentError::Broken(_) | AgentError::Prefix(_) | AgentError::Random(_) => Code::Internal,
        AgentError::Kernel { .. } => Code::Kernel,
        AgentError::NotEnforced { .. } => Code::NotEnforced,
        AgentError::Policy(_) => Code::Policy,
        AgentError::UnknownService => Code::UnknownService,
        AgentError::UnknownToken(_) | AgentError::Store(StoreError::UnknownTokens { .. }) => {
            Code::UnknownToken
        }
        AgentError::TooManyAudiences | AgentError::Store(StoreError::Full { .. }) => Code::NoRoom,
        AgentError::Store(
            StoreError::Corrupt { .. }
            | StoreError::DuplicateDigest
            | StoreError::DuplicateId { .. }
            | StoreError::File(_)
            | StoreError::Foreign { .. }
            | StoreError::KeepUntil { .. }
            | StoreError::KeyMismatch { .. }
            | StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::NotADatabase { .. }
            | StoreError::Orphan { .. }
            | StoreError::Random(_)
            | StoreError::Sql { .. },
        ) => Code::Internal,
    }
}
