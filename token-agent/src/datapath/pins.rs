//! Where the guard is pinned, so that it outlives the agent.
//!
//! | pin                      | holds |
//! |--------------------------|-------|
//! | `links/<ifindex>-xdp`    | the XDP link of an interface |
//! | `links/<ifindex>-tcx`    | its tcx link |
//! | `links/<ifindex>-clsact` | the program behind a clsact filter, which is no link: a note that the filter is ours, if it is there |
//! | `links/<ifindex>-clsact-qdisc` | the same, where the clsact qdisc was added for it |
//! | `flows-2`, `slots-2`, …  | the tables of connections; the number is that of their entries' layout |

mod hold;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

pub use hold::PinDirectory;

use super::error::DatapathError;

/// How an interface is guarded, as its pin tells.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Clsact,
    /// A clsact filter on a qdisc that is ours.
    ClsactQdisc,
    Tcx,
    Xdp,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Clsact, Self::ClsactQdisc, Self::Tcx, Self::Xdp];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Clsact => "clsact",
            Self::ClsactQdisc => "clsact-qdisc",
            Self::Tcx => "tcx",
            Self::Xdp => "xdp",
        }
    }
}

impl Kind {
    /// Whether the pin is a note of a filter.
    pub(super) const fn is_clsact(self) -> bool {
        match self {
            Self::Clsact | Self::ClsactQdisc => true,
            Self::Tcx | Self::Xdp => false,
        }
    }
}

/// A pin.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Pin {
    pub(super) ifindex: u32,
    pub(super) kind: Kind,
}

/// The directory of pins.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    root: PathBuf,
}

impl Pins {
    /// Counted up when what stands in the tables of connections means something else than before.
    const LAYOUT: u32 = 2;

    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    pub(super) fn path(&self, pin: Pin) -> PathBuf {
        self.links()
            .join(format!("{}-{}", pin.ifindex, pin.kind.as_str()))
    }

    /// Where one of the tables of connections is.
    pub(super) fn table(&self, name: &str) -> PathBuf {
        self.root
            .join(format!("{}-{}", name.to_ascii_lowercase(), Self::LAYOUT))
    }

    /// Makes the directory for the links, in one that is held.
    pub(super) fn create_links(&self) -> Result<(), DatapathError> {
        create(&self.links())
    }

    /// Makes the directory, which must be on a BPF file system.
    fn create_root(&self) -> Result<(), DatapathError> {
        if !self.is_on_bpffs() {
            return Err(DatapathError::NotBpffs {
                path: self.root.clone(),
            });
        }
        create(&self.root)
    }

    /// Whether the directory is on a BPF file system, or would be.
    pub(super) fn is_on_bpffs(&self) -> bool {
        let existing = self.root.ancestors().find(|path| path.exists());
        existing
            .and_then(|path| statfs(path).ok())
            .is_some_and(|found| found.filesystem_type() == BPF_FS_MAGIC)
    }

    /// The pins there are; none if there is no directory.
    pub(super) fn list(&self) -> Result<Vec<Pin>, DatapathError> {
        let path = self.links();
        let failed = |source| DatapathError::File {
            operation: "list",
            path: path.clone(),
            source,
        };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut pins = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            pins.extend(name.to_str().and_then(parse));
        }
        pins.sort_unstable();
        Ok(pins)
    }

    /// Removes a pin; that it is not there is fine.
    pub(super) fn remove(&self, pin: Pin) -> Result<(), DatapathError> {
        remove(self.path(pin))
    }

    /// Removes one of the tables of connections; that it is not there is fine.
    pub(super) fn remove_table(&self, name: &str) -> Result<(), DatapathError> {
        remove(self.table(name))
    }
}

fn remove(path: PathBuf) -> Result<(), DatapathError> {
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DatapathError::File {
            operation: "remove",
            path,
            source,
        }),
    }
}

fn create(directory: &Path) -> Result<(), DatapathError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| DatapathError::File {
            operation: "create",
            path: directory.into(),
            source,
        })
}

fn parse(name: &str) -> Option<Pin> {
    let (ifindex, kind) = name.split_once('-')?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    Some(Pin {
        ifindex: ifindex.parse().ok()?,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let pins = Pins::new(Path::new("/nowhere"));
        for kind in Kind::ALL {
            let pin = Pin { ifindex: 17, kind };
            let path = pins.path(pin);
            assert_eq!(
                parse(path.file_name().unwrap().to_str().unwrap()),
                Some(pin)
            );
        }
        for other in ["", "17", "17-", "x-xdp", "17-xdp2", "-xdp"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert!(!Pins::new(Path::new("/proc/nothing")).is_on_bpffs());
        assert_eq!(pins.list().unwrap(), []);
    }
}
