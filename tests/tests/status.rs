//! What the agent says of a request and of itself: `explain`, `guard` and `status`.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, Process, curl, run, wait_for},
    said::{done, exit_code, names, say, words},
};

const SECTIONS: &str = "[datapath]\ninterfaces = [\"lo\"]\n\
    [tokens]\nmax_ttl = \"48h\"\n\
    [[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n\
    [[service]]\nname = \"keys\"\nlisten = [\"*:8081\"]\nheader = \"x-api-key\"\n";

const UNKNOWN_ID: &str = "t-0000000000000000";

#[test]
fn explanations_name_the_reason() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let (good_id, good) = agent.issue(&["--service", "web"])?;
    let (revoked_id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &revoked_id])?;
    let later = Timestamp::now().as_second() + 3_600;
    let later = Timestamp::from_second(later)?.to_string();
    let (pending_id, pending) = agent.issue(&["--not-before", &later])?;
    let (expired_id, expired) = agent.issue(&["--ttl", "1s"])?;
    thread::sleep(Duration::from_millis(1_100));
    let long = "k".repeat(8_193);

    let web = &["--service", "web"] as &[&str];
    let connect = &["--service", "web", "--method", "CONNECT", "--path", "a:1"] as &[&str];
    let odd = &["--service", "web", "--method", "G T"] as &[&str];
    let keys = &["--service", "keys"] as &[&str];
    for (args, secret, reason, id, status) in [
        (
            web,
            Some(good.as_str()),
            "allowed",
            Some(&good_id),
            Value::Null,
        ),
        (
            web,
            Some(&revoked),
            "revoked",
            Some(&revoked_id),
            json!(401),
        ),
        (
            web,
            Some(&pending),
            "not_yet_valid",
            Some(&pending_id),
            json!(401),
        ),
        (
            web,
            Some(&expired),
            "expired",
            Some(&expired_id),
            json!(401),
        ),
        (
            keys,
            Some(&good),
            "wrong_service",
            Some(&good_id),
            json!(401),
        ),
        (web, Some("nobody"), "unknown", None, json!(401)),
        (
            web,
            Some("not a token"),
            "malformed_token",
            None,
            json!(401),
        ),
        (web, Some(&long), "credential_too_long", None, json!(401)),
        (web, None, "missing", None, json!(401)),
        (odd, Some(&good), "malformed", None, json!(400)),
        (connect, Some(&good), "upgrade_refused", None, json!(400)),
    ] {
        let more = if secret.is_some() {
            &["--stdin"] as &[&str]
        } else {
            &[]
        };
        let args = [&["--json", "explain", "--exit-code"], args, more].concat();
        let said = say(&mut agent.command(&args), secret.unwrap_or_default())?;
        let told = said.json()?;
        assert_eq!(told["reason"], reason, "{told}");
        let verdict = if reason == "allowed" {
            ("allow", Some(0))
        } else {
            ("deny", Some(1))
        };
        assert_eq!(
            (told["verdict"].as_str(), said.code),
            (Some(verdict.0), verdict.1),
            "{told}"
        );
        assert_eq!(
            (told["id"].as_str(), &told["http_status"]),
            (id.map(String::as_str), &status),
            "{told}"
        );
        assert_eq!(
            names(&told),
            words("schema_version verdict reason service route id requires http_status")
        );
    }
    for (service, id, reason) in [
        ("web", &good_id, "allowed"),
        ("keys", &good_id, "wrong_service"),
        ("web", &revoked_id, "revoked"),
        ("web", &expired_id, "expired"),
    ] {
        // Without --exit-code the question was answered, whatever the verdict.
        let told = done(&agent, &["explain", "--service", service, "--id", id])?;
        assert_eq!(
            (&told["reason"], &told["id"]),
            (&json!(reason), &json!(id)),
            "{told}"
        );
    }
    assert_eq!(
        exit_code(&agent, &["explain", "--service", "web", "--id", UNKNOWN_ID])?,
        Some(1)
    );
    assert_eq!(
        exit_code(&agent, &["explain", "--service", "nowhere"])?,
        Some(1)
    );
    // The same tokens at another time.
    for (id, at, reason) in [
        (&pending_id, later.as_str(), "allowed"),
        (&good_id, "2001-01-01T00:00:00Z", "not_yet_valid"),
        (&good_id, "2099-01-01T00:00:00Z", "expired"),
    ] {
        let told = done(
            &agent,
            &["explain", "--service", "web", "--id", id, "--at", at],
        )?;
        assert_eq!(told["reason"], reason, "{told}");
    }
    Ok(())
}

#[test]
fn status_tells_of_the_guard_by_its_exit_code() -> Result<()> {
    let host = Namespace::new()?;
    let mut agent = Agent::start(&host, SECTIONS)?;
    let status = done(&agent, &["status"])?;
    assert_eq!(
        names(&status),
        words(
            "schema_version enforcing degraded notes since version interfaces services tokens maps
             revision overrides"
        )
    );
    assert_eq!(
        (&status["enforcing"], &status["degraded"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        names(&status["interfaces"][0]),
        words("name ifindex facing hook mode state")
    );
    let none = json!({"adopted": 0, "closed": 0, "left": 0});
    assert_eq!(
        status["services"],
        json!([{"name": "web", "mode": "enforce", "on_deny": "drop", "uncovered": [], "older_connections": none},
               {"name": "keys", "mode": "enforce", "on_deny": "drop", "uncovered": [], "older_connections": none}])
    );

    let answer = done(&agent, &["guard", "web", "--mode", "monitor"])?;
    assert_eq!(
        names(&answer),
        words("schema_version service mode configured until")
    );
    assert_eq!(
        (&answer["configured"], &answer["until"]),
        (&json!("enforce"), &Value::Null)
    );
    let (code, status) = agent.json(&["status"])?;
    assert_eq!(
        (code, status["degraded"].as_array().map(Vec::len)),
        (Some(3), Some(1)),
        "{status}"
    );
    assert_eq!(
        status["overrides"],
        json!([{"service": "web", "mode": "monitor", "until": null}])
    );
    assert_eq!(exit_code(&agent, &["status", "--wait", "1s"])?, Some(3));
    done(&agent, &["guard", "keys", "--mode", "monitor"])?;
    let (code, status) = agent.json(&["status"])?;
    // With the last service that enforced, enforcement ends: that is no mere impairment any more.
    assert_eq!(
        (
            code,
            &status["enforcing"],
            status["degraded"].as_array().map(Vec::len)
        ),
        (Some(4), &json!(false), Some(2)),
        "{status}"
    );
    done(&agent, &["guard", "keys", "--mode", "enforce"])?;
    // By itself well again: whoever waits for that is told.
    let answer = done(
        &agent,
        &["guard", "web", "--mode", "monitor", "--for", "5s"],
    )?;
    let until: Timestamp = answer["until"].as_str().context("an end")?.parse()?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(3));
    assert_eq!(exit_code(&agent, &["status", "--wait", "30s"])?, Some(0));
    assert!(Timestamp::now() >= until, "{until}");
    assert_eq!(
        exit_code(
            &agent,
            &["guard", "web", "--mode", "monitor", "--for", "0s"]
        )?,
        Some(2)
    );

    assert_eq!(agent.stop(Signal::SIGTERM)?, Some(0));
    for args in [
        &["status"] as &[&str],
        &["status", "--wait", "1s"],
        &["list"],
        &["revoke", UNKNOWN_ID],
    ] {
        let said = say(&mut agent.command(args), "")?;
        assert_eq!(said.code, Some(69), "{args:?}: {said:?}");
    }
    // Waiting goes on while the daemon starts.
    let (mut waiting, _output) =
        Process::follow(&mut agent.command(["status", "--wait", "30s", "--quiet"]))?;
    agent.run()?;
    assert_eq!(waiting.wait()?, Some(0));
    Ok(())
}

#[test]
fn a_daemon_that_hangs_is_not_waited_for_any_longer() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    agent.signal(Signal::SIGSTOP)?;
    let begun = Instant::now();
    let said = say(&mut agent.command(["status", "--wait", "2s"]), "")?;
    let took = begun.elapsed();
    agent.signal(Signal::SIGCONT)?;
    assert_eq!(said.code, Some(69), "{said:?}");
    assert!(said.err.contains("timed out"), "{said:?}");
    // More than was asked for is for a slow machine; an answer may take longer by far.
    let expected = Duration::from_secs(2)..Duration::from_secs(12);
    assert!(expected.contains(&took), "{took:?}");
    // What is not well until the end is told as it is.
    done(&agent, &["guard", "web", "--mode", "monitor"])?;
    let begun = Instant::now();
    assert_eq!(exit_code(&agent, &["status", "--wait", "2s"])?, Some(3));
    assert!(expected.contains(&begun.elapsed()));
    assert_eq!(exit_code(&agent, &["status", "--wait", "0s"])?, Some(3));
    Ok(())
}

const ONE_SERVICE: &str = "[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

fn guarding(interfaces: &str, hook: &str) -> String {
    format!("[datapath]\ninterfaces = [{interfaces}]\nhook = \"{hook}\"\n{ONE_SERVICE}")
}

fn detach(agent: &Agent<'_>, which: &[&str]) -> Result<String> {
    let config = agent.config().display().to_string();
    agent.tell([&["detach", "--yes", "--config", &config], which].concat())
}

/// Name, state and reason of each interface.
fn interfaces(status: &Value) -> Vec<(&str, &str, &str)> {
    status["interfaces"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|interface| {
            let word = |name: &str| interface[name].as_str().unwrap_or_default();
            (word("name"), word("state"), word("error"))
        })
        .collect()
}

#[test]
fn a_guard_taken_off_is_told() -> Result<()> {
    for hook in ["tc", "xdp-generic", "clsact"] {
        let host = Namespace::new()?;
        let _nginx = Nginx::start(&host, &["8080"])?;
        let mut agent = Agent::start(&host, &guarding("\"lo\"", hook))?;
        let (id, _) = agent.issue(&[])?;
        done(&agent, &["status"])?;
        detach(&agent, &["--all"])?;
        assert_eq!(
            curl(&host, "http://127.0.0.1:8080/", &[])?,
            Some(200),
            "{hook}: it is off"
        );
        // Nobody has to ask.
        wait_for("the agent to notice", || {
            Ok(agent.log().contains("no interface is guarded any more"))
        })?;
        let (code, status) = agent.json(&["status"])?;
        assert_eq!(
            (code, &status["enforcing"]),
            (Some(4), &json!(false)),
            "{hook}: {status}"
        );
        let [("lo", "failed", why)] = interfaces(&status)[..] else {
            panic!("{hook}: {status}");
        };
        assert!(
            why.contains("detached") && why.contains("restart the agent"),
            "{why}"
        );
        let config = agent.config().display().to_string();
        let (code, doctor) = agent.json(&["doctor", "--config", &config])?;
        assert_eq!(
            (code, &doctor["findings"][0]["id"]),
            (Some(1), &json!("not-guarded")),
            "{hook}: {doctor}"
        );
        // A revocation is kept, and does not pass for one that is in force.
        let said = say(&mut agent.command(["--json", "revoke", &id]), "")?;
        let answer = said.json()?;
        assert_eq!(
            (said.code, &answer["count"], &answer["enforced"]),
            (Some(4), &json!(1), &json!(false)),
            "{said:?}"
        );
        assert!(
            said.err.contains("no interface is guarded")
                && answer["warnings"].to_string().contains("restart the agent"),
            "{said:?}"
        );
        // As it was told.
        agent.stop(Signal::SIGTERM)?;
        agent.run()?;
        done(&agent, &["status"])?;
        done(&agent, &["revoke", &id])?;
        detach(&agent, &["--all"])?;
    }
    Ok(())
}

#[test]
fn interfaces_that_come_and_go_are_told() -> Result<()> {
    for hook in ["tc", "xdp-generic", "clsact"] {
        let host = Namespace::new()?;
        let ip = |args: &str| run(host.command("ip").args(args.split(' ')));
        ip("link add wire0 type veth peer name far0")?;
        let mut agent = Agent::start(&host, &guarding("\"lo\", \"wire*\"", hook))?;
        let (id, _) = agent.issue(&[])?;
        let wire = |agent: &Agent<'_>, exit: i32| -> Result<Vec<(String, String)>> {
            let (code, status) = agent.json(&["status"])?;
            assert_eq!(code, Some(exit), "{hook}: {status}");
            let told = interfaces(&status);
            assert_eq!(told[0], ("lo", "attached", ""), "{hook}: {status}");
            let rest = told[1..].iter();
            Ok(rest
                .map(|(name, state, why)| (format!("{name} {state}"), (*why).to_owned()))
                .collect())
        };
        assert_eq!(wire(&agent, 0)?[0].0, "wire0 attached");
        ip("link del wire0")?;
        let told = wire(&agent, 3)?;
        assert_eq!((told.len(), told[0].0.as_str()), (1, "wire0 missing"));
        ip("link add wire0 type veth peer name far0")?;
        ip("link add wire1 type veth peer name far1")?;
        let mut told = wire(&agent, 3)?;
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        for ((state, why), name) in told.iter().zip(["wire0", "wire1"]) {
            assert_eq!(*state, format!("{name} failed"));
            assert!(
                why.contains("appeared after the agent started"),
                "{hook}: {why}"
            );
            wait_for("the log", || {
                Ok(agent
                    .log()
                    .lines()
                    .any(|line| line.contains("WARN") && line.contains(name)))
            })?;
        }
        // Where the guard is, the revocation is in force; where it is not, that is said.
        let said = say(&mut agent.command(["--json", "revoke", &id]), "")?;
        let answer = said.json()?;
        assert_eq!((said.code, &answer["enforced"]), (Some(0), &json!(true)));
        assert!(
            said.err.contains("wire0") && said.err.contains("wire1"),
            "{said:?}"
        );
        // As it was told.
        agent.stop(Signal::SIGTERM)?;
        agent.run()?;
        assert_eq!(wire(&agent, 0)?.len(), 2, "{hook}");
        // Another name changes nothing for packets.
        ip("link set wire1 down")?;
        ip("link set wire1 name wire2")?;
        let told = wire(&agent, 0)?;
        assert!(
            told.iter().any(|(state, _)| state == "wire2 attached"),
            "{told:?}"
        );
        detach(&agent, &["--all"])?;
    }
    Ok(())
}

#[test]
fn a_revocation_says_where_nothing_is_denied() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, &guarding("\"lo\"", "tc"))?;
    let (id, _) = agent.issue(&[])?;
    done(&agent, &["guard", "web", "--mode", "monitor"])?;
    let said = say(&mut agent.command(["revoke", &id]), "")?;
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.err.contains("only monitored"), "{said:?}");
    done(&agent, &["guard", "web", "--mode", "enforce"])?;
    let said = say(&mut agent.command(["revoke", &id]), "")?;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    Ok(())
}
