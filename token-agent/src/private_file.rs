//! Files that only the agent may read: the hash key and the store.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// The widest permissions such a file may have.
const FILE_MODE: u32 = 0o600;

/// Why a private file or its directory cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Users other than the agent may read or write the file.
    #[error("{path} has mode {mode:04o} and may be read or changed by others; mend it with `chmod 0600 {path}`", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a regular file, or not a directory where one is needed.
    #[error("{} is not a {wanted}", path.display())]
    NotA {
        /// The path.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// The owner is neither the agent's user nor root.
    #[error("{path} belongs to user {uid}, who could change it; mend it with `chown {wanted} {path}`", path = path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Who owns it.
        uid: u32,
        /// Who should: the user that runs the agent.
        wanted: u32,
    },
    /// A symbolic link: it could lead to a place others control.
    #[error("{} is a symbolic link, which is refused; put the file itself there", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Users other than the agent may replace files in the directory.
    #[error("directory {path} has mode {mode:04o}, so others can replace its files; mend it with `chmod go-w {path}`", path = path.display())]
    WritableDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Opens `path` for reading; `None` where nothing is there.
///
/// # Errors
/// Anything but a regular file of mode 0600 or narrower that belongs to the agent's user or root.
pub(crate) fn open(path: &Path) -> Result<Option<File>, PrivateFileError> {
    // O_NONBLOCK: opening a FIFO must fail below, not hang here.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            return Err(PrivateFileError::Symlink { path: path.into() });
        }
        Err(source) => return Err(io_error("open", path, source)),
    };
    let metadata = metadata(&file, path)?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotA {
            path: path.into(),
            wanted: "regular file",
        });
    }
    check_owner(path, &metadata)?;
    let mode = permissions(&metadata);
    if mode & !FILE_MODE != 0 {
        return Err(PrivateFileError::Mode {
            path: path.into(),
            mode,
        });
    }
    Ok(Some(file))
}

/// Creates `path` for writing with mode 0600; an existing file is an error, a link is not followed.
pub(crate) fn create_new(path: &Path) -> Result<File, PrivateFileError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|source| io_error("create", path, source))
}

/// Checks that nobody but the agent's user and root can replace files in `directory`.
pub(crate) fn check_directory(directory: &Path) -> Result<(), PrivateFileError> {
    let file = File::open(directory).map_err(|source| io_error("open", directory, source))?;
    let metadata = metadata(&file, directory)?;
    if !metadata.is_dir() {
        return Err(PrivateFileError::NotA {
            path: directory.into(),
            wanted: "directory",
        });
    }
    check_owner(directory, &metadata)?;
    let mode = permissions(&metadata);
    if mode & 0o022 != 0 {
        return Err(PrivateFileError::WritableDirectory {
            path: directory.into(),
            mode,
        });
    }
    Ok(())
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), PrivateFileError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error("sync", directory, source))
}

/// An [`PrivateFileError::Io`] for `operation` on `path`.
pub(crate) fn io_error(
    operation: &'static str,
    path: &Path,
    source: io::Error,
) -> PrivateFileError {
    PrivateFileError::Io {
        operation,
        path: path.into(),
        source,
    }
}

fn metadata(file: &File, path: &Path) -> Result<Metadata, PrivateFileError> {
    file.metadata()
        .map_err(|source| io_error("read the permissions of", path, source))
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), PrivateFileError> {
    let wanted = geteuid().as_raw();
    let uid = metadata.uid();
    if uid == 0 || uid == wanted {
        return Ok(());
    }
    Err(PrivateFileError::Owner {
        path: path.into(),
        uid,
        wanted,
    })
}

fn permissions(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}
