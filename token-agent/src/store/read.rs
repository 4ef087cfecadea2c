//! Questions to the store.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, named_params};
use token_agent_common::digest::Digest;

use super::Store;
use super::columns;
use super::error::StoreError;
use super::record::{Counts, Enforced, Filter, Token};
use crate::token::TokenId;

/// [`Token::state`] in SQL, for a `:now` in seconds.
const STATE: &str = "CASE WHEN revoked_at IS NOT NULL THEN 'revoked' \
     WHEN expires_at <= :now THEN 'expired' \
     WHEN not_before > :now THEN 'pending' \
     ELSE 'active' END";

impl Store {
    /// The token with this id.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn token(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        self.read("look up a token", |connection| {
            Ok(connection
                .prepare_cached(&format!(
                    "SELECT {} FROM tokens WHERE id = ?1",
                    columns::TOKEN
                ))?
                .query_row([id.to_string()], columns::token)
                .optional()?)
        })
    }

    /// The token of the secret with this digest.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn token_by_digest(&self, digest: &Digest) -> Result<Option<Token>, StoreError> {
        self.read("look up a token", |connection| {
            Ok(connection
                .prepare_cached(&format!(
                    "SELECT {} FROM tokens WHERE digest = ?1",
                    columns::TOKEN
                ))?
                .query_row([digest.as_bytes()], columns::token)
                .optional()?)
        })
    }

    /// The tokens that pass `filter` at `now`: the latest issued first, or the
    /// soonest to expire first where the filter asks for expiring ones.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn tokens(&self, filter: &Filter, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        let now = now.as_second();
        let until = filter
            .expiring_within
            .map(|within| now.saturating_add(i64::try_from(within.as_secs()).unwrap_or(i64::MAX)));
        let order = match until {
            Some(_) => "expires_at, issued_revision",
            None => "issued_revision DESC",
        };
        let sql = format!(
            "SELECT {columns} FROM tokens
             WHERE (:owner IS NULL OR owner = :owner)
                 AND (:service IS NULL OR json_array_length(services) = 0
                     OR :service IN (SELECT value FROM json_each(services)))
                 AND (:state IS NULL OR {STATE} = :state)
                 AND (:until IS NULL
                     OR (expires_at <= :until AND {STATE} IN ('active', 'pending')))
             ORDER BY {order} LIMIT :limit",
            columns = columns::TOKEN,
        );
        self.read("list tokens", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(
                named_params! {
                    ":owner": filter.owner.as_ref().map(|owner| owner.as_str()),
                    ":service": filter.service,
                    ":state": filter.state.map(|state| state.as_str()),
                    ":until": until,
                    ":now": now,
                    // SQLite takes a negative limit for none.
                    ":limit": filter.limit.map_or(-1, i64::from),
                },
                columns::token,
            )?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// How many tokens are in which state at `now`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn count_by_state(&self, now: Timestamp) -> Result<Counts, StoreError> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE state = 'active'),
                 count(*) FILTER (WHERE state = 'expired'),
                 count(*) FILTER (WHERE state = 'pending'),
                 count(*) FILTER (WHERE state = 'revoked')
             FROM (SELECT {STATE} AS state FROM tokens)"
        );
        self.read("count the tokens", |connection| {
            let counts = connection.prepare_cached(&sql)?.query_row(
                named_params! { ":now": now.as_second() },
                |row| {
                    Ok(Counts {
                        active: row.get(0)?,
                        expired: row.get(1)?,
                        pending: row.get(2)?,
                        revoked: row.get(3)?,
                    })
                },
            )?;
            Ok(counts)
        })
    }

    /// What the kernel must hold of the secret with this digest, be it a token's or a foreign one's.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn enforced_by_digest(&self, digest: &Digest) -> Result<Option<Enforced>, StoreError> {
        let sql = format!(
            "SELECT {} FROM tokens WHERE digest = ?1
             UNION ALL SELECT {} FROM foreign_revocations WHERE digest = ?1",
            columns::ENFORCED,
            columns::ENFORCED_FOREIGN
        );
        self.read("look up what is enforced", |connection| {
            Ok(connection
                .prepare_cached(&sql)?
                .query_row([digest.as_bytes()], columns::enforced)
                .optional()?)
        })
    }

    /// Everything the kernel must hold at the present revision, in the order of the digests.
    ///
    /// Dead tokens too, until they are pruned: the kernel names the reason.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn enforced(&self) -> Result<Vec<Enforced>, StoreError> {
        let sql = format!(
            "SELECT {} FROM tokens UNION ALL SELECT {} FROM foreign_revocations ORDER BY digest",
            columns::ENFORCED,
            columns::ENFORCED_FOREIGN
        );
        self.read("list what is enforced", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], columns::enforced)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
