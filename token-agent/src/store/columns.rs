//! Rows of SQL as the types they stand for.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Error as SqlError, Row};
use token_agent_common::digest::Digest;

use super::record::{Enforced, Revision, Token};

/// The columns [`token`] reads.
pub(super) const TOKEN: &str = "id, family, digest, owner, purpose, services, issued_at, \
     not_before, expires_at, issued_revision, revoked_at, revoke_reason";

/// The columns [`enforced`] reads, of a token.
pub(super) const ENFORCED: &str =
    "digest, not_before, expires_at, revoked_at IS NOT NULL AS revoked, services";

/// The columns [`enforced`] reads, of a foreign revocation.
pub(super) const ENFORCED_FOREIGN: &str = "digest, revoked_at AS not_before, \
     keep_until AS expires_at, TRUE AS revoked, '[]' AS services";

pub(super) fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: parsed(row, "id")?,
        family: parsed(row, "family")?,
        digest: digest(row)?,
        owner: parsed(row, "owner")?,
        purpose: parsed(row, "purpose")?,
        services: services(row)?,
        issued_at: time(row, "issued_at")?,
        not_before: time(row, "not_before")?,
        expires_at: time(row, "expires_at")?,
        issued_revision: Revision(row.get("issued_revision")?),
        revoked_at: optional(row, "revoked_at", time)?,
        revoke_reason: optional(row, "revoke_reason", parsed)?,
    })
}

pub(super) fn enforced(row: &Row<'_>) -> rusqlite::Result<Enforced> {
    Ok(Enforced {
        digest: digest(row)?,
        not_before: time(row, "not_before")?,
        expires_at: time(row, "expires_at")?,
        revoked: row.get("revoked")?,
        services: services(row)?,
    })
}

pub(super) fn digest(row: &Row<'_>) -> rusqlite::Result<Digest> {
    row.get("digest").map(Digest::from_bytes)
}

/// A text column as what it says.
pub(super) fn parsed<T>(row: &Row<'_>, column: &'static str) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error| unreadable(row, column, Type::Text, error))
}

/// `read` of a column, or `None` where it is NULL.
pub(super) fn optional<T>(
    row: &Row<'_>,
    column: &'static str,
    read: impl FnOnce(&Row<'_>, &'static str) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)?.data_type() {
        Type::Null => Ok(None),
        Type::Blob | Type::Integer | Type::Real | Type::Text => read(row, column).map(Some),
    }
}

fn time(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Timestamp> {
    Timestamp::from_second(row.get(column)?)
        .map_err(|error| unreadable(row, column, Type::Integer, error))
}

fn services(row: &Row<'_>) -> rusqlite::Result<Vec<String>> {
    const COLUMN: &str = "services";
    let text: String = row.get(COLUMN)?;
    serde_json::from_str(&text).map_err(|error| unreadable(row, COLUMN, Type::Text, error))
}

fn unreadable(
    row: &Row<'_>,
    column: &str,
    kind: Type,
    error: impl Error + Send + Sync + 'static,
) -> SqlError {
    match row.as_ref().column_index(column) {
        Ok(index) => SqlError::FromSqlConversionFailure(index, kind, Box::new(error)),
        Err(missing) => missing,
    }
}
