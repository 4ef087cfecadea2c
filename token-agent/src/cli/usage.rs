//! What is wrong with a command line, beyond what its parser sees.

use std::str::FromStr;

use crate::token::id::{Id, IdError, Kind};

/// A command line that makes no sense. It never repeats what may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(String);

impl Usage {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Reads an id. Not the parser's work, since that repeats what it cannot read,
/// and people paste secrets where ids belong.
pub(super) fn id<K: Kind>(text: &str) -> Result<Id<K>, Usage> {
    Id::from_str(text).map_err(|error: IdError| Usage::new(error.to_string()))
}
