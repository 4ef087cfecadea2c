//! Where the guard is pinned, so that it outlives the agent.
//!
//! | pin                            | holds |
//! |--------------------------------|-------|
//! | `links/<ifindex>-xdp`          | the guard's XDP link on an interface |
//! | `links/<ifindex>-tcx`          | its tcx link, at ingress |
//! | `links/<ifindex>-clsact`       | the program behind its clsact filter, which is no link: a note that the filter is ours, if it is there |
//! | `links/<ifindex>-clsact-qdisc` | a note that the clsact qdisc was added for our filters |
//! | `flows-3`, `slots-3`, …        | the tables of connections; the number is that of their entries' layout |
//!
//! A link or filter of the guard at egress has `-egress` behind its name; one of the witness
//! `-witness`, or `-witness-ingress` where it is there.

mod hold;

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

pub use hold::PinDirectory;

use super::{
    error::DatapathError,
    place::{Place, Role, Side},
};

/// What a pin stands for, in the order in which it is taken off an interface.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    /// The guard.
    Xdp,
    Tcx(Place),
    Clsact(Place),
    /// The qdisc that the filters are on, if it is ours.
    Qdisc,
}

impl Kind {
    fn all() -> impl Iterator<Item = Self> {
        let tcx = Place::ALL.into_iter().map(Self::Tcx);
        let clsact = Place::ALL.into_iter().map(Self::Clsact);
        [Self::Xdp, Self::Qdisc]
            .into_iter()
            .chain(tcx)
            .chain(clsact)
    }

    /// Which program it holds.
    pub(super) const fn role(self) -> Option<Role> {
        match self {
            Self::Xdp => Some(Role::Guard),
            Self::Tcx(place) | Self::Clsact(place) => Some(place.role),
            Self::Qdisc => None,
        }
    }

    /// Whether it is only a note: what it stands for lives without it.
    pub(super) const fn is_note(self) -> bool {
        match self {
            Self::Clsact(_) | Self::Qdisc => true,
            Self::Tcx(_) | Self::Xdp => false,
        }
    }

    fn name(self) -> String {
        let (how, place) = match self {
            Self::Xdp => return "xdp".into(),
            Self::Qdisc => return "clsact-qdisc".into(),
            Self::Tcx(place) => ("tcx", place),
            Self::Clsact(place) => ("clsact", place),
        };
        let place = match (place.role, place.side) {
            (Role::Guard, Side::Ingress) => "",
            (Role::Guard, Side::Egress) => "-egress",
            (Role::Witness, Side::Egress) => "-witness",
            (Role::Witness, Side::Ingress) => "-witness-ingress",
        };
        format!("{how}{place}")
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
    const LAYOUT: u32 = 6;

    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    pub(super) fn path(&self, pin: Pin) -> PathBuf {
        self.links()
            .join(format!("{}-{}", pin.ifindex, pin.kind.name()))
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

    /// The pins there are, by interface and in the order of [`Kind`]; none if there is no directory.
    pub(super) fn list(&self) -> Result<Vec<Pin>, DatapathError> {
        let names = names(&self.links())?;
        let mut pins: Vec<_> = names.iter().filter_map(|name| parse(name)).collect();
        pins.sort_unstable();
        Ok(pins)
    }

    /// Removes a pin; that it is not there is fine.
    pub(super) fn remove(&self, pin: Pin) -> Result<(), DatapathError> {
        remove(self.path(pin))
    }

    /// Removes these tables of connections, whichever version has left them.
    pub(super) fn remove_tables(&self, tables: &[&str]) -> Result<(), DatapathError> {
        names(&self.root)?
            .iter()
            .filter(|name| is_table(name, tables))
            .try_for_each(|name| remove(self.root.join(name)))
    }
}

/// Whether a file of that name is one of these tables, in any layout.
fn is_table(name: &str, tables: &[&str]) -> bool {
    let is_one = |(table, layout): (&str, &str)| {
        layout.parse::<u32>().is_ok() && tables.iter().any(|one| one.eq_ignore_ascii_case(table))
    };
    name.rsplit_once('-').is_some_and(is_one)
}

/// The names in a directory; none if it is not there.
fn names(directory: &Path) -> Result<Vec<String>, DatapathError> {
    let failed = |source| DatapathError::File {
        operation: "list",
        path: directory.into(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
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
    let kind = Kind::all().find(|known| known.name() == kind)?;
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
        for kind in Kind::all() {
            let pin = Pin { ifindex: 17, kind };
            let path = pins.path(pin);
            assert_eq!(
                parse(path.file_name().unwrap().to_str().unwrap()),
                Some(pin)
            );
        }
        for other in ["", "17", "17-", "x-xdp", "17-xdp2", "-xdp", "17-tcx-"] {
            assert_eq!(parse(other), None, "{other:?}");
        }
        assert!(!Pins::new(Path::new("/proc/nothing")).is_on_bpffs());
        assert_eq!(pins.list().unwrap(), []);
    }

    #[test]
    fn tables_of_every_layout_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let pins = Pins::new(root.path());
        let others = ["links", "slots", "slots-", "slots-x", "other-5", "-5"];
        let tables = ["slots-5", "free_slots-12"];
        for name in others.iter().chain(&tables) {
            fs::write(root.path().join(name), "").unwrap();
        }
        fs::write(pins.table("SLOTS"), "").unwrap();
        pins.remove_tables(&["SLOTS", "FREE_SLOTS"]).unwrap();
        let mut left = names(root.path()).unwrap();
        left.sort_unstable();
        let mut expected = others.map(str::to_owned);
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
