//! The shape of the database and how an older one becomes the newest.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a SQLite file as a token store: "tkag".
pub(super) const APPLICATION_ID: i32 = 0x746b_6167;

/// What makes version `n + 1` of version `n`. An entry never changes once released; new ones are appended.
const MIGRATIONS: [&str; 1] = [include_str!("schema/v1.sql")];

/// The version this program reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the database to [`VERSION`], each step in a transaction of its own.
///
/// The caller has checked that the database is not newer.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if version <= self::version(&transaction)? {
            continue;
        }
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version the database has; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests;
