//! The control socket's file: who may reach it is settled before it exists.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, chown};

/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 128;

/// Root and the group may connect, nobody else.
const MODE: u32 = 0o660;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another agent answers on it.
    #[error("another token-agent answers on {}", path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
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
    /// Everybody could put another socket in its place.
    #[error("{} is writable by others, who could put a socket of their own there; chmod o-w it, or set another agent.socket", directory.display())]
    Open {
        /// Where the socket is to be.
        directory: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("{} is there already and is no socket; remove it, or set another agent.socket", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
}

/// A bound socket; its file is removed in the end.
#[derive(Debug)]
pub struct ControlSocket {
    path: PathBuf,
    /// Device and inode of the file, so that nobody else's is removed.
    file: (u64, u64),
}

/// Makes sure that no agent answers on `path`. The file of a dead one is fine.
///
/// # Errors
/// [`SocketError::Live`], [`SocketError::NotASocket`].
pub fn probe(path: &Path) -> Result<(), SocketError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at", path, source)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Live { path: path.into() }),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Ok(())
        }
        Err(source) => Err(failed("connect to", path, source)),
    }
}

impl ControlSocket {
    /// Binds `path`, in place of what a dead agent left, for root and `group`.
    ///
    /// The umask must not take from the mode 0660.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(path: &Path, group: Option<Gid>) -> Result<(Self, UnixListener), SocketError> {
        if let Some(directory) = path.parent() {
            provide(directory)?;
        }
        probe(path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", path, error));
            }
            Ok(()) | Err(_) => {}
        }
        let listener = bound(path)?;
        let metadata = path
            .symlink_metadata()
            .map_err(|source| failed("look at", path, source))?;
        let socket = Self {
            path: path.into(),
            file: (metadata.dev(), metadata.ino()),
        };
        if group.is_some() {
            chown(path, None, group)
                .map_err(|errno| failed("change the group of", path, errno.into()))?;
        }
        Ok((socket, listener))
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let is_ours = self
            .path
            .symlink_metadata()
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if is_ours {
            // A file that stays is taken for a dead agent's the next time.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The mode goes onto the socket before it has a name: `bind` gives it to the
/// file. A chmod afterwards would leave a moment in which anyone could connect.
fn bound(path: &Path) -> Result<UnixListener, SocketError> {
    let fail = |operation| move |errno: nix::Error| failed(operation, path, errno.into());
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(fail("create the socket"))?;
    fchmod(&socket, Mode::from_bits_truncate(MODE)).map_err(fail("set the mode of"))?;
    let address = UnixAddr::new(path).map_err(fail("name the socket"))?;
    bind(socket.as_raw_fd(), &address).map_err(fail("bind"))?;
    let backlog = Backlog::new(BACKLOG).map_err(fail("listen on"))?;
    listen(&socket, backlog).map_err(fail("listen on"))?;
    Ok(UnixListener::from(socket))
}

fn provide(directory: &Path) -> Result<(), SocketError> {
    match directory.metadata() {
        Ok(metadata) if metadata.is_dir() => return check(directory, metadata.mode()),
        // What is wrong there, making it tells.
        Ok(_) | Err(_) => {}
    }
    let created = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory);
    created.map_err(|source| failed("create directory", directory, source))?;
    // Whatever the umask is: the group has to get to the socket.
    fs::set_permissions(directory, Permissions::from_mode(0o755))
        .map_err(|source| failed("set the mode of", directory, source))
}

/// In a directory of mode `mode` only its owner and group may replace the socket; in a
/// sticky one only the socket's owner.
fn check(directory: &Path, mode: u32) -> Result<(), SocketError> {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o2;
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(SocketError::Open {
            directory: directory.into(),
        });
    }
    Ok(())
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> SocketError {
    SocketError::Io {
        operation,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_never_wider_than_0660() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        // Bound, and not yet touched by anything else: this is the first moment.
        fs::create_dir(directory.path().join("run")).unwrap();
        let listener = bound(&path).unwrap();
        let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode & !MODE, 0, "{mode:o}");
        // The owner's bits are never taken away by a sane umask.
        assert_eq!(mode & 0o600, 0o600, "{mode:o}");
        drop(listener);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deeper/control.sock");
        let (socket, listener) = ControlSocket::bind(&path, None).unwrap();
        assert!(matches!(probe(&path), Err(SocketError::Live { .. })));
        assert!(matches!(
            ControlSocket::bind(&path, None),
            Err(SocketError::Live { .. })
        ));
        // A crash: the file stays, nobody listens.
        drop(listener);
        std::mem::forget(socket);
        assert!(path.exists());
        probe(&path).unwrap();
        let (socket, _listener) = ControlSocket::bind(&path, None).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_open_to_all_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        for (mode, refused) in [
            (0o777, true),
            (0o702, true),
            (0o1777, false),
            (0o775, false),
        ] {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            let bound = ControlSocket::bind(&path, None);
            assert_eq!(
                matches!(bound, Err(SocketError::Open { .. })),
                refused,
                "{mode:o}"
            );
        }
    }

    #[test]
    fn nothing_else_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            ControlSocket::bind(&path, None),
            Err(SocketError::NotASocket { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        let (socket, _listener) = ControlSocket::bind(&path, None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
