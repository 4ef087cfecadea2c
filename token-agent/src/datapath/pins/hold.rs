//! Holding the directory of pins, so that no two agents take each other's guard over.
//!
//! The lock is on the directory itself: the kernel gives it back when the agent
//! ends, however it ends. Only who holds it may remove the directory, and who
//! gets it looks whether it still has its name; so it is never held on a
//! directory that is not there any more.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::Pins;
use crate::datapath::{error::DatapathError, flows};

/// How long to wait for the lock: `detach` has it for a moment, to clean up.
const PATIENCE: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// The directory of pins, held by this process alone. In the end it is removed
/// if nothing is attached.
#[derive(Debug)]
pub struct PinDirectory {
    pub(in crate::datapath) pins: Pins,
    _lock: Flock<File>,
}

impl PinDirectory {
    /// Makes the directory if need be, and holds it.
    ///
    /// # Errors
    /// [`DatapathError::PinsHeld`] if another agent does; that it is not on a BPF file system.
    pub fn hold(path: &Path) -> Result<Self, DatapathError> {
        let pins = Pins::new(path);
        let until = Instant::now() + PATIENCE;
        loop {
            pins.create_root()?;
            if let Some(lock) = pins.lock()? {
                return Ok(Self { pins, _lock: lock });
            }
            if Instant::now() >= until {
                return Err(DatapathError::PinsHeld { path: path.into() });
            }
            sleep(RETRY_AFTER);
        }
    }

    /// Whether a guard is pinned there; so too if that cannot be told.
    #[must_use]
    pub fn has_guards(&self) -> bool {
        !self.pins.list().is_ok_and(|pins| pins.is_empty())
    }
}

impl Drop for PinDirectory {
    fn drop(&mut self) {
        self.pins.remove_if_empty();
    }
}

impl Pins {
    /// Removes the directories if nothing is attached and no agent holds them.
    pub(in crate::datapath) fn clean_up(&self) -> Result<(), DatapathError> {
        if let Some(_lock) = self.lock()? {
            self.remove_if_empty();
        }
        Ok(())
    }

    /// The lock on the directory; none if somebody else has it, or there is no directory.
    fn lock(&self) -> Result<Option<Flock<File>>, DatapathError> {
        let failed = |operation| {
            move |source| DatapathError::File {
                operation,
                path: self.root.clone(),
                source,
            }
        };
        let directory = match File::open(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("open"))?,
        };
        let lock = match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(failed("lock")(errno.into())),
        };
        let locked = lock.metadata().map_err(failed("look at"))?;
        // It may have been removed, and made anew, since it was opened.
        let is_still_there = fs::metadata(&self.root)
            .is_ok_and(|found| (found.dev(), found.ino()) == (locked.dev(), locked.ino()));
        Ok(is_still_there.then_some(lock))
    }

    fn remove_if_empty(&self) {
        // Not empty is fine, and so is not there.
        let _ = fs::remove_dir(self.links());
        if !self.links().exists() {
            // Nothing is attached, so nothing uses it.
            let _ = flows::remove(self);
            let _ = fs::remove_dir(&self.root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_free(pins: &Pins) -> bool {
        pins.lock().unwrap().is_some()
    }

    #[test]
    fn one_holds_it_and_it_goes_if_empty() {
        let parent = tempfile::tempdir().unwrap();
        let pins = Pins::new(&parent.path().join("pins"));
        let held = || {
            fs::create_dir_all(pins.links()).unwrap();
            PinDirectory {
                pins: pins.clone(),
                _lock: pins.lock().unwrap().unwrap(),
            }
        };
        let first = held();
        assert!(!is_free(&pins));
        pins.clean_up().unwrap();
        assert!(pins.links().exists(), "somebody holds it");
        drop(first);
        assert!(!pins.root.exists());
        pins.clean_up().unwrap();
        let second = held();
        fs::write(pins.links().join("3-xdp"), "").unwrap();
        drop(second);
        assert!(pins.links().exists(), "something is pinned");
        assert!(is_free(&pins));
        fs::remove_file(pins.links().join("3-xdp")).unwrap();
        pins.clean_up().unwrap();
        assert!(!pins.root.exists());
    }

    #[test]
    fn a_directory_that_was_removed_is_not_held() {
        let parent = tempfile::tempdir().unwrap();
        let pins = Pins::new(&parent.path().join("pins"));
        fs::create_dir(&pins.root).unwrap();
        let directory = File::open(&pins.root).unwrap();
        fs::remove_dir(&pins.root).unwrap();
        fs::create_dir(&pins.root).unwrap();
        let stale = Flock::lock(directory, FlockArg::LockExclusiveNonblock).unwrap();
        assert!(is_free(&pins), "another directory has the name");
        drop(stale);
    }
}
