//! What is wrong is told, with what to do about it, and leaves everything as it was.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::json;
use token_agent_tests::{
    host::{Agent, Namespace, binary},
    said::{done, run_daemon, say},
};

const SERVICE: &str = "[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

fn guarding(interfaces: &str) -> String {
    format!("[datapath]\ninterfaces = [{interfaces}]\n{SERVICE}")
}

/// Every file below `dir` and what is in it.
fn snapshot(dir: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.insert(path.clone(), Vec::new());
            files.extend(snapshot(&path)?);
        } else {
            files.insert(path.clone(), fs::read(&path)?);
        }
    }
    Ok(files)
}

#[test]
fn a_bad_configuration_is_told_by_line_and_touches_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("config.toml");
    let base = format!(
        "[agent]\nstate_dir = \"{0}/state\"\nsocket = \"{0}/run/sock\"\npin_dir = \"{0}/pins\"\n\
         [datapath]\ninterfaces = [\"eth0\"]\n\
         [[service]]\nname = \"web\"\nlisten = [\"10.0.0.5:8080\"]\n",
        dir.path().display()
    );
    let check = |text: &str| {
        fs::write(&path, text)?;
        let before = snapshot(dir.path())?;
        let mut command = Command::new(binary()?);
        let said = say(command.args(["--json", "check", "--config"]).arg(&path), "")?;
        let mut plain = Command::new(binary()?);
        let told = say(plain.args(["check", "--config"]).arg(&path), "")?;
        let mut run = Command::new("timeout");
        let ran = say(
            run.arg("10")
                .arg(binary()?)
                .args(["run", "--config"])
                .arg(&path),
            "",
        )?;
        assert_eq!(snapshot(dir.path())?, before, "{text}");
        anyhow::Ok((said, told, ran))
    };
    for (more, line, words) in [
        (
            "heder = \"x\"\n",
            10,
            &["heder", "did you mean", "header"] as &[&str],
        ),
        ("mod = \"monitor\"\n", 10, &["mod", "mode"]),
        ("listen = [\"*:81\"]\n", 10, &["listen"]),
        (
            "on_deny = \"reset\"\n",
            10,
            &["on_deny", "write on_deny = \"drop\""],
        ),
        (
            "on_deny = \"respond\"\n",
            10,
            &["on_deny", "write on_deny = \"drop\""],
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\"localhost:80\"]\n",
            12,
            &["localhost:80", "IP address"],
        ),
        (
            "[[service]]\nname = \"b\"\nlisten = [\"10.0.0.5:8080\"]\n",
            12,
            &["already guarded", "web", ":9"],
        ),
        (
            "[[service]]\nname = \"web\"\nlisten = [\"*:81\"]\n",
            11,
            &["already the name"],
        ),
        ("[metrics]\nlisten = \"9977\"\n", 11, &["127.0.0.1:9977"]),
        (
            "[tokens]\ndefault_ttl = \"1w\"\n",
            11,
            &["default_ttl", "30d"],
        ),
        (
            "[[rotation]]\nname = \"x\"\n",
            10,
            &["rotation", "not supported by this version"],
        ),
        ("[datapth]\nhook = \"tc\"\n", 10, &["datapth", "datapath"]),
        ("name = \n", 10, &[]),
    ] {
        let (said, told, ran) = check(&format!("{base}{more}"))?;
        assert_eq!(
            (said.code, told.code, ran.code),
            (Some(78), Some(78), Some(78)),
            "{more}: {said:?} {ran:?}"
        );
        let json = said.json()?;
        assert_eq!(json["valid"], false, "{json}");
        assert_eq!(json["errors"].as_array().map(Vec::len), Some(1), "{json}");
        assert_eq!(
            (&json["errors"][0]["line"], &json["errors"][0]["file"]),
            (&json!(line), &json!(path)),
            "{json}"
        );
        for text in [&told.out, &ran.err] {
            assert!(
                text.contains(&format!("{}:{line}: ", path.display())),
                "{more}: {text}"
            );
            for word in words {
                assert!(text.contains(word), "{more}: {word} in {text}");
            }
        }
    }
    let two = format!("{base}heder = \"x\"\n[metrics]\nlisten = \"9977\"\n");
    assert_eq!(
        check(&two)?.0.json()?["errors"].as_array().map(Vec::len),
        Some(2),
        "all at once"
    );
    let mut good = Command::new(binary()?);
    fs::write(&path, &base)?;
    let before = snapshot(dir.path())?;
    let said = say(good.args(["--json", "check", "--config"]).arg(&path), "")?;
    assert_eq!(
        (said.code, &said.json()?["valid"]),
        (Some(0), &json!(true)),
        "{said:?}"
    );
    assert_eq!(snapshot(dir.path())?, before);
    let mut missing = Command::new(binary()?);
    let said = say(
        missing
            .args(["check", "--config"])
            .arg(dir.path().join("none.toml")),
        "",
    )?;
    assert_eq!(said.code, Some(78), "{said:?}");
    Ok(())
}

#[test]
fn a_bad_command_line_is_refused_without_a_daemon() -> Result<()> {
    for (line, told) in [
        ("issue --owner a", "--purpose"),
        ("issue --purpose b", "--owner"),
        ("issue --owner a --purpose b --ttl 1w", "--ttl"),
        ("issue --owner a --purpose b --ttl 90", "--ttl"),
        (
            "issue --owner a --purpose b --not-before tomorrow",
            "--not-before",
        ),
        ("issue --owner a/b --purpose b", "character 2"),
        (
            "issue --owner a --purpose b --scope x",
            "not in this version",
        ),
        (
            "issue --owner a --purpose b --output file:/x",
            "not in this version",
        ),
        ("list --unused 3d", "not in this version"),
        ("list --state dead", "possible values"),
        ("revoke --owner a", "not in this version"),
        ("revoke --family f-0000000000000000", "not in this version"),
        ("revoke t-0000000000000000 --wait 5s", "not in this version"),
        ("revoke --all", "--yes"),
        ("revoke", "required"),
        ("show 0000000000000000", "id"),
        ("explain --service a --at tomorrow", "--at"),
        ("guard web --mode off", "possible values"),
        ("guard web", "--mode"),
        ("rotate t-0000000000000000", "not in this version"),
        ("inspect --stdin", "not in this version"),
        ("import -", "not in this version"),
        ("audit verify", "not in this version"),
        ("reload", "not in this version"),
        ("selftest", "not in this version"),
        ("bugreport", "not in this version"),
        ("nonsense", "unrecognized subcommand"),
        ("detach", "--all"),
        ("run", "agent.socket"),
        ("status --wait soon", "--wait"),
    ] {
        let mut command = Command::new(binary()?);
        command
            .args(["--socket", "/nonexistent/socket"])
            .args(line.split(' '));
        let said = say(&mut command, "")?;
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(2), ""),
            "{line}: {said:?}"
        );
        assert!(said.err.contains(told), "{line}: {said:?}");
    }
    Ok(())
}

#[test]
fn the_daemon_ignores_no_option() -> Result<()> {
    let run = |args: &str| {
        let mut command = Command::new("timeout");
        command.arg("10").arg(binary()?).args(args.split(' '));
        // Set for all the other commands, it is no error.
        command.env("TOKEN_AGENT_SOCKET", "/nonexistent/socket");
        say(&mut command, "")
    };
    for (line, told) in [
        ("--socket /x run --config /nonexistent", "agent.socket"),
        ("run --socket /x --config /nonexistent", "agent.socket"),
        ("run --json --config /nonexistent", "--json"),
        ("--quiet run --config /nonexistent", "agent.log"),
    ] {
        let said = run(line)?;
        assert_eq!(said.code, Some(2), "{line}: {said:?}");
        assert!(said.err.contains(told), "{line}: {said:?}");
    }
    let said = run("run --config /nonexistent")?;
    assert_eq!(said.code, Some(78), "{said:?}");
    Ok(())
}

#[test]
fn a_guard_is_not_looked_for_where_nobody_said() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, &guarding("\"lo\""))?;
    let detach = |config: &Path| {
        let mut command = agent.command(["detach", "--all", "--yes", "--config"]);
        say(command.arg(config), "")
    };
    let dir = tempfile::tempdir()?;
    let broken = dir.path().join("broken.toml");
    fs::write(&broken, "[agent]\npin_dri = \"/x\"\n")?;
    for config in [&dir.path().join("none.toml"), &broken] {
        let said = detach(config)?;
        assert_eq!((said.code, said.out.as_str()), (Some(78), ""), "{said:?}");
        let told = config.display().to_string();
        assert!(said.err.contains(&told), "{said:?}");
        done(&agent, &["status"])?;
    }
    let pins = agent.pin_dir().display().to_string();
    for told in ["detached from lo", "no interface is guarded"] {
        let said = detach(&agent.config())?;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(
            said.out.contains(told) && said.out.contains(&pins),
            "{said:?}"
        );
    }
    Ok(())
}

#[test]
fn a_store_of_a_newer_version_is_left_as_it_is() -> Result<()> {
    // Where SQLite keeps `user_version` (file format, section 1.3).
    const VERSION_AT: usize = 60;
    let host = Namespace::new()?;
    let mut agent = Agent::start(&host, &guarding("\"lo\""))?;
    agent.issue(&[])?;
    agent.stop(Signal::SIGTERM)?;
    let config = agent.config().display().to_string();
    agent.tell(["detach", "--all", "--yes", "--config", &config])?;
    let store = agent.state_dir().join("tokens.db");
    let mut bytes = fs::read(&store)?;
    assert!(bytes.starts_with(b"SQLite format 3"));
    bytes[VERSION_AT..VERSION_AT + 4].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(&store, bytes)?;
    let before = snapshot(&agent.state_dir())?;
    let said = run_daemon(&host, &agent, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("has format 99") && said.err.contains("newer version"),
        "{said:?}"
    );
    assert_eq!(snapshot(&agent.state_dir())?, before);
    assert!(
        !agent.pin_dir().exists() && !agent.socket().exists(),
        "nothing is left"
    );
    Ok(())
}
