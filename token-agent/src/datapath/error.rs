//! What can go wrong on the way to the kernel.

use std::{io, path::PathBuf};

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, links::LinkError},
};

/// What can go wrong on the way to the kernel.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The kernel side's log cannot be read.
    #[error("cannot read the log of the kernel side")]
    KernelLog(#[source] aya_log::Error),
    /// The kernel is too old.
    #[error("this kernel is {found}; the guard needs {needed} or newer")]
    KernelTooOld {
        /// The running kernel's version.
        found: String,
        /// The oldest one that has what is needed.
        needed: &'static str,
    },
    /// The agent may not do this.
    #[error(
        "not permitted to load programs into the kernel; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    NotPermitted,
    /// The object could not be loaded.
    #[error("cannot load the guard into the kernel")]
    Load(#[source] EbpfError),
    /// A program was refused.
    #[error("the kernel refused the program {program}")]
    Program {
        /// Its name in the object.
        program: &'static str,
        /// The kernel's or the verifier's answer.
        #[source]
        source: ProgramError,
    },
    /// The object lacks something: it was built from other sources than the agent.
    #[error("the kernel object has no {what}")]
    Incomplete {
        /// The map or program.
        what: &'static str,
    },
    /// A map could not be read or written.
    #[error("cannot {operation} the kernel's map {map}")]
    Map {
        /// `read` or `write`.
        operation: &'static str,
        /// The map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: MapError,
    },
    /// The pin directory is not where pins can be.
    #[error(
        "{path} is not on a BPF file system; run `mount -t bpf bpf /sys/fs/bpf`, or set agent.pin_dir to a directory on one"
    )]
    NotBpffs {
        /// The pin directory.
        path: PathBuf,
    },
    /// Another agent pins its guard there.
    #[error(
        "another token-agent holds the lock on {path}, where its guard is pinned; stop that one, or set another agent.pin_dir"
    )]
    PinsHeld {
        /// The pin directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        #[source]
        source: io::Error,
    },
    /// The interfaces could not be listed.
    #[error("cannot list the network interfaces")]
    Interfaces(#[source] io::Error),
    /// The connections there are could not be listed.
    #[error("cannot list the TCP connections of this host (by the netlink protocol sock_diag)")]
    Connections(#[source] io::Error),
    /// Another XDP program is there.
    #[error(
        "its XDP slot is taken by the program with id {program} (see `bpftool prog show id {program}`); it was left alone: detach it, or set datapath.hook = \"tc\""
    )]
    SlotTaken {
        /// The other program's id.
        program: u32,
    },
    /// The guard could not read its packets.
    #[error(
        "its packets have no Ethernet header (link type {layer}), so the guard could not judge them; guard the interface they come from, or take it out of datapath.interfaces"
    )]
    NoEthernet {
        /// The kernel's name of what they have instead.
        layer: String,
    },
    /// The driver has no native XDP.
    #[error("its driver has no native XDP; set datapath.hook = \"tc\" (or \"xdp-generic\")")]
    NoNativeXdp,
    /// Attaching failed.
    #[error("cannot attach the guard")]
    Attach(#[source] ProgramError),
    /// A link could not be used.
    #[error("cannot use the link of the guard")]
    Link(#[source] LinkError),
    /// A pin could not be made.
    #[error("cannot pin the guard at {path}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// The answer.
        #[source]
        source: aya::pin::PinError,
    },
    /// No such interface is guarded.
    #[error("{name} is not guarded")]
    NotGuarded {
        /// The interface.
        name: String,
    },
}

/// The system's error number behind `error`, if there is one.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(io) = current.downcast_ref::<io::Error>()
            && let Some(number) = io.raw_os_error()
        {
            return Some(number);
        }
        error = current.source();
    }
    None
}
