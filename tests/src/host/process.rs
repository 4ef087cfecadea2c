//! A process that runs beside the test.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
    },
    unistd::Pid,
};

use super::patience::wait_for;

/// A process that ends with its handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, its output going to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = fs::File::options().create(true).append(true).open(log)?;
        Self::spawn(
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out),
        )
    }

    /// Starts `command` and gives what it prints.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn follow(command: &mut Command) -> Result<(Self, ChildStdout)> {
        let mut process = Self::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let output = process.child.stdout.take().context("a pipe")?;
        Ok((process, output))
    }

    /// In a group of its own, so that Ctrl-C is for the one who started it.
    fn spawn(command: &mut Command) -> Result<Self> {
        command.process_group(0);
        let follow_to_the_grave = || set_pdeathsig(Signal::SIGKILL).map_err(Into::into);
        #[expect(
            unsafe_code,
            reason = "what a process inherits is set between fork and exec"
        )]
        // SAFETY: the closure makes one system call; it takes no lock.
        unsafe {
            command.pre_exec(follow_to_the_grave);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.id().cast_signed()), signal)?)
    }

    /// Sends a signal and waits for the end; gives the exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(&mut self, signal: Signal) -> Result<Option<i32>> {
        self.signal(signal)?;
        self.wait()
    }

    /// Waits for the end; gives the exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn wait(&mut self) -> Result<Option<i32>> {
        wait_for("a process to end", || Ok(!self.is_running()))?;
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
