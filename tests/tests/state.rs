//! What the agent keeps: tokens and revocations over restarts, never a secret,
//! and its state directory for itself.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, bearer, curl, is_denied, run, wait_for},
    said::{exit_code, request, run_daemon, say, send_once},
};

const SERVICE: &str =
    "[datapath]\ninterfaces = [\"lo\"]\n[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

fn mode(path: &Path) -> Result<u32> {
    Ok(path.symlink_metadata()?.permissions().mode() & 0o7777)
}

/// All bytes of all files below `dir`.
fn contents(dir: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        bytes.extend(if path.is_dir() {
            contents(&path)?
        } else {
            fs::read(&path)?
        });
    }
    Ok(bytes)
}

#[test]
fn secrets_are_told_once_and_kept_nowhere() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, SERVICE)?;
    let (kept, one) = agent.issue(&[])?;
    let (revoked, two) = agent.issue(&[])?;
    let foreign = "never-issued-here-0123456789";
    for secret in [&one, &two, &String::from(foreign)] {
        send_once(&host, ("127.0.0.1", 8080), &request(Some(secret)), 1)?;
        say(
            &mut agent.command(["explain", "--service", "web", "--stdin"]),
            secret,
        )?;
    }
    agent.tell(["revoke", &revoked])?;
    say(
        &mut agent.command(["revoke", "--stdin"]),
        &format!("{two}\n{foreign}"),
    )?;
    for secret in [two.as_str(), foreign] {
        send_once(&host, ("127.0.0.1", 8080), &request(Some(secret)), 1)?;
    }
    // People paste secrets where ids belong.
    for args in [["show", &one], ["revoke", &one]] {
        let said = say(&mut agent.command(args), "")?;
        assert_eq!(said.code, Some(2));
        assert!(
            !said.err.contains(&one),
            "{}: the secret is repeated",
            args[0]
        );
    }
    // And where words belong.
    let purpose = format!("for {one}");
    for args in [
        &["issue", "--owner", &one, "--purpose", "p"] as &[&str],
        &["issue", "--owner", "o", "--purpose", &purpose],
        &["revoke", &kept, "--reason", &one],
        &["list", "--state", &one],
        &["guard", "web", "--mode", &one],
    ] {
        let said = say(&mut agent.command(args), "")?;
        assert_eq!(said.code, Some(2), "{}", args[0]);
        assert!(
            !(said.out + &said.err).contains(&one[4..]),
            "{}: the secret is repeated",
            args[0]
        );
    }
    let answer = agent.get(&format!("/v1/tokens?state={one}"))?;
    assert!(
        answer.contains("bad_request") && !answer.contains(&one[4..]),
        "the secret is repeated"
    );
    wait_for("the denials to be told", || {
        Ok(agent.tell(["events"])?.matches("revoked").count() == 2)
    })?;

    let mut told = agent.log();
    for args in [
        &["list"] as &[&str],
        &["show", &kept],
        &["show", &revoked],
        &["events"],
        &["status"],
    ] {
        told += &agent.tell(args)?;
        told += &agent.tell([&["--json"], args].concat())?;
    }
    told += &agent.metrics()?;
    assert!(
        told.contains(&kept) && agent.log().contains("issued a token"),
        "what is searched is there"
    );
    let state = contents(&agent.state_dir())?;
    assert!(
        state
            .windows(kept.len())
            .any(|part| part == kept.as_bytes()),
        "what is searched is there"
    );
    for secret in [one.as_str(), &two, foreign] {
        // A part of it would be too much as well.
        let part = &secret[secret.len() - 20..];
        assert!(!told.contains(part), "a secret was told");
        assert!(
            !state
                .windows(part.len())
                .any(|found| found == part.as_bytes()),
            "a secret was kept"
        );
    }
    let key = agent.state_dir().join("hash.key");
    assert_eq!((mode(&key)?, key.metadata()?.len()), (0o600, 32));
    assert_eq!(mode(&agent.state_dir())?, 0o700);
    for entry in fs::read_dir(agent.state_dir())? {
        let path = entry?.path();
        assert_eq!(mode(&path)? & 0o077, 0, "{}", path.display());
    }
    Ok(())
}

#[test]
fn a_state_directory_has_one_agent() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SERVICE)?;
    let (id, _) = agent.issue(&[])?;
    let pins = || run(Command::new("ls").arg("-lR").arg(agent.pin_dir()));
    let before = pins()?;
    let said = run_daemon(&host, &agent, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("another token-agent answers on"),
        "{said:?}"
    );

    // By another socket, too.
    let other = Agent::prepare(&host, "")?;
    let text = fs::read_to_string(agent.config())?;
    let socket = |agent: &Agent<'_>| agent.socket().display().to_string();
    ensure!(text.contains(&socket(&agent)), "{text}");
    fs::write(
        other.config(),
        text.replace(&socket(&agent), &socket(&other)),
    )?;
    let said = run_daemon(&host, &other, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("holds the lock"), "{said:?}");
    assert!(!other.socket().exists());

    assert_eq!(pins()?, before);
    let (code, shown) = agent.json(&["show", &id])?;
    assert_eq!((code, &shown["state"]), (Some(0), &json!("active")));
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    Ok(())
}

/// An agent with a socket and a state of its own, and the first one's pins.
fn with_the_pins_of<'a>(host: &'a Namespace, first: &Agent<'_>) -> Result<Agent<'a>> {
    let second = Agent::prepare(host, SERVICE)?;
    let text = fs::read_to_string(second.config())?
        .replace(":9977", ":9978")
        .replace(
            &second.pin_dir().display().to_string(),
            &first.pin_dir().display().to_string(),
        );
    fs::write(second.config(), text)?;
    Ok(second)
}

#[test]
fn a_directory_of_pins_has_one_agent() -> Result<()> {
    let host = Namespace::new()?;
    let mut first = Agent::start(&host, SERVICE)?;
    let mut second = with_the_pins_of(&host, &first)?;
    let config = second.config().display().to_string();
    let is_refused = |second: &Agent<'_>| -> Result<()> {
        let said = run_daemon(&host, second, &[])?;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(
            said.err.contains("another token-agent holds the lock on")
                && said.err.contains("set another agent.pin_dir"),
            "{said:?}"
        );
        assert!(!second.socket().exists() && !second.state_dir().exists());
        Ok(())
    };
    is_refused(&second)?;
    assert_eq!(exit_code(&first, &["status"])?, Some(0));
    // Its place stays, also when there is nothing in it any more.
    first.tell(["detach", "--config", &config, "--all", "--yes"])?;
    is_refused(&second)?;
    first.stop(Signal::SIGTERM)?;
    assert!(!first.pin_dir().exists());
    // A dead agent holds nothing.
    first.run()?;
    first.stop(Signal::SIGKILL)?;
    assert!(first.pin_dir().exists());
    second.run()?;
    assert_eq!(exit_code(&second, &["status"])?, Some(0));
    let said = run_daemon(&host, &first, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    second.stop(Signal::SIGTERM)?;
    first.run()?;
    assert_eq!(exit_code(&first, &["status"])?, Some(0));
    first.stop(Signal::SIGTERM)?;
    first.tell(["detach", "--config", &config, "--all", "--yes"])?;
    assert!(!first.pin_dir().exists());
    Ok(())
}

#[test]
fn a_restart_keeps_tokens_and_revocations() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let mut agent = Agent::start(&host, SERVICE)?;
    let (_, good) = agent.issue(&[])?;
    let (revoked, gone) = agent.issue(&[])?;
    agent.tell(["revoke", &revoked, "--reason", "leaked"])?;
    say(&mut agent.command(["revoke", "--stdin"]), "foreign")?;
    let list = agent.json(&["list"])?;
    let key = fs::read(agent.state_dir().join("hash.key"))?;
    let url = "http://127.0.0.1:8080/";
    let (with_good, with_gone) = (["-H", &bearer(&good)], ["-H", &bearer(&gone)]);
    let revision =
        |agent: &Agent<'_>| -> Result<Value> { Ok(agent.json(&["status"])?.1["revision"].clone()) };
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let before = revision(&agent)?;
        assert!(
            before["store"].as_u64() >= Some(4) && before["store"] == before["kernel"],
            "{before}"
        );
        agent.stop(signal)?;
        agent.run()?;
        assert_eq!(agent.json(&["list"])?, list, "{signal}");
        assert_eq!(revision(&agent)?, before, "{signal}");
        assert_eq!(curl(&host, url, &with_good)?, Some(200), "{signal}");
        assert!(is_denied(&host, url, &with_gone)?, "{signal}");
        let again = say(
            &mut agent.command(["--json", "revoke", "--stdin"]),
            "foreign",
        )?
        .json()?;
        assert_eq!(again["count"], 0, "{signal}");
    }
    assert_eq!(fs::read(agent.state_dir().join("hash.key"))?, key);
    assert_eq!(nginx.wait_for_requests(2)?.len(), 2);
    Ok(())
}
