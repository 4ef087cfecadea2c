//! Looking at a database before trusting it, without changing a byte of it.
//!
//! Opening a database the usual way may roll back, check-point or create files
//! beside it. A store that is damaged, foreign or newer must be left as it is:
//! it may be all that an operator, or the newer version, has.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::error::{Failure, StoreError};
use super::open::{beside, exists, flags, remove};
use super::{failed, schema};
use crate::private_file::{self, io_error};

/// Whether a store is at `path`, and one this version may open.
pub(super) fn existing(path: &Path) -> Result<bool, StoreError> {
    let Some(file) = private_file::open(path)? else {
        return Ok(false);
    };
    // Closed before SQLite opens the file: closing it later would release SQLite's locks.
    let header = Header::read(file, path)?;
    if header.application_id != schema::APPLICATION_ID as u32 {
        return Err(StoreError::Foreign {
            path: path.into(),
            found: header.application_id,
        });
    }
    check_version(path, header.user_version.into())?;
    // The header may be older than the log beside the file, and says nothing of the rest.
    look_inside(path).map_err(|failure| match failure {
        Failure::Refused(error) => error,
        Failure::Sql(error) => unreadable(path, error),
    })?;
    Ok(true)
}

/// The few fields of a SQLite database's first 100 bytes that matter here.
struct Header {
    application_id: u32,
    user_version: u32,
}

impl Header {
    fn read(file: File, path: &Path) -> Result<Self, StoreError> {
        const LEN: usize = 100;
        const MAGIC: &[u8] = b"SQLite format 3\0";
        let mut bytes = Vec::with_capacity(LEN);
        file.take(LEN as u64)
            .read_to_end(&mut bytes)
            .map_err(|source| io_error("read", path, source))?;
        let not_a_database = |finding| StoreError::NotADatabase {
            path: path.into(),
            finding,
        };
        if bytes.is_empty() {
            return Err(not_a_database("it is empty"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(not_a_database(
                "it does not begin as a SQLite database does",
            ));
        }
        let number = |offset| -> Option<u32> {
            let field = bytes.get(offset..offset + 4)?;
            Some(u32::from_be_bytes(field.try_into().ok()?))
        };
        number(68)
            .zip(number(60))
            .map(|(application_id, user_version)| Self {
                application_id,
                user_version,
            })
            .ok_or_else(|| not_a_database("it ends within its header"))
    }
}

/// Checks the version and every page and row, the log's included.
///
/// Not by a read-only connection: it would skip the rules of the tables.
fn look_inside(path: &Path) -> Result<(), Failure> {
    let log = beside(path, "-wal");
    let had_log = exists(&log)?;
    let result = open_untouching(path)
        .map_err(Failure::from)
        .and_then(|connection| check(path, &connection));
    // SQLite made an empty one; one with something in it would be another program's work.
    if !had_log && log.metadata().is_ok_and(|made| made.len() == 0) {
        remove(&log)?;
    }
    result
}

/// A connection that reads the log but leaves it, and the database, as they are.
fn open_untouching(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags())?;
    // Closing would merge the log into the database.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Keeps the log's index in memory rather than in a file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn check(path: &Path, connection: &Connection) -> Result<(), Failure> {
    check_version(path, schema::version(connection)?)?;
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" {
        Ok(())
    } else {
        Err(corrupt(path, finding).into())
    }
}

fn check_version(path: &Path, found: i64) -> Result<(), StoreError> {
    let supported = schema::VERSION;
    if found > supported {
        return Err(StoreError::Newer {
            path: path.into(),
            found,
            supported,
        });
    }
    if found < 1 {
        // A store gets its name only after its first migration.
        return Err(corrupt(path, "it has no format version".into()));
    }
    Ok(())
}

fn unreadable(path: &Path, error: rusqlite::Error) -> StoreError {
    let damaged = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    );
    if damaged {
        corrupt(path, error.to_string())
    } else {
        failed("inspect the database", path, error.into())
    }
}

fn corrupt(path: &Path, finding: String) -> StoreError {
    StoreError::Corrupt {
        path: path.into(),
        finding,
    }
}
