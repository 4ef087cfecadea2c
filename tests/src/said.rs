//! What commands say, those that fail among them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::host::{Agent, Namespace, PATIENCE, binary, run};

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Said {
    /// Its standard output, as one JSON value.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// Runs `command` with `input` on its standard input.
///
/// # Errors
/// If it cannot be run.
pub fn say(command: &mut Command, input: &str) -> Result<Said> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    // A command that refuses its arguments does not read.
    let _ = child
        .stdin
        .take()
        .context("a pipe")?
        .write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// Runs a command of the agent's that must be done; gives the object it prints.
///
/// # Errors
/// If it prints none.
///
/// # Panics
/// If it is not done, or the object has no version.
pub fn done(agent: &Agent<'_>, args: &[&str]) -> Result<Value> {
    let (code, value) = agent.json(args)?;
    assert_eq!(code, Some(0), "{args:?}: {value}");
    assert_eq!(value["schema_version"], 1, "{args:?}: {value}");
    Ok(value)
}

/// Runs a command of the agent's; gives its exit code alone.
///
/// # Errors
/// If it cannot be run.
pub fn exit_code(agent: &Agent<'_>, args: &[&str]) -> Result<Option<i32>> {
    Ok(say(&mut agent.command(args), "")?.code)
}

/// The agent's binary where everyone gets to it, as to the socket beside it.
///
/// # Errors
/// If it cannot be copied there.
pub fn binary_for_all(agent: &Agent<'_>) -> Result<PathBuf> {
    let config = agent.config();
    let dir = config.parent().context("a directory")?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    let copy = dir.join("token-agent");
    if !copy.exists() {
        // By another process: this one never has the copy open for writing. It would hand that on
        // to whatever another thread forks meanwhile, and what is open for writing cannot be run.
        run(Command::new("install")
            .arg("--mode=0755")
            .arg(binary()?)
            .arg(&copy))?;
    }
    Ok(copy)
}

/// Runs the agent as a daemon that is not expected to stay, and waits for its end.
///
/// # Errors
/// If it cannot be run. The code is 124 if it stayed.
pub fn run_daemon(namespace: &Namespace, agent: &Agent<'_>, wrapper: &[&str]) -> Result<Said> {
    let mut command = namespace.command("timeout");
    command
        .arg(PATIENCE.as_secs().to_string())
        .args(wrapper)
        .arg(binary_for_all(agent)?)
        .args(["run", "--config"])
        .arg(agent.config());
    say(&mut command, "")
}

/// The agent's metrics: each sample's name and labels, and its value.
///
/// # Errors
/// If they are not served, or not numbers.
pub fn samples(agent: &Agent<'_>) -> Result<BTreeMap<String, u64>> {
    let metrics = agent.metrics()?;
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a sample")?;
            let value = value.parse().with_context(|| line.to_owned())?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// The names in an object.
///
/// # Panics
/// If `value` is none.
#[must_use]
pub fn names(value: &Value) -> BTreeSet<&str> {
    let object = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"));
    object.keys().map(String::as_str).collect()
}

/// The words of `text`, to be compared with [`names`].
#[must_use]
pub fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

/// Sends `request` `times` times, each on a connection of its own that is broken
/// off at once: nothing that was dropped is ever sent again, so counts are exact.
///
/// # Errors
/// If it cannot connect.
pub fn send_once(client: &Namespace, server: (&str, u16), request: &str, times: u32) -> Result<()> {
    let script = "import socket,struct,sys\n\
         host,port,request,times=sys.argv[1:]\n\
         for _ in range(int(times)):\n\
         \x20 s=socket.create_connection((host,int(port)),timeout=30)\n\
         \x20 s.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack('ii',1,0))\n\
         \x20 s.sendall(request.encode()); s.close()\n";
    let (port, times) = (server.1.to_string(), times.to_string());
    run(client
        .command("python3")
        .args(["-c", script, server.0, &port, request, &times]))
    .map(drop)
}

/// A request with this credential, or none.
#[must_use]
pub fn request(credential: Option<&str>) -> String {
    let line = credential.map(|token| format!("Authorization: Bearer {token}\r\n"));
    format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        line.unwrap_or_default()
    )
}
