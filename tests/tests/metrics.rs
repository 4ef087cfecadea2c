//! The metrics equal what was sent, and are served as the format wants them.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, curl, run, wait_for},
    said::{exit_code, request, samples, say, send_once},
};

const SECTIONS: &str = "[datapath]\ninterfaces = [\"lo\"]\nmax_tokens = 4096\n\
    [[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n\
    [[service]]\nname = \"watched\"\nlisten = [\"*:8081\"]\nmode = \"monitor\"\n";

fn requests(samples: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let is_request = |(name, _): &(&String, &u64)| name.starts_with("token_agent_requests_total");
    samples
        .iter()
        .filter(is_request)
        .map(|(name, count)| (name.clone(), *count))
        .collect()
}

#[test]
fn counters_equal_what_was_sent() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080", "8081"])?;
    let agent = Agent::start(&host, SECTIONS)?;
    assert_eq!(
        requests(&samples(&agent)?),
        BTreeMap::new(),
        "nothing was sent"
    );
    let (_, good) = agent.issue(&[])?;
    let (_, elsewhere) = agent.issue(&["--service", "watched"])?;
    let (revoked_id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &revoked_id])?;
    let cases = [
        ("web", request(Some(&good)), "allow", "allowed", 7),
        ("web", request(Some(&revoked)), "deny", "revoked", 5),
        ("web", request(Some(&elsewhere)), "deny", "wrong_service", 4),
        ("web", request(Some("nobody")), "deny", "unknown", 3),
        ("web", request(None), "deny", "missing", 2),
        ("web", "EHLO example.org\r\n".into(), "deny", "malformed", 1),
        ("watched", request(Some(&elsewhere)), "allow", "allowed", 3),
        ("watched", request(Some(&revoked)), "deny", "revoked", 2),
        ("watched", request(None), "deny", "missing", 1),
    ];
    let mut expected = BTreeMap::new();
    for (service, bytes, verdict, reason, times) in cases {
        let (port, enforced) = if service == "web" {
            (8080, true)
        } else {
            (8081, false)
        };
        send_once(&host, ("127.0.0.1", port), &bytes, times)?;
        let labels = format!(
            "service=\"{service}\",verdict=\"{verdict}\",reason=\"{reason}\",enforced=\"{enforced}\""
        );
        expected.insert(
            format!("token_agent_requests_total{{{labels}}}"),
            u64::from(times),
        );
    }
    // Behind what was dropped, the RST of who sent it stands where the server would not take it.
    let labels = r#"service="web",verdict="deny",reason="bad_packet",enforced="true""#;
    expected.insert(format!("token_agent_requests_total{{{labels}}}"), 15);
    let counted = || -> Result<_> { Ok(requests(&samples(&agent)?)) };
    wait_for("the requests to be counted", || {
        Ok(counted()?.values().sum::<u64>() >= expected.values().sum::<u64>())
    })?;
    assert_eq!(counted()?, expected);
    // Reading does not count, and a service enforced by command counts under that.
    agent.tell(["guard", "watched", "--mode", "enforce"])?;
    send_once(&host, ("127.0.0.1", 8081), &request(Some("nobody")), 2)?;
    let labels = r#"service="watched",verdict="deny",reason="unknown",enforced="true""#;
    expected.insert(format!("token_agent_requests_total{{{labels}}}"), 2);
    let labels = r#"service="watched",verdict="deny",reason="bad_packet",enforced="true""#;
    expected.insert(format!("token_agent_requests_total{{{labels}}}"), 2);
    wait_for("the last ones to be counted", || Ok(counted()? == expected))?;
    thread::sleep(Duration::from_millis(300));
    assert_eq!(counted()?, expected);
    Ok(())
}

#[test]
fn tokens_maps_and_revisions_are_told() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    for _ in 0..3 {
        agent.issue(&[])?;
    }
    agent.issue(&["--not-before", &later])?;
    let (revoked, _) = agent.issue(&["--service", "web"])?;
    agent.tell(["revoke", &revoked])?;
    say(&mut agent.command(["revoke", "--stdin"]), "foreign")?;
    agent.issue(&["--ttl", "1s"])?;
    thread::sleep(Duration::from_millis(1_100));
    let samples = samples(&agent)?;
    for (name, value) in [
        (r#"token_agent_tokens{state="active"}"#, 3),
        (r#"token_agent_tokens{state="pending"}"#, 1),
        (r#"token_agent_tokens{state="revoked"}"#, 1),
        (r#"token_agent_tokens{state="expired"}"#, 1),
        (r#"token_agent_map_capacity{map="tokens"}"#, 4_096),
        // The kernel knows the dead ones and the foreign one, to name the reason.
        (r#"token_agent_map_entries{map="tokens"}"#, 7),
        (r#"token_agent_map_entries{map="audiences"}"#, 1),
        (r#"token_agent_revision{side="store"}"#, 8),
        (r#"token_agent_revision{side="kernel"}"#, 8),
        (r#"token_agent_events_lost_total{where="kernel"}"#, 0),
        (r#"token_agent_events_lost_total{where="agent"}"#, 0),
        (r#"token_agent_events_lost_total{where="follower"}"#, 0),
        (
            &format!(
                "token_agent_build_info{{version=\"{}\"}}",
                env!("CARGO_PKG_VERSION")
            ),
            1,
        ),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name} in {samples:#?}");
    }
    let (_, status) = agent.json(&["status"])?;
    assert_eq!(
        status["tokens"],
        serde_json::json!({"active": 3, "pending": 1, "expired": 1, "revoked": 1})
    );
    let maps = status["maps"].as_array().context("maps")?;
    for map in maps {
        let entries = format!("token_agent_map_entries{{map={}}}", map["name"]);
        assert_eq!(
            samples.get(&entries).copied(),
            map["used"].as_u64(),
            "{map}"
        );
    }
    Ok(())
}

#[test]
fn they_are_served_by_tcp_and_by_the_socket() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let mut answers = Vec::new();
    for socket in [None, Some(agent.socket())] {
        let mut command = host.command("curl");
        command.args([
            "--silent",
            "--include",
            "--noproxy",
            "*",
            "http://127.0.0.1:9977/metrics",
        ]);
        command.args(
            socket
                .iter()
                .flat_map(|path| ["--unix-socket".as_ref(), path.as_os_str()]),
        );
        let answer = run(&mut command)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("a head")?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let wanted = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(
            head.to_lowercase().lines().any(|line| line == wanted),
            "{head}"
        );
        assert!(body.ends_with("# EOF\n"), "{body}");
        assert_eq!(body.matches("# EOF").count(), 1);
        for line in body.lines().filter(|line| line.starts_with("# TYPE ")) {
            assert!(line.starts_with("# TYPE token_agent_"), "{line}");
        }
        answers.push(body.to_owned());
    }
    assert_eq!(answers[0], answers[1]);
    // The port tells numbers and does nothing.
    for (path, more) in [
        ("/", &[] as &[&str]),
        ("/v1/status", &[]),
        ("/v1/tokens", &[]),
        ("/v1/revoke", &["--data", "{\"all\":true}"]),
    ] {
        let url = format!("http://127.0.0.1:9977{path}");
        assert_eq!(curl(&host, &url, more)?, Some(404), "{path}");
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_degrades_and_does_not_stop_the_guard() -> Result<()> {
    let host = Namespace::new()?;
    let taken = Nginx::start(&host, &["127.0.0.1:9977"])?;
    let mut agent = Agent::start(&host, SECTIONS)?;
    let (code, status) = agent.json(&["status"])?;
    assert_eq!(
        (code, &status["enforcing"]),
        (Some(3), &serde_json::json!(true)),
        "{status}"
    );
    let why = status["degraded"][0].as_str().context("a reason")?;
    assert!(why.contains("127.0.0.1:9977"), "{why}");
    assert!(agent.get("/metrics")?.ends_with("# EOF\n"));
    agent.stop(Signal::SIGTERM)?;
    drop(taken);
    agent.run()?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    Ok(())
}
