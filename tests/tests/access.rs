//! Who reaches the agent, and how much of it: the control socket's permissions and limits.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, PATIENCE, wait_for},
    said::{Said, binary_for_all, exit_code, say},
};

const SERVICE: &str =
    "[datapath]\ninterfaces = [\"lo\"]\n[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

/// A group that every Debian has, and that this process is not in.
const GROUP: (&str, u32) = ("games", 60);

fn mode(path: &Path) -> Result<u32> {
    Ok(path.symlink_metadata()?.permissions().mode() & 0o7777)
}

/// Runs a command of the agent's command line as nobody in the group `gid`.
fn as_nobody(agent: &Agent<'_>, gid: u32, args: &[&str]) -> Result<Said> {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", &format!("--regid={gid}"), "--clear-groups"])
        .arg(binary_for_all(agent)?);
    command.arg("--socket").arg(agent.socket()).args(args);
    say(&mut command, "")
}

#[test]
fn root_and_the_group_are_served_and_nobody_else() -> Result<()> {
    let host = Namespace::new()?;
    let text = format!("[control]\ngroup = \"{}\"\n{SERVICE}", GROUP.0);
    let mut agent = Agent::start(&host, &text)?;
    assert_eq!(mode(&agent.socket())?, 0o660);
    assert_eq!(agent.socket().metadata()?.gid(), GROUP.1);

    let issue = ["--json", "issue", "--owner", "a", "--purpose", "b"];
    let said = as_nobody(&agent, GROUP.1, &issue)?;
    assert_eq!(said.code, Some(0), "{said:?}");
    let id = said.json()?["id"].clone();
    let events = agent.tell(["--json", "events"])?;
    let event = events
        .lines()
        .find(|line| line.contains("issue"))
        .context("an event")?;
    let event: Value = serde_json::from_str(event)?;
    assert_eq!(
        (&event["actor"]["uid"], &event["id"]),
        (&json!(65_534), &id),
        "{event}"
    );

    let said = as_nobody(&agent, 65_534, &["status"])?;
    assert_eq!(said.code, Some(77), "{said:?}");
    // Whatever was done to the file: the agent looks who is there.
    fs::set_permissions(agent.socket(), fs::Permissions::from_mode(0o666))?;
    for args in [
        &["status"] as &[&str],
        &["revoke", "--all", "--yes"],
        &issue,
    ] {
        let said = as_nobody(&agent, 65_534, args)?;
        assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{said:?}");
    }
    assert_eq!(as_nobody(&agent, GROUP.1, &["status"])?.code, Some(0));
    assert_eq!(
        agent.json(&["list", "--state", "active"])?.1["tokens"][0]["id"],
        id
    );

    // A group that is not there lets nobody in, and that is told.
    agent.stop(Signal::SIGTERM)?;
    agent.configure(&text.replace(GROUP.0, "no-such-group"))?;
    agent.run()?;
    assert_eq!(as_nobody(&agent, GROUP.1, &["status"])?.code, Some(77));
    let (code, status) = agent.json(&["status"])?;
    assert_eq!(code, Some(3));
    assert!(
        status["degraded"][0]
            .as_str()
            .is_some_and(|text| text.contains("no-such-group")),
        "{status}"
    );
    Ok(())
}

/// Sends `bytes` and reads to the end.
fn exchange(socket: &Path, bytes: &[u8]) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // The agent may hang up before all of it was taken.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn code_of(answer: &str) -> Option<String> {
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let problem: Value = serde_json::from_str(body).ok()?;
    Some(problem["code"].as_str()?.to_owned())
}

#[test]
fn the_socket_speaks_http_within_limits() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SERVICE)?;
    let socket = agent.socket();
    let get = |path: &str| -> Result<Value> { Ok(serde_json::from_str(&agent.get(path)?)?) };
    assert_eq!(get("/v1/status")?["enforcing"], true);
    assert_eq!(get("/v1/nothing")?["code"], "not_found");
    assert_eq!(
        get("/v1/tokens/t-0000000000000000")?["code"],
        "unknown_token"
    );

    let post = |path: &str, body: &str| {
        let len = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n"
        );
        exchange(&socket, format!("{head}{body}").as_bytes())
    };
    let filler = " ".repeat(64 * 1024);
    let issue = r#"{"owner":"a","purpose":"b"}"#;
    for (path, body, status, code) in [
        (
            "/v1/tokens",
            format!("{filler}{issue}"),
            "413",
            Some("too_large"),
        ),
        ("/v1/tokens", "{".into(), "400", Some("bad_request")),
        (
            "/v1/tokens",
            issue.replace('b', ""),
            "400",
            Some("bad_request"),
        ),
        (
            "/v1/tokens",
            issue.replace('{', "{\"admin\":true,"),
            "400",
            Some("bad_request"),
        ),
        (
            "/v1/revoke",
            format!("{}{issue}", filler.repeat(16)),
            "413",
            Some("too_large"),
        ),
        ("/v1/revoke", "{}".into(), "400", Some("bad_request")),
        (
            "/v1/revoke",
            r#"{"all":true,"ids":[]}"#.into(),
            "400",
            Some("bad_request"),
        ),
        ("/v1/status", "{}".into(), "405", Some("not_found")),
        ("/v1/tokens", issue.into(), "201", None),
    ] {
        let answer = post(path, &body)?;
        let start = answer.get(..200.min(answer.len()));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {start:?}"
        );
        assert_eq!(code_of(&answer).as_deref(), code, "{path}: {start:?}");
    }
    let long = format!(
        "GET /v1/status HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    assert!(exchange(&socket, long.as_bytes())?.starts_with("HTTP/1.1 431 "));
    assert_eq!(
        agent.json(&["list"])?.1["tokens"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}

fn half_a_head(agent: &Agent<'_>) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(agent.socket())?;
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost:")?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Whether something was answered, or the connection closed, although half a head is no question.
fn has_ended(stream: &mut UnixStream) -> bool {
    let read = stream.read(&mut [0]);
    !read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn connections_are_counted_and_slow_heads_cut_off() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SERVICE)?;
    let started = Instant::now();
    // Half a head each; together they take all places.
    let mut held = (0..64)
        .map(|_| half_a_head(&agent))
        .collect::<Result<Vec<_>>>()?;
    wait_for("all places to be taken", || {
        // A command before may have held a place for a moment still.
        for stream in &mut held {
            if has_ended(stream) {
                *stream = half_a_head(&agent)?;
            }
        }
        let answer = exchange(
            &agent.socket(),
            b"GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )?;
        Ok(answer.starts_with("HTTP/1.1 503 ")
            && code_of(&answer).as_deref() == Some("overloaded")
            && exit_code(&agent, &["status"])? == Some(69))
    })?;
    let mut first = held.swap_remove(0);
    first.set_nonblocking(false)?;
    first.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    first
        .read_to_end(&mut answer)
        .context("the slow one was not cut off")?;
    let lasted = started.elapsed();
    assert!(
        lasted > Duration::from_secs(5) && lasted < PATIENCE,
        "{lasted:?}"
    );
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "half a head was answered"
    );
    wait_for("the others to be cut off too", || {
        Ok(exit_code(&agent, &["status"])? == Some(0))
    })
}
