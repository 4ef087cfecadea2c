//! What is wrong is told, with what to do about it, and leaves everything as it was.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Pair, binary, run},
    said::{run_daemon, say},
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
        let ran = say(run.arg("10").arg(binary()?).args(["run", "--config"]).arg(&path), "")?;
        assert_eq!(snapshot(dir.path())?, before, "{text}");
        anyhow::Ok((said, told, ran))
    };
    for (more, line, words) in [
        ("heder = \"x\"\n", 10, &["heder", "did you mean", "header"] as &[&str]),
        ("mod = \"monitor\"\n", 10, &["mod", "mode"]),
        ("listen = [\"*:81\"]\n", 10, &["listen"]),
        ("on_deny = \"reset\"\n", 10, &["on_deny", "write on_deny = \"drop\""]),
        ("on_deny = \"respond\"\n", 10, &["on_deny", "write on_deny = \"drop\""]),
        ("[[service]]\nname = \"b\"\nlisten = [\"localhost:80\"]\n", 12, &["localhost:80", "IP address"]),
        ("[[service]]\nname = \"b\"\nlisten = [\"10.0.0.5:8080\"]\n", 12, &["already guarded", "web", ":9"]),
        ("[[service]]\nname = \"web\"\nlisten = [\"*:81\"]\n", 11, &["already the name"]),
        ("[metrics]\nlisten = \"9977\"\n", 11, &["127.0.0.1:9977"]),
        ("[tokens]\ndefault_ttl = \"1w\"\n", 11, &["default_ttl", "30d"]),
        ("[[rotation]]\nname = \"x\"\n", 10, &["rotation", "not supported by this version"]),
        ("[datapth]\nhook = \"tc\"\n", 10, &["datapth", "datapath"]),
        ("name = \n", 10, &[]),
    ] {
        let (said, told, ran) = check(&format!("{base}{more}"))?;
        assert_eq!((said.code, told.code, ran.code), (Some(78), Some(78), Some(78)), "{more}: {said:?} {ran:?}");
        let json = said.json()?;
        assert_eq!(json["valid"], false, "{json}");
        assert_eq!(json["errors"].as_array().map(Vec::len), Some(1), "{json}");
        assert_eq!((&json["errors"][0]["line"], &json["errors"][0]["file"]), (&json!(line), &json!(path)), "{json}");
        for text in [&told.out, &ran.err] {
            assert!(text.contains(&format!("{}:{line}: ", path.display())), "{more}: {text}");
            for word in words {
                assert!(text.contains(word), "{more}: {word} in {text}");
            }
        }
    }
    let two = format!("{base}heder = \"x\"\n[metrics]\nlisten = \"9977\"\n");
    assert_eq!(check(&two)?.0.json()?["errors"].as_array().map(Vec::len), Some(2), "all at once");
    let mut good = Command::new(binary()?);
    fs::write(&path, &base)?;
    let before = snapshot(dir.path())?;
    let said = say(good.args(["--json", "check", "--config"]).arg(&path), "")?;
    assert_eq!((said.code, &said.json()?["valid"]), (Some(0), &json!(true)), "{said:?}");
    assert_eq!(snapshot(dir.path())?, before);
    let mut missing = Command::new(binary()?);
    let said = say(missing.args(["check", "--config"]).arg(dir.path().join("none.toml")), "")?;
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
        ("issue --owner a --purpose b --not-before tomorrow", "--not-before"),
        ("issue --owner a/b --purpose b", "character 2"),
        ("issue --owner a --purpose b --scope x", "not in this version"),
        ("issue --owner a --purpose b --output file:/x", "not in this version"),
        ("list --unused 3d", "not in this version"),
        ("list --state dead", "possible values"),
        ("revoke --owner a", "not in this version"),
        ("revoke --family f-0000000000000000", "not in this version"),
        ("revoke t-0000000000000000 --wait 5s", "not in this version"),
        ("revoke --all", "--yes"),
        ("revoke", "required"),
        ("show 0000000000000000", "id"),
        ("explain --service a --at 2030-01-01T00:00:00Z", "not in this version"),
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
        ("detach", "--interface"),
        ("status --wait soon", "--wait"),
    ] {
        let mut command = Command::new(binary()?);
        command.args(["--socket", "/nonexistent/socket"]).args(line.split(' '));
        let said = say(&mut command, "")?;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{line}: {said:?}");
        assert!(said.err.contains(told), "{line}: {said:?}");
    }
    Ok(())
}

/// What `doctor` finds by id, and its exit code.
fn findings(agent: &Agent<'_>) -> Result<(Option<i32>, BTreeMap<String, Value>)> {
    let config = agent.config().display().to_string();
    let (code, told) = agent.json(&["doctor", "--config", &config])?;
    let findings = told["findings"].as_array().context("findings")?;
    let by_id = findings.iter().map(|finding| (finding["id"].as_str().unwrap_or_default().to_owned(), finding.clone()));
    Ok((code, by_id.collect()))
}

#[test]
fn a_missing_interface_is_a_warning() -> Result<()> {
    let host = Namespace::new()?;
    let mut agent = Agent::start(&host, &guarding("\"nosuch0\""))?;
    let (code, status) = agent.json(&["status"])?;
    assert_eq!((code, &status["enforcing"]), (Some(4), &json!(false)), "{status}");
    assert_eq!(status["interfaces"][0]["state"], "missing");
    assert!(agent.log().lines().any(|line| line.contains("WARN") && line.contains("nosuch0")), "{}", agent.log());
    agent.stop(Signal::SIGTERM)?;
    agent.configure(&guarding("\"lo\", \"nosuch0\""))?;
    agent.run()?;
    let (code, status) = agent.json(&["status"])?;
    assert_eq!((code, &status["enforcing"]), (Some(3), &json!(true)), "{status}");
    assert!(status["degraded"][0].as_str().is_some_and(|text| text.contains("nosuch0")), "{status}");
    let (code, found) = findings(&agent)?;
    assert_eq!((code, &found["interface-missing"]["severity"]), (Some(0), &json!("warning")), "{found:#?}");
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
    assert!(said.err.contains("has format 99") && said.err.contains("newer version"), "{said:?}");
    assert_eq!(snapshot(&agent.state_dir())?, before);
    assert!(!agent.pin_dir().exists() && !agent.socket().exists(), "nothing is left");
    Ok(())
}

#[test]
fn without_privileges_nothing_is_begun() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::prepare(&host, &guarding("\"lo\""))?;
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let weak_root = ["setpriv", "--bounding-set=-bpf,-sys_admin"];
    for (wrapper, named) in [(&nobody as &[&str], "CAP_NET_ADMIN"), (&weak_root, "CAP_BPF")] {
        let said = run_daemon(&host, &agent, wrapper)?;
        assert_eq!(said.code, Some(77), "{said:?}");
        assert!(said.err.contains(named), "{said:?}");
        for path in [agent.state_dir(), agent.pin_dir(), agent.socket()] {
            assert!(!path.exists(), "{} was left", path.display());
        }
    }
    Ok(())
}

#[test]
fn pins_are_only_made_on_a_bpf_file_system() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::prepare(&host, &guarding("\"lo\""))?;
    let pins = agent.state_dir().with_file_name("pins");
    let text = fs::read_to_string(agent.config())?;
    let text = text.replace(&agent.pin_dir().display().to_string(), &pins.display().to_string());
    fs::write(agent.config(), text)?;
    let config = agent.config().display().to_string();
    let said = run_daemon(&host, &agent, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("is not on a BPF file system") && said.err.contains("mount -t bpf"), "{said:?}");
    assert!(!pins.exists() && !agent.socket().exists(), "nothing is left");
    let (code, found) = findings(&agent)?;
    assert_eq!((code, &found["bpffs-missing"]["severity"]), (Some(1), &json!("error")), "{found:#?}");
    assert!(found.contains_key("daemon-unreachable"), "{found:#?}");
    let (code, checked) = agent.json(&["check", "--host", "--config", &config])?;
    assert_eq!((code, &checked["valid"]), (Some(1), &json!(true)), "{checked}");
    assert_eq!(checked["findings"][0]["id"], "bpffs-missing", "{checked}");
    Ok(())
}

/// The id of the XDP program on the interface.
fn xdp(namespace: &Namespace) -> Result<Option<u64>> {
    let links: Value = serde_json::from_str(&run(namespace.command("ip").args(["-j", "-d", "link", "show", "eth0"]))?)?;
    Ok(links[0]["xdp"]["prog"]["id"].as_u64())
}

#[test]
fn another_xdp_program_is_left_alone() -> Result<()> {
    for hook in ["xdp", "xdp-generic"] {
        let pair = Pair::new()?;
        let sections = guarding("\"eth0\"").replace(SERVICE, &format!("hook = \"{hook}\"\n{SERVICE}"));
        // To the second agent the first one's program is anybody's.
        let other = Agent::start(&pair.server, &sections)?;
        let id = xdp(&pair.server)?.context("the other program")?;
        let mut agent = Agent::start(&pair.server, &sections)?;
        let (code, status) = agent.json(&["status"])?;
        assert_eq!((code, &status["enforcing"]), (Some(4), &json!(false)), "{status}");
        assert_eq!(status["interfaces"][0]["state"], "failed", "{status}");
        let why = status["interfaces"][0]["error"].as_str().context("a reason")?;
        assert!(why.contains(&format!("id {id} ")) && why.contains("left alone"), "{why}");
        assert!(agent.log().contains(why), "{}", agent.log());
        let (code, found) = findings(&agent)?;
        let finding = &found["xdp-slot-taken"];
        assert_eq!((code, &finding["severity"]), (Some(1), &json!("error")), "{found:#?}");
        assert!(finding["evidence"].as_str().is_some_and(|text| text.ends_with(&format!("program {id}"))), "{finding}");

        assert_eq!(xdp(&pair.server)?, Some(id));
        agent.stop(Signal::SIGTERM)?;
        assert_eq!(xdp(&pair.server)?, Some(id));
        assert!(snapshot(&agent.pin_dir())?.values().all(Vec::is_empty));
        assert_eq!(fs::read_dir(agent.pin_dir().join("links"))?.count(), 0, "a pin was left");
        assert_eq!(say(&mut other.command(["status"]), "")?.code, Some(0));
        // To its owner nothing is wrong.
        let (code, found) = findings(&other)?;
        assert_eq!((code, found.contains_key("xdp-slot-taken")), (Some(0), false), "{found:#?}");
        let config = other.config().display().to_string();
        other.tell(["detach", "--interface", "eth0", "--yes", "--config", &config])?;
        assert_eq!(xdp(&pair.server)?, None);
    }
    Ok(())
}
