//! The demo, in a network namespace of its own: what it prints works when
//! pasted, and nothing is left, however it ends.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    mem,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::NamedTempFile;
use token_agent_tests::host::{Namespace, Nginx, Process, curl, wait_for};

const URL: &str = "http://127.0.0.1:8080/";

/// What curl exits with when nothing came within `--max-time`.
const TIMED_OUT: Option<i32> = Some(28);

fn demo(host: &Namespace) -> Command {
    let mut command = host.command(env!("CARGO_BIN_EXE_demo"));
    for proxy in ["http_proxy", "all_proxy", "ALL_PROXY", "SUDO_USER"] {
        command.env_remove(proxy);
    }
    command
}

/// A demo that has said how to use it.
struct Shown {
    process: Process,
    output: BufReader<ChildStdout>,
    /// The lines to be pasted, in their order.
    commands: Vec<String>,
    /// What it has told of verdicts and changes.
    told: Vec<String>,
    errors: NamedTempFile,
}

impl Shown {
    fn start(host: &Namespace, args: &[&str]) -> Result<Self> {
        let errors = NamedTempFile::new()?;
        let (process, output) = Process::follow(demo(host).args(args).stderr(errors.reopen()?))?;
        let mut output = BufReader::new(output);
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(
                output.read_line(&mut line)? > 0,
                "the demo ended: {}",
                fs::read_to_string(&errors)?
            );
            if let Some(command) = line.strip_prefix("    ") {
                commands.push(command.trim_end().to_owned());
            }
            if line.starts_with("Verdicts follow") {
                return Ok(Self {
                    process,
                    output,
                    commands,
                    told: Vec::new(),
                    errors,
                });
            }
        }
    }

    fn paste(&self, host: &Namespace, which: usize) -> Result<Output> {
        let line = self.commands.get(which).context("a line to paste")?;
        let output = host
            .command("sh")
            .args(["-c", line])
            .stdin(Stdio::null())
            .output();
        output.with_context(|| format!("cannot run {line}"))
    }

    /// Everything it has made on disk.
    fn directory(&self) -> Result<PathBuf> {
        let revoke = self.commands.get(3).context("the line that revokes")?;
        let (_, rest) = revoke.split_once("--socket ").context("a socket")?;
        let socket = Path::new(rest.split(' ').next().context("a path")?);
        Ok(socket.parent().context("a directory")?.to_owned())
    }

    /// Reads on until it has told of `what`, or has ended.
    fn wait_for(&mut self, what: &[&str]) -> Result<()> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            let is_it = starts_with(&line, what);
            self.told.push(mem::take(&mut line));
            if is_it {
                return Ok(());
            }
        }
        bail!("the demo ended without {what:?}: {:?}", self.told)
    }

    /// All it has told, when it has ended.
    fn all(mut self) -> Result<Vec<String>> {
        for line in self.output.lines() {
            self.told.push(line?);
        }
        Ok(self.told)
    }
}

fn starts_with(line: &str, words: &[&str]) -> bool {
    let mut found = line.split_whitespace();
    words.iter().all(|word| found.next() == Some(word))
}

/// Anybody gets through to a server at the same address.
fn assert_unguarded(host: &Namespace) -> Result<()> {
    let _nginx = Nginx::start(host, &["127.0.0.1:8080"])?;
    wait_for("the guard to be off", || {
        Ok(curl(host, URL, &[])? == Some(200))
    })
}

#[test]
fn what_it_prints_works_and_nothing_is_left() -> Result<()> {
    let host = Namespace::new()?;
    // Were something never told, it would still come to its end.
    let mut shown = Shown::start(&host, &["--for", "120"])?;
    let directory = shown.directory()?;
    ensure!(directory.join("state").is_dir());

    let allowed = shown.paste(&host, 0)?;
    assert_eq!(
        String::from_utf8(allowed.stdout)?,
        "The application got GET /hello\n"
    );
    for denied in [1, 2] {
        assert_eq!(shown.paste(&host, denied)?.status.code(), TIMED_OUT);
    }
    let revoked = shown.paste(&host, 3)?;
    ensure!(revoked.status.success(), "{revoked:?}");
    shown.commands[0] += " --max-time 2";
    assert_eq!(shown.paste(&host, 0)?.status.code(), TIMED_OUT);
    let issued = shown.paste(&host, 4)?;
    ensure!(issued.status.success(), "{issued:?}");

    // The agent tells of denials a moment after they fell.
    shown.wait_for(&["denied", "GET", "revoked"])?;
    assert_eq!(shown.process.end(Signal::SIGINT)?, Some(0));
    let told = shown.all()?;
    for words in [
        &["allowed", "GET", "/hello"][..],
        &["denied", "GET", "unknown"],
        &["denied", "GET", "missing"],
        &["denied", "GET", "revoked"],
    ] {
        let count = told.iter().filter(|line| starts_with(line, words)).count();
        assert_eq!(count, 1, "{words:?} in {told:?}");
    }
    ensure!(!directory.exists(), "{} is left", directory.display());
    assert_unguarded(&host)
}

#[test]
fn it_ends_by_itself_when_told_so() -> Result<()> {
    let host = Namespace::new()?;
    let mut shown = Shown::start(&host, &["--for", "1", "--port", "8081"])?;
    let directory = shown.directory()?;
    assert_eq!(shown.process.wait()?, Some(0));
    let told = shown.all()?;
    ensure!(told.iter().any(|line| line.contains("nothing is left")));
    ensure!(!directory.exists(), "{} is left", directory.display());
    Ok(())
}

#[test]
fn a_taken_port_is_told_before_anything_is_done() -> Result<()> {
    // The test's own network: the demo stops before it touches it.
    let taken = TcpListener::bind(("127.0.0.1", 0))?;
    let port = taken.local_addr()?.port().to_string();
    let refused = demo(&Namespace::current())
        .args(["--port", &port])
        .output()?;
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8(refused.stderr)?;
    ensure!(
        error.contains("is taken") && error.contains("--port"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_guard_goes_with_the_agent_and_with_the_demo() -> Result<()> {
    let host = Namespace::new()?;
    // The agent dies: the demo cleans up and fails.
    let mut shown = Shown::start(&host, &[])?;
    let directory = shown.directory()?;
    kill(agent_of(&shown.process)?, Signal::SIGKILL)?;
    assert_eq!(shown.process.wait()?, Some(1));
    let errors = fs::read_to_string(&shown.errors)?;
    ensure!(errors.contains("the agent has ended"), "{errors}");
    ensure!(!directory.exists(), "{} is left", directory.display());
    assert_unguarded(&host)?;

    // The demo is killed: only files are left.
    let mut shown = Shown::start(&host, &[])?;
    let directory = shown.directory()?;
    shown.process.end(Signal::SIGKILL)?;
    let unguarded = assert_unguarded(&host);
    fs::remove_dir_all(directory)?;
    unguarded
}

/// The agent among the demo's children.
fn agent_of(demo: &Process) -> Result<Pid> {
    let id = demo.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
    let agent = children.split_whitespace().find(|child| {
        let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"run")
    });
    Ok(Pid::from_raw(agent.context("an agent")?.parse()?))
}
