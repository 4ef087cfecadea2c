//! The system call `bpf(2)`, for what no library does: programs without a file, and what the kernel
//! counts of those of others.

pub mod plain;

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, Result};
use nix::libc;

/// The commands used here (`linux/bpf.h`). Each gives a new file descriptor.
#[derive(Clone, Copy)]
enum Command {
    ProgLoad = 5,
    ObjGet = 7,
    ProgGetFdById = 13,
    LinkCreate = 28,
    EnableStats = 32,
}

/// The attributes of a command, by their places in 32-bit words.
type Attributes = [u32; 32];

/// A type of program, and the place where it is attached.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    kind: u32,
    place: u32,
    flags: u32,
}

impl Spot {
    pub const TC_INGRESS: Self = Self {
        kind: 3,
        place: 46,
        flags: 0,
    };
    pub const TC_EGRESS: Self = Self {
        kind: 3,
        place: 47,
        flags: 0,
    };
    /// In the driver.
    pub const XDP: Self = Self {
        kind: 6,
        place: 37,
        flags: 1 << 2,
    };

    /// What a program returns there to pass a packet on.
    pub const fn pass(self) -> i32 {
        const XDP_PASS: i32 = 2;
        const TC_ACT_UNSPEC: i32 = -1;
        if self.kind == Self::XDP.kind {
            XDP_PASS
        } else {
            TC_ACT_UNSPEC
        }
    }

    /// The same to drop it.
    pub const fn drop(self) -> i32 {
        const XDP_DROP: i32 = 1;
        const TC_ACT_SHOT: i32 = 2;
        if self.kind == Self::XDP.kind {
            XDP_DROP
        } else {
            TC_ACT_SHOT
        }
    }
}

/// A program of the kernel's.
#[derive(Debug)]
pub struct Program(OwnedFd);

/// Keeps a program attached.
#[derive(Debug)]
pub struct Link(#[expect(dead_code, reason = "it is closed when it is dropped")] OwnedFd);

/// Keeps the kernel counting how long programs run.
#[derive(Debug)]
pub struct Counting(#[expect(dead_code, reason = "it is closed when it is dropped")] OwnedFd);

/// What a program took so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub runs: u64,
    pub nanoseconds: u64,
}

impl Spent {
    /// What came after `before`.
    pub const fn since(self, before: Self) -> Self {
        Self {
            runs: self.runs - before.runs,
            nanoseconds: self.nanoseconds - before.nanoseconds,
        }
    }

    /// Nanoseconds a run.
    pub fn each(self) -> f64 {
        self.nanoseconds as f64 / self.runs.max(1) as f64
    }
}

impl Program {
    /// Loads a program for a spot.
    pub fn load(spot: Spot, instructions: &[u64]) -> Result<Self> {
        let license = c"GPL";
        let mut attributes = Attributes::default();
        attributes[0] = spot.kind;
        attributes[1] = u32::try_from(instructions.len())?;
        put_pointer(&mut attributes, 2, instructions.as_ptr().cast());
        put_pointer(&mut attributes, 4, license.as_ptr().cast());
        call(Command::ProgLoad, &attributes).map(Self)
    }

    /// The program of the link that is pinned there.
    pub fn of_pin(path: &Path) -> Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut attributes = Attributes::default();
        put_pointer(&mut attributes, 0, name.as_ptr().cast());
        let link =
            call(Command::ObjGet, &attributes).with_context(|| path.display().to_string())?;
        let mut attributes = Attributes::default();
        attributes[0] = u32::try_from(field(&link, "prog_id")?)?;
        call(Command::ProgGetFdById, &attributes).map(Self)
    }

    /// Attaches it to an interface of this thread's network.
    pub fn attach(&self, spot: Spot, interface: u32) -> Result<Link> {
        let mut attributes = Attributes::default();
        attributes[0] = self.0.as_raw_fd().cast_unsigned();
        attributes[1] = interface;
        attributes[2] = spot.place;
        attributes[3] = spot.flags;
        call(Command::LinkCreate, &attributes).map(Link)
    }

    /// What it took since it was loaded, while the kernel was [counting](Counting).
    pub fn spent(&self) -> Result<Spent> {
        Ok(Spent {
            runs: field(&self.0, "run_cnt")?,
            nanoseconds: field(&self.0, "run_time_ns")?,
        })
    }
}

impl Counting {
    /// Has the kernel count until this is dropped.
    pub fn start() -> Result<Self> {
        call(Command::EnableStats, &Attributes::default()).map(Self)
    }
}

/// A number that the kernel tells of what a file descriptor stands for.
fn field(fd: &OwnedFd, name: &str) -> Result<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.with_context(|| format!("no {name} in {info}"))?;
    Ok(value.trim().parse()?)
}

fn put_pointer(attributes: &mut Attributes, at: usize, pointer: *const u8) {
    let address = pointer.addr() as u64;
    attributes[at] = address as u32;
    attributes[at + 1] = (address >> 32) as u32;
}

fn call(command: Command, attributes: &Attributes) -> Result<OwnedFd> {
    #[expect(unsafe_code, reason = "there is no safe wrapper of it")]
    // SAFETY: the attributes, and what they point to, live until the call has returned; the file descriptor it
    // gives is nobody else's.
    unsafe {
        let size = size_of::<Attributes>();
        let fd = libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            attributes.as_ptr(),
            size,
        );
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(error).context("bpf(2)");
        }
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd)?))
    }
}
