//! Where a test's agent pins its guard.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A BPF file system of the test's own.
#[derive(Debug)]
pub(super) struct Bpffs {
    path: PathBuf,
}

impl Bpffs {
    pub(super) fn mount(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path)?;
        mount(
            Some("bpf"),
            &path,
            Some("bpf"),
            MsFlags::empty(),
            None::<&str>,
        )
        .context("mounting a BPF file system")?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
    }
}
