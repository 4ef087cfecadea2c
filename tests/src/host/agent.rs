//! The agent.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{Namespace, Process, bpffs::Bpffs, command::run, patience::wait_for};

/// The agent, in a namespace, with directories of its own.
#[derive(Debug)]
pub struct Agent<'a> {
    namespace: &'a Namespace,
    process: Option<Process>,
    bpffs: Bpffs,
    dir: TempDir,
}

impl<'a> Agent<'a> {
    /// Everything but the process: directories and the configuration file, in
    /// which `sections` follows `[agent]` and `[metrics]`.
    ///
    /// # Errors
    /// If a directory cannot be made.
    pub fn prepare(namespace: &'a Namespace, sections: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let bpffs = Bpffs::mount(dir.path().join("bpf"))?;
        let agent = Self {
            namespace,
            process: None,
            bpffs,
            dir,
        };
        agent.configure(sections)?;
        Ok(agent)
    }

    /// Writes the configuration file anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, sections: &str) -> Result<()> {
        let dir = self.dir.path().display();
        let config = format!(
            "[agent]\nstate_dir = \"{dir}/state\"\nsocket = \"{dir}/control.sock\"\n\
             pin_dir = \"{}/token-agent\"\nlog = \"debug\"\n\
             [metrics]\nlisten = \"127.0.0.1:9977\"\n{sections}",
            self.bpffs.path().display(),
        );
        Ok(fs::write(self.config(), config)?)
    }

    /// Prepares, starts, and waits until the agent answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(namespace: &'a Namespace, sections: &str) -> Result<Self> {
        let mut agent = Self::prepare(namespace, sections)?;
        agent.run()?;
        Ok(agent)
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// If it does not; what it said is in the error.
    pub fn run(&mut self) -> Result<()> {
        let mut command = self.namespace.command(binary()?);
        command.args(["run", "--config"]).arg(self.config());
        let mut process = Process::start(&mut command, &self.log_path())?;
        wait_for("the agent", || {
            ensure!(process.is_running(), "the agent ended: {}", self.log());
            let status = self.command(["status"]).output()?;
            Ok(matches!(status.status.code(), Some(0 | 3 | 4)))
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// The daemon's process.
    ///
    /// # Errors
    /// If it does not run.
    pub fn id(&self) -> Result<u32> {
        let process = self.process.as_ref().context("the agent does not run")?;
        Ok(process.id())
    }

    /// Ends the daemon with a signal; gives its exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&mut self, signal: Signal) -> Result<Option<i32>> {
        let mut process = self.process.take().context("the agent does not run")?;
        process.end(signal)
    }

    /// Sends the daemon a signal that does not end it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the agent does not run")?;
        process.signal(signal)
    }

    /// A command of the agent's command line.
    ///
    /// # Panics
    /// If the binary is not known; `run` was called before.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self
            .namespace
            .command(binary().expect("TOKEN_AGENT_BIN is set"));
        command
            .arg("--socket")
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; gives what it printed.
    ///
    /// # Errors
    /// If it does not exit with 0.
    pub fn tell<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        run(&mut self.command(args))
    }

    /// Runs a command with `--json`; gives its exit code and the object.
    ///
    /// # Errors
    /// If it prints none.
    pub fn json(&self, args: &[&str]) -> Result<(Option<i32>, serde_json::Value)> {
        let output = self.command(["--json"].iter().chain(args)).output()?;
        let text = String::from_utf8(output.stdout)?;
        let value = serde_json::from_str(&text).with_context(|| {
            format!(
                "no JSON: {text:?} {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        Ok((output.status.code(), value))
    }

    /// Issues a token; gives its id and its secret.
    ///
    /// # Errors
    /// If that fails.
    pub fn issue(&self, more: &[&str]) -> Result<(String, String)> {
        let args = [&["issue", "--owner", "test", "--purpose", "a test"], more].concat();
        let (code, token) = self.json(&args)?;
        ensure!(code == Some(0), "{token}");
        let field = |name: &str| {
            token[name]
                .as_str()
                .map(str::to_owned)
                .context("no such field")
        };
        Ok((field("id")?, field("token")?))
    }

    /// What the control socket answers to `GET path`.
    ///
    /// # Errors
    /// If it does not.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--unix-socket"])
            .arg(self.socket())
            .arg(format!("http://a{path}"));
        run(&mut command)
    }

    /// The metrics, as the agent serves them in its namespace.
    ///
    /// # Errors
    /// If it does not.
    pub fn metrics(&self) -> Result<String> {
        let mut command = self.namespace.command("curl");
        run(command.args([
            "--silent",
            "--fail",
            "--noproxy",
            "*",
            "http://127.0.0.1:9977/metrics",
        ]))
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The directory of pins.
    #[must_use]
    pub fn pin_dir(&self) -> PathBuf {
        self.bpffs.path().join("token-agent")
    }

    /// What the daemon logged.
    #[must_use]
    pub fn log(&self) -> String {
        let mut log = String::new();
        // It may be a device, which has no end.
        if let Ok(file) = File::open(self.log_path()) {
            let _ = file.take(1 << 20).read_to_string(&mut log);
        }
        log
    }

    /// Has what the daemon says come to nothing, as on a full disk; before it is started.
    ///
    /// # Errors
    /// If that cannot be arranged.
    pub fn fill_log(&self) -> Result<()> {
        Ok(symlink("/dev/full", self.log_path())?)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// The agent's binary, as the test runner built it.
///
/// # Errors
/// If it does not say where.
pub fn binary() -> Result<PathBuf> {
    std::env::var_os("TOKEN_AGENT_BIN")
        .map(PathBuf::from)
        .context("TOKEN_AGENT_BIN is not set; start this by `cargo xtask`")
}
