//! A network namespace.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::Result;
use nix::sched::{CloneFlags, setns};

use super::command::run;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// None for the one this process is in.
    name: Option<String>,
}

impl Namespace {
    /// A new one, with `lo` up.
    ///
    /// # Errors
    /// If `ip` cannot make it.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ta-{}-{count}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name: Some(name) };
        run(namespace.command("ip").args(["link", "set", "lo", "up"]))?;
        Ok(namespace)
    }

    /// The one this process is in; it stays when this is dropped.
    #[must_use]
    pub const fn current() -> Self {
        Self { name: None }
    }

    /// A command that will run in the namespace.
    ///
    /// Only the network is another: `ip netns exec` would also hide the BPF file systems.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let Some(path) = self.path() else {
            return command;
        };
        let enter = move || {
            let namespace = fs::File::open(&path)?;
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(Into::into)
        };
        #[expect(unsafe_code, reason = "a namespace is entered between fork and exec")]
        // SAFETY: the closure opens a file and makes one system call; it takes no lock.
        unsafe {
            command.pre_exec(enter);
        }
        command
    }

    /// Does something on a thread that is in the namespace. Sockets made there stay in it.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    ///
    /// # Panics
    /// If `what` does.
    pub fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T> {
        let enter = || {
            if let Some(path) = self.path() {
                setns(fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(what())
        };
        thread::scope(|scope| scope.spawn(enter).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The file that stands for it; none for the one this process is in.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("/run/netns/{name}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let Some(name) = &self.name else { return };
        let deleted = run(Command::new("ip").args(["netns", "del", name]));
        if let Err(error) = deleted {
            eprintln!("{error:#}");
        }
    }
}
