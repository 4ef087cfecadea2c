//! Opening: the directory, the lock, the file, the connection.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::{Store, StoreId, failed, inspect, meta, schema};
use crate::private_file::{self, io_error};

/// Nobody else should have the database open; a backup or a curious `sqlite3` may for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn open(state_dir: &Path) -> Result<Store, StoreError> {
    provide_directory(state_dir)?;
    let lock = lock(state_dir)?;
    let path = state_dir.join("tokens.db");
    if !inspect::existing(&path)? {
        create(state_dir, &path)?;
    }
    let connection = connect(&path).map_err(|error| failed("open", &path, error.into()))?;
    Ok(Store {
        connection,
        path,
        _lock: lock,
    })
}

/// `path` with `suffix` at its end, as SQLite names the files beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Whether anything is at `path`.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io_error("look at", path, source).into()),
    }
}

/// Removes the file at `path`, if there is one.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path, error).into())
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// How SQLite opens the database: never `CREATE`, the file was made before, with its permissions.
pub(super) fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

fn provide_directory(state_dir: &Path) -> Result<(), StoreError> {
    if !state_dir.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(|source| io_error("create directory", state_dir, source))?;
        if let Some(parent) = state_dir
            .parent()
            .filter(|path| !path.as_os_str().is_empty())
        {
            private_file::sync_directory(parent)?;
        }
    }
    Ok(private_file::check_directory(state_dir)?)
}

fn lock(state_dir: &Path) -> Result<Flock<File>, StoreError> {
    let path = state_dir.join("lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .mode(0o600)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(&path)
        .map_err(|source| io_error("open", &path, source))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_file, errno)| {
        if errno == Errno::EWOULDBLOCK {
            StoreError::Locked { path }
        } else {
            io_error("lock", &path, errno.into()).into()
        }
    })
}

/// Creates an empty store that appears under its name complete or not at all.
///
/// So an empty or half-made file under that name is always damage, never a beginning.
fn create(state_dir: &Path, path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-journal"] {
        let journal = beside(path, suffix);
        // SQLite would apply it to the new database.
        if exists(&journal)? {
            return Err(StoreError::Orphan { path: journal });
        }
    }
    let new = beside(path, ".new");
    // What a crash during an earlier creation left.
    remove(&new)?;
    remove(&beside(&new, "-journal"))?;
    drop(private_file::create_new(&new)?);
    let id = StoreId::random()?;
    populate(&new, id).map_err(|error| failed("create the tables", &new, error.into()))?;
    fs::rename(&new, path).map_err(|source| io_error("create", path, source))?;
    private_file::sync_directory(state_dir)?;
    Ok(())
}

fn populate(path: &Path, id: StoreId) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(path, flags())?;
    configure(&connection)?;
    schema::migrate(&mut connection)?;
    meta::initialise(&connection, id)?;
    connection.close().map_err(|(_connection, error)| error)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags())?;
    configure(&connection)?;
    // A pragma that is not followed is no error for SQLite; this one answers with what it did.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| {
        match row.get::<_, String>(0)?.as_str() {
            "wal" => Ok(()),
            _other => Err(rusqlite::Error::InvalidQuery),
        }
    })?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // A commit is on the disk before it returns: NORMAL would lose the last ones with the power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The file is data: nothing in its schema may call functions with side effects or edit the schema.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}
