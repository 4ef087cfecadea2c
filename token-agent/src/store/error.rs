//! What can go wrong with a store. No message holds a secret.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::private_file::PrivateFileError;
use crate::token::{KeyId, RandomError, TokenId};

/// Why an operation on the store failed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite finds the file damaged.
    #[error("the store {} is damaged ({finding}); restore it from a backup", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite found first.
        finding: String,
    },
    /// The same secret was issued or revoked before.
    #[error("the store holds this secret's digest already")]
    DuplicateDigest,
    /// The id is taken.
    #[error("the store holds a token {id} already")]
    DuplicateId {
        /// The id.
        id: TokenId,
    },
    /// A file or directory cannot be used or may not be trusted.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// A SQLite database of another program.
    #[error(
        "{} is a database of another program (application id {found:#010x}); choose another state directory",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// The `application_id` in it.
        found: u32,
    },
    /// No room in the kernel's map.
    #[error(
        "the kernel has room for {capacity} tokens and the store holds as many; wait until dead ones are pruned, or raise datapath.max_tokens in the configuration"
    )]
    Full {
        /// How many entries the kernel's map holds.
        capacity: u32,
    },
    /// A foreign revocation that would be over when it begins.
    #[error("a revocation at {at} cannot be kept until {keep_until}, which is not later")]
    KeepUntil {
        /// When the secrets were revoked.
        at: Timestamp,
        /// Until when that was to be kept.
        keep_until: Timestamp,
    },
    /// The digests in the store were made with another hash key.
    #[error(
        "the hash key is {given}, but the digests in the store {} were made with {bound}: no token in it could be recognised; restore the key {bound}",
        path.display()
    )]
    KeyMismatch {
        /// The database.
        path: PathBuf,
        /// The key the store belongs to.
        bound: KeyId,
        /// The key at hand.
        given: KeyId,
    },
    /// Another process has the store open.
    #[error("another token-agent process uses this state directory: it holds the lock {}", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error(
        "the store {} has format {found}, this version of token-agent knows formats up to {supported}; run the newer version again, or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The format found.
        found: i64,
        /// The newest format this version knows.
        supported: i64,
    },
    /// Not a SQLite database.
    #[error("{} is not a database ({finding}); restore the store from a backup", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        finding: &'static str,
    },
    /// The latest changes without the database they belong to.
    #[error(
        "{} is there, but the database it belongs to is missing; restore both from a backup, or remove it to start with an empty store",
        path.display()
    )]
    Orphan {
        /// The journal that was left.
        path: PathBuf,
    },
    /// No randomness for the store's id.
    #[error("cannot create a store")]
    Random(#[from] RandomError),
    /// SQLite failed.
    #[error("cannot {operation} in the store {}", path.display())]
    Sql {
        /// What was tried.
        operation: &'static str,
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Ids without a token.
    #[error("no such token: {}; nothing was changed", listed(ids))]
    UnknownTokens {
        /// All of the unknown ids.
        ids: Vec<TokenId>,
    },
}

/// What ends a transaction early: SQLite, or a rule of the store.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(StoreError),
    Sql(rusqlite::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn listed(ids: &[TokenId]) -> String {
    let ids: Vec<_> = ids.iter().map(TokenId::to_string).collect();
    ids.join(", ")
}
