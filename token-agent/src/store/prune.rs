//! Forgetting what is long dead.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Params};
use token_agent_common::digest::Digest;

use super::error::StoreError;
use super::record::Change;
use super::{Store, columns, meta};

impl Store {
    /// Forgets tokens that expired or were revoked more than `retain` before
    /// `now`, and foreign revocations that need not be kept any more.
    ///
    /// A caller must be sure of its clock: what is forgotten does not come back.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn prune(&mut self, now: Timestamp, retain: Duration) -> Result<Change, StoreError> {
        let now = now.as_second();
        let horizon = now.saturating_sub(i64::try_from(retain.as_secs()).unwrap_or(i64::MAX));
        self.transact("forget dead tokens", |transaction| {
            let mut removals = delete(
                transaction,
                "DELETE FROM tokens
                 WHERE min(expires_at, coalesce(revoked_at, expires_at)) < ?1
                 RETURNING digest",
                [horizon],
            )?;
            removals.extend(delete(
                transaction,
                "DELETE FROM foreign_revocations WHERE keep_until <= ?1 RETURNING digest",
                [now],
            )?);
            let revision = if removals.is_empty() {
                meta::revision(transaction)?
            } else {
                meta::next_revision(transaction)?
            };
            Ok(Change {
                revision,
                upserts: Vec::new(),
                removals,
            })
        })
    }
}

fn delete(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<Digest>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, columns::digest)?;
    rows.collect()
}
