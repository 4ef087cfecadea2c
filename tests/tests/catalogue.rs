//! The catalogue of attacks and of honest traffic, as far as it fits what this
//! version judges: each case is sent to real servers behind the guard, and what
//! they logged is compared with what they may see.
//!
//! A line of `data/catalogue.jsonl` is a case: `id`; `what` it is; `send`, the
//! segments (a character stands for a byte, `["a", 9]` for nine of them); `to`,
//! the service if it is not `web`; `fin` if the client closes its side;
//! `allowed`, the targets the application gets; `may`, those it may get instead
//! if the client's TCP sends the segments again in another way; `reasons`, for which the guard
//! may deny something of it, as it must if there are any. `GOODTOK` is replaced
//! by a valid token, and no length depends on it; `REVOKEDTOK` is revoked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, Process, wait_for},
    said::say,
};

const CASES: &str = include_str!("../data/catalogue.jsonl");

/// Guarded, by service, and then the same server unguarded.
const NGINX: [u16; 3] = [8080, 8081, 8082];
const PYTHON: [u16; 3] = [8090, 8091, 8092];

const SECTIONS: &str = r#"
[datapath]
interfaces = ["lo"]
[[service]]
name = "web"
listen = ["127.0.0.1:8080", "127.0.0.1:8090"]
[[service]]
name = "keys"
listen = ["127.0.0.1:8081", "127.0.0.1:8091"]
header = "x-api-key"
"#;

struct Case {
    id: String,
    what: String,
    send: Vec<String>,
    is_for_keys: bool,
    fin: bool,
    allowed: Vec<String>,
    may: Option<Vec<String>>,
    reasons: BTreeSet<String>,
}

impl Case {
    fn read(line: &str, good: &str) -> Result<Self> {
        let case: Value = serde_json::from_str(line)?;
        let text = |name: &str| case[name].as_str().map(str::to_owned);
        let list = |name: &str| case[name].as_array().context("a list");
        let word = |value: &Value| value.as_str().map(str::to_owned).context("a word");
        Ok(Self {
            id: text("id").context("an id")?,
            what: text("what").context("what it is")?,
            send: list("send")?
                .iter()
                .map(|segment| Ok(unroll(segment)?.replace("GOODTOK", good)))
                .collect::<Result<_>>()?,
            is_for_keys: case["to"] == "keys",
            fin: case["fin"] == true,
            allowed: list("allowed")?.iter().map(word).collect::<Result<_>>()?,
            may: case["may"]
                .as_array()
                .map(|targets| targets.iter().map(word).collect())
                .transpose()?,
            reasons: list("reasons")?.iter().map(word).collect::<Result<_>>()?,
        })
    }
}

/// The text of a segment.
fn unroll(segment: &Value) -> Result<String> {
    if let Some(text) = segment.as_str() {
        return Ok(text.into());
    }
    let parts = segment.as_array().context("a text or its parts")?;
    parts
        .iter()
        .map(|part| match part {
            Value::String(text) => Ok(text.clone()),
            Value::Array(run) => {
                let (text, times) = (run[0].as_str(), run[1].as_u64());
                let times = times.context("a number of times")?.try_into()?;
                Ok(text.context("a text")?.repeat(times))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                anyhow::bail!("neither a text nor a run: {part}")
            }
        })
        .collect()
}

/// Client port to what was seen of it.
type Seen = BTreeMap<u16, Vec<String>>;

/// Targets and credentials, as an application logged them.
fn logged(log: &str) -> Result<Seen> {
    let mut seen = Seen::new();
    for line in log.lines() {
        let (port, request) = line.split_once(' ').context("a port")?;
        seen.entry(port.parse()?).or_default().push(request.into());
    }
    Ok(seen)
}

/// Why the guard denied something.
fn denials(events: &str) -> Result<BTreeMap<u16, BTreeSet<String>>> {
    let mut denials = BTreeMap::<_, BTreeSet<_>>::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line)?;
        ensure!(event["type"] != "lost", "{event}");
        if let (Some(peer), Some(reason)) = (event["peer"].as_str(), event["reason"].as_str()) {
            let (_, port) = peer.rsplit_once(':').context("a port")?;
            denials
                .entry(port.parse()?)
                .or_default()
                .insert(reason.into());
        }
    }
    Ok(denials)
}

/// The client's port of a case: no two connections have the same one, and none
/// is one the kernel would choose.
fn client_port(server: u16, index: usize) -> Result<u16> {
    Ok(10_000
        + 1_000 * (server % 10)
        + 10_000 * u16::from(server >= PYTHON[0])
        + u16::try_from(index)?)
}

/// Sends every case to one of these ports; gives the client's port of each.
fn play(host: &Namespace, cases: &[Case], web: u16, keys: u16) -> Result<Vec<u16>> {
    ensure!(cases.len() < 1_000, "their ports would overlap");
    let ports: Vec<u16> = (0..cases.len())
        .map(|index| client_port(web, index))
        .collect::<Result<_>>()?;
    let orders: String = cases
        .iter()
        .zip(&ports)
        .map(|(case, from)| {
            let to = if case.is_for_keys { keys } else { web };
            let (send, fin) = (&case.send, case.fin);
            let order = json!({"from": from, "to": to, "send": send, "fin": fin});
            format!("{order}\n")
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/client.py");
    let said = say(host.command("python3").arg(script), &orders)?;
    ensure!(said.code == Some(0), "{said:?}");
    Ok(ports)
}

/// What differs from what each case asks for.
fn differences(
    server: &str,
    cases: &[Case],
    ports: &[u16],
    seen: &Seen,
    denied: &BTreeMap<u16, BTreeSet<String>>,
    good: &str,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (case, port) in cases.iter().zip(ports) {
        let got = seen.get(port).cloned().unwrap_or_default();
        let targets: Vec<&str> = got
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect();
        let reasons = denied.get(port).cloned().unwrap_or_default();
        let is_as_expected = (targets == case.allowed
            || case.may.as_ref().is_some_and(|may| targets == *may))
            && got.iter().all(|request| request.contains(good))
            && reasons.is_subset(&case.reasons)
            && reasons.is_empty() == case.reasons.is_empty();
        if !is_as_expected {
            let (id, what, allowed, may) = (&case.id, &case.what, &case.allowed, &case.reasons);
            differences.push(format!(
                "{server} {id} ({what}): the application got {got:?}, not {allowed:?}; \
                 denied for {reasons:?}, not {may:?}",
            ));
        }
    }
    differences
}

#[test]
fn every_case_of_the_catalogue() -> Result<()> {
    let host = Namespace::new()?;
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("connections.log");
    let nginx = Nginx::start(
        &host,
        &NGINX
            .map(|port| format!("{port} backlog=256"))
            .each_ref()
            .map(String::as_str),
    )?;
    let application = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/application.py");
    let mut command = host.command("python3");
    command
        .arg(application)
        .arg(&log)
        .args(PYTHON.map(|port| port.to_string()));
    let _python = Process::start(&mut command, &dir.path().join("out.log"))?;
    let agent = Agent::start(&host, SECTIONS)?;
    let (_, good) = agent.issue(&[])?;
    let revoked = say(
        &mut agent.command(["revoke", "--stdin", "--yes"]),
        "REVOKEDTOK\n",
    )?;
    ensure!(revoked.code == Some(0), "{revoked:?}");
    let cases: Vec<Case> = CASES
        .lines()
        .map(|line| Case::read(line, &good).with_context(|| line.to_owned()))
        .collect::<Result<_>>()?;
    for port in PYTHON {
        wait_for("the application", || {
            let mut connect = host.command("python3");
            let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
            Ok(connect
                .args(["-c", &script])
                .stderr(Stdio::null())
                .status()?
                .success())
        })?;
    }
    let events = dir.path().join("events");
    let mut follow = agent.command(["--json", "events", "--follow"]);
    let _follower = Process::start(&mut follow, &events)?;
    thread::sleep(Duration::from_millis(300));

    let on_nginx = play(&host, &cases, NGINX[0], NGINX[1])?;
    let on_python = play(&host, &cases, PYTHON[0], PYTHON[1])?;
    // Both logs and the trail are complete when what is sent last has arrived there.
    thread::sleep(Duration::from_millis(500));
    let denied = denials(&fs::read_to_string(&events)?)?;
    let nginx_saw = logged(&nginx.connections())?;
    let python_saw = logged(&fs::read_to_string(&log)?)?;
    let mut wrong = differences("nginx", &cases, &on_nginx, &nginx_saw, &denied, &good);
    wrong.extend(differences(
        "python",
        &cases,
        &on_python,
        &python_saw,
        &denied,
        &good,
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The same without the guard: the cases are no blanks.
    play(&host, &cases, NGINX[2], NGINX[2])?;
    play(&host, &cases, PYTHON[2], PYTHON[2])?;
    for (server, log) in [
        ("nginx", nginx.connections()),
        ("python", fs::read_to_string(&log)?),
    ] {
        let served = log
            .lines()
            .filter(|line| line.contains("REVOKEDTOK"))
            .count();
        ensure!(
            served >= 60,
            "{server} served only {served} revoked requests unguarded"
        );
    }
    Ok(())
}
