//! The truth about tokens: an embedded database in the state directory.
//!
//! Every change is one transaction that also counts the revision up. When an
//! operation returns, its change is on the disk; what it returns tells the
//! kernel's side what to follow. The store knows no clock: time is an argument,
//! kept in whole seconds.
//!
//! | file            | holds |
//! |-----------------|-------|
//! | `tokens.db`     | the database |
//! | `tokens.db-wal` | the latest changes, while the store is open or after a crash |
//! | `lock`          | nothing; the process that has the store open holds a lock on it |

use std::path::{Path, PathBuf};

use nix::fcntl::Flock;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::token::id::{Id, Kind};

mod columns;
mod error;
mod insert;
mod inspect;
mod meta;
mod open;
mod prune;
mod read;
mod record;
mod revoke;
mod schema;

use error::Failure;
pub use error::StoreError;
pub use record::{
    Change, Counts, Enforced, Filter, NewToken, Revision, Revoked, Token, TokenState,
};

/// An open store. The process has it for itself until it is dropped.
#[derive(Debug)]
pub struct Store {
    // Closed before the lock is let go: fields are dropped in this order.
    connection: Connection,
    path: PathBuf,
    _lock: Flock<std::fs::File>,
}

/// The id of a store: `s-` and 16 lower-case Crockford base32 digits.
pub type StoreId = Id<StoreKind>;

/// Marks the id of a store.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StoreKind {}

impl Kind for StoreKind {
    const LETTER: char = 's';
    const NOUN: &'static str = "store";
}

impl Store {
    /// Opens the store in `state_dir`, creating both where they are missing and migrating an older one.
    ///
    /// # Errors
    /// [`StoreError`]; a database that is damaged, newer, or of another program is left as it was, byte for byte.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        open::open(state_dir)
    }

    /// The database's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `query`; `operation` completes "cannot ... in the store".
    fn read<T>(
        &self,
        operation: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        query(&self.connection).map_err(|failure| failed(operation, &self.path, failure))
    }

    /// Runs `change` in a transaction that is committed if it succeeds, and undone otherwise.
    fn transact<T>(
        &mut self,
        operation: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        // Immediate: the write lock is taken here rather than halfway through.
        self.connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Failure::from)
            .and_then(|transaction| {
                let result = change(&transaction)?;
                transaction.commit()?;
                Ok(result)
            })
            .map_err(|failure| failed(operation, &self.path, failure))
    }
}

fn failed(operation: &'static str, path: &Path, failure: Failure) -> StoreError {
    match failure {
        Failure::Refused(error) => error,
        Failure::Sql(source) => StoreError::Sql {
            operation,
            path: path.into(),
            source,
        },
    }
}

#[cfg(test)]
mod tests;
