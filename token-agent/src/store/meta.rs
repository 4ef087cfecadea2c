//! What the store knows of itself: its id, its hash key's id, its revision.

use rusqlite::{Connection, OptionalExtension};

use super::columns::{optional, parsed};
use super::error::{Failure, StoreError};
use super::record::Revision;
use super::{Store, StoreId};
use crate::token::KeyId;

impl Store {
    /// The store's id, the same for its whole life.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn store_id(&self) -> Result<StoreId, StoreError> {
        self.read("read the store's id", |connection| {
            Ok(
                connection.query_one("SELECT store_id FROM meta", [], |row| {
                    parsed(row, "store_id")
                })?,
            )
        })
    }

    /// How many changes were committed.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn revision(&self) -> Result<Revision, StoreError> {
        self.read("read the revision", |connection| Ok(revision(connection)?))
    }

    /// Whether the store holds any digest, of a token or a foreign revocation: without their key they are worthless.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn holds_digests(&self) -> Result<bool, StoreError> {
        self.read("look for digests", |connection| {
            Ok(holds_digests(connection)?)
        })
    }

    /// The hash key the store belongs to, once one was bound.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn key_id(&self) -> Result<Option<KeyId>, StoreError> {
        self.read("read the hash key's id", |connection| {
            Ok(key_id(connection)?)
        })
    }

    /// Makes sure that `key_id` is the key of the store's digests; a store without digests takes any key.
    ///
    /// It is no change of what is enforced, so the revision stays.
    ///
    /// # Errors
    /// [`StoreError::KeyMismatch`], [`StoreError::Sql`].
    pub fn bind_key(&mut self, given: KeyId) -> Result<(), StoreError> {
        let path = self.path.clone();
        self.transact("bind the hash key", |transaction| {
            match key_id(transaction)? {
                Some(bound) if bound == given => Ok(()),
                Some(bound) if holds_digests(transaction)? => {
                    Err(StoreError::KeyMismatch { path, bound, given }.into())
                }
                Some(_) | None => {
                    transaction.execute("UPDATE meta SET key_id = ?1", [given.to_string()])?;
                    Ok(())
                }
            }
        })
    }
}

/// Writes the one row of a new store.
pub(super) fn initialise(connection: &Connection, id: StoreId) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO meta (one, store_id, revision) VALUES (1, ?1, 0)",
            [id.to_string()],
        )
        .map(drop)
}

pub(super) fn revision(connection: &Connection) -> rusqlite::Result<Revision> {
    connection
        .prepare_cached("SELECT revision FROM meta")?
        .query_one([], |row| row.get(0).map(Revision))
}

/// Counts one more change, within the transaction that makes it.
pub(super) fn next_revision(connection: &Connection) -> Result<Revision, Failure> {
    let next = connection
        .prepare_cached("UPDATE meta SET revision = revision + 1 RETURNING revision")?
        .query_one([], |row| row.get(0).map(Revision))?;
    Ok(next)
}

fn key_id(connection: &Connection) -> rusqlite::Result<Option<KeyId>> {
    connection.query_one("SELECT key_id FROM meta", [], |row| {
        optional(row, "key_id", parsed)
    })
}

fn holds_digests(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_one(
            "SELECT 1 FROM tokens UNION ALL SELECT 1 FROM foreign_revocations LIMIT 1",
            [],
            |_row| Ok(()),
        )
        .optional()
        .map(|found| found.is_some())
}
