//! The trail: every denial and every change is told, or told to be missing.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    process::{Child, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{
        Agent, Namespace, Nginx, PATIENCE, Pair, Process, authority, binary, is_denied, wait_for,
    },
    said::{exit_code, names, request, say, send_once, words},
};

const FIELDS: &str = "time type service verdict enforced reason method route id digest peer client interface count actor";

fn sections(interface: &str) -> String {
    format!(
        "[datapath]\ninterfaces = [\"{interface}\"]\n\
         [[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n\
         [[service]]\nname = \"watched\"\nlisten = [\"*:8081\"]\nmode = \"monitor\"\n"
    )
}

/// `events --follow`, read as it comes.
struct Followed {
    child: Child,
    lines: Receiver<String>,
}

impl Followed {
    /// Starts it, and waits until it follows: until it tells of the event that `cause` has just
    /// caused, about the token whose id it gave.
    fn start(agent: &Agent<'_>, more: &[&str], cause: impl Fn() -> Result<String>) -> Result<Self> {
        let args = [&["--json", "events", "--follow"], more].concat();
        let mut child = agent
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let out = child.stdout.take().context("a pipe")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let followed = Self { child, lines };
        wait_for("the follower", || {
            let id = cause()?;
            // Behind those caused before, if it tells of them.
            while let Ok(line) = followed.lines.recv_timeout(Duration::from_millis(100)) {
                if line.contains(&id) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
        Ok(followed)
    }

    /// Starts it for all events.
    fn all(agent: &Agent<'_>) -> Result<Self> {
        Self::start(agent, &[], || Ok(agent.issue(&[])?.0))
    }

    fn next(&self) -> Result<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Ok(serde_json::from_str(&line)?),
            Err(RecvTimeoutError::Timeout) => bail!("no event came"),
            Err(RecvTimeoutError::Disconnected) => bail!("the follower ended"),
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_follower_is_told_of_each_denial_and_change() -> Result<()> {
    let pair = Pair::new()?;
    let _nginx = Nginx::start(&pair.server, &["8080", "[::]:8080", "8081"])?;
    let mut agent = Agent::start(&pair.server, &sections("eth0"))?;
    let deny_revoked = || {
        let (id, token) = agent.issue(&[])?;
        agent.tell(["revoke", &id])?;
        let server = (Pair::SERVER[0], 8080);
        send_once(&pair.client, server, &request(Some(&token)), 1)?;
        Ok(id)
    };
    let filter = ["--reason", "revoked", "--service", "web"];
    let only_revoked = Followed::start(&agent, &filter, deny_revoked)?;
    let mut all = Followed::all(&agent)?;
    let recent = |more: &[&str]| -> Result<usize> {
        Ok(agent
            .tell([&["--json", "events"], more].concat())?
            .lines()
            .count())
    };
    let denied_before = recent(&["--verdict", "deny"])?;

    let (good_id, good) = agent.issue(&[])?;
    let event = all.next()?;
    assert_eq!(
        names(&event),
        words(&format!("schema_version action {FIELDS}"))
    );
    assert_eq!(
        (&event["type"], &event["action"], &event["id"]),
        (&json!("control"), &json!("issue"), &json!(good_id))
    );
    assert_eq!(event["actor"]["uid"], 0);
    let (elsewhere_id, elsewhere) = agent.issue(&["--service", "watched"])?;
    let (revoked_id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &revoked_id])?;
    let actions: Vec<_> = (0..3)
        .map(|_| all.next().map(|event| event["action"].clone()))
        .collect::<Result<_>>()?;
    assert_eq!(actions, ["issue", "issue", "revoke"]);

    for ((server, client), port, credential, reason, id) in [
        (
            (Pair::SERVER[0], "10.77.0.1"),
            8080,
            Some(revoked.as_str()),
            "revoked",
            Some(&revoked_id),
        ),
        (
            (Pair::SERVER[1], "fd77::1"),
            8080,
            Some(&revoked),
            "revoked",
            Some(&revoked_id),
        ),
        (
            (Pair::SERVER[0], "10.77.0.1"),
            8080,
            Some(&elsewhere),
            "wrong_service",
            Some(&elsewhere_id),
        ),
        (
            (Pair::SERVER[1], "fd77::1"),
            8080,
            Some("nobody"),
            "unknown",
            None,
        ),
        ((Pair::SERVER[0], "10.77.0.1"), 8080, None, "missing", None),
        (
            (Pair::SERVER[0], "10.77.0.1"),
            8081,
            Some(&revoked),
            "revoked",
            Some(&revoked_id),
        ),
        // Allowed ones are only counted.
        ((Pair::SERVER[0], "10.77.0.1"), 8080, Some(&good), "", None),
        ((Pair::SERVER[0], "10.77.0.1"), 8081, None, "missing", None),
    ] {
        send_once(&pair.client, (server, port), &request(credential), 1)?;
        if reason.is_empty() {
            continue;
        }
        let event = all.next()?;
        assert_eq!(names(&event), words(&format!("schema_version {FIELDS}")));
        assert_eq!(event["schema_version"], 1);
        let enforced = port == 8080;
        let service = if enforced { "web" } else { "watched" };
        for (name, expected) in [
            ("type", json!("verdict")),
            ("verdict", json!("deny")),
            ("reason", json!(reason)),
            ("service", json!(service)),
            ("enforced", json!(enforced)),
            ("id", json!(id)),
            ("client", json!(client)),
            ("method", json!("GET")),
            ("interface", json!("eth0")),
            ("count", json!(1)),
        ] {
            assert_eq!(event[name], expected, "{name} in {event}");
        }
        let peer = event["peer"].as_str().context("a peer")?;
        assert!(
            peer.starts_with(authority(client, 0).trim_end_matches('0')),
            "{peer}"
        );
        assert_eq!(event["digest"].is_string(), credential.is_some(), "{event}");
    }
    for client in ["10.77.0.1", "fd77::1"] {
        let event = only_revoked.next()?;
        assert_eq!(
            (&event["reason"], &event["client"]),
            (&json!("revoked"), &json!(client)),
            "{event}"
        );
    }
    assert!(
        only_revoked
            .lines
            .recv_timeout(Duration::from_millis(300))
            .is_err(),
        "no others were asked for"
    );
    for (more, expected) in [
        (&["--verdict", "deny"] as &[&str], denied_before + 7),
        (&["--token", &revoked_id], 5),
        (&["--client", "fd77::1"], 2),
        (&["--service", "watched", "--reason", "missing"], 1),
        (&["--verdict", "allow"], 0),
    ] {
        assert_eq!(recent(more)?, expected, "{more:?}");
    }
    assert_eq!(
        exit_code(&agent, &["events", "--reason", "nonsense"])?,
        Some(2)
    );

    agent.stop(Signal::SIGTERM)?;
    wait_for("the follower to end", || {
        Ok(all.child.try_wait()?.is_some())
    })?;
    assert_eq!(all.child.wait()?.code(), Some(69));
    Ok(())
}

/// What `token_agent_events_lost_total` says of a place.
fn lost(agent: &Agent<'_>, place: &str) -> Result<u64> {
    let name = format!("token_agent_events_lost_total{{where=\"{place}\"}} ");
    let metrics = agent.metrics()?;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&name))
        .context("no such metric")?;
    Ok(value.parse()?)
}

/// How many denials the kept events tell of, and how many they tell to be missing.
fn told_and_missing(agent: &Agent<'_>) -> Result<(u64, u64)> {
    let (mut told, mut missing) = (0, 0);
    for line in agent.tell(["--json", "events"])?.lines() {
        let event: Value = serde_json::from_str(line)?;
        match (event["type"].as_str(), event["where"].as_str()) {
            (Some("verdict"), None) => told += 1,
            (Some("lost"), Some("kernel" | "agent")) => {
                missing += event["count"].as_u64().context("a count")?;
            }
            _ => bail!("{event}"),
        }
    }
    Ok((told, missing))
}

#[test]
fn what_the_kernel_or_the_agent_loses_is_told_to_be_missing() -> Result<()> {
    // More than the kernel keeps for an agent that does not come.
    const SENT: u32 = 11_500;
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, &sections("lo"))?;
    agent.signal(Signal::SIGSTOP)?;
    let sent = send_once(&host, ("127.0.0.1", 8080), &request(Some("nobody")), SENT);
    agent.signal(Signal::SIGCONT)?;
    sent?;
    let (mut told, mut missing) = (0, 0);
    wait_for("each denial to be told or told to be missing", || {
        (told, missing) = told_and_missing(&agent)?;
        Ok(told + missing >= u64::from(SENT))
    })?;
    assert!(told > 0);
    assert_eq!(told + missing, u64::from(SENT));
    let (kernel, own) = (lost(&agent, "kernel")?, lost(&agent, "agent")?);
    assert!(kernel > 0 && own > 0, "{kernel} and {own}");
    assert_eq!(kernel + own, missing);
    // What is lost is not filtered away.
    assert!(
        agent
            .tell(["--json", "events", "--reason", "expired"])?
            .contains("\"lost\"")
    );
    Ok(())
}

#[test]
fn a_follower_too_slow_is_told_how_many_it_missed() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, &sections("lo"))?;
    let mut slow = UnixStream::connect(agent.socket())?;
    slow.set_read_timeout(Some(PATIENCE))?;
    slow.write_all(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: a\r\n\r\n")?;
    let mut slow = BufReader::new(slow);
    let mut line = String::new();
    slow.read_line(&mut line)?;
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    let quick = Followed::all(&agent)?;
    // It reads on only after more came than the agent and the socket keep. No more comes at once
    // than the agent takes.
    for _batch in 0..7 {
        send_once(&host, ("127.0.0.1", 8080), &request(Some("nobody")), 1_000)?;
        for _denial in 0..1_000 {
            assert_eq!(quick.next()?["type"], "verdict");
        }
    }
    assert_eq!(
        lost(&agent, "kernel")? + lost(&agent, "agent")?,
        0,
        "the agent itself kept up"
    );
    for line in slow.lines() {
        let line = line?;
        if let Ok(event) = serde_json::from_str::<Value>(&line)
            && event["where"] == "follower"
        {
            assert_eq!(event["type"], "lost");
            assert!(event["count"].as_u64() > Some(0), "{event}");
            assert_eq!(event["count"].as_u64(), Some(lost(&agent, "follower")?));
            return Ok(());
        }
    }
    bail!("the follower was not told")
}

#[test]
fn followers_have_places_for_so_many() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, &sections("lo"))?;
    let _following: Vec<_> = (0..16)
        .map(|_| Followed::all(&agent))
        .collect::<Result<_>>()?;
    let said = say(&mut agent.command(["events", "--follow"]), "")?;
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.contains("at most 16"), "{said:?}");
    // All else goes on.
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    assert!(agent.get("/v1/events")?.contains("\"action\":\"issue\""));
    Ok(())
}

#[test]
fn the_kernel_side_tells_what_it_does_if_asked() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::prepare(&host, &sections("lo"))?;
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    for (asked, expected) in [(None, false), (Some("debug"), true)] {
        let mut command = host.command(binary()?);
        command.args(["run", "--config"]).arg(agent.config());
        if let Some(level) = asked {
            command.env("TOKEN_AGENT_KERNEL_LOG", level);
        }
        let mut daemon = Process::start(&mut command, &log)?;
        let told = || Ok(fs::read_to_string(&log)?.contains("token_agent_ebpf::report"));
        wait_for("the daemon", || Ok(agent.get("/v1/status").is_ok()))?;
        assert!(is_denied(&host, "http://127.0.0.1:8080/", &[])?);
        if expected {
            wait_for("the kernel side's log", told)?;
        } else {
            assert!(!told()?, "it was not asked");
        }
        daemon.end(Signal::SIGTERM)?;
    }
    Ok(())
}
