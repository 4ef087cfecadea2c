//! A host that is not as it should be: told, with what to do about it, by the
//! daemon and by `doctor` alike, and nothing is left behind.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Pair, run, wait_for},
    said::{exit_code, run_daemon},
};

const SERVICE: &str = "[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

fn guarding(interfaces: &str) -> String {
    format!("[datapath]\ninterfaces = [{interfaces}]\n{SERVICE}")
}

/// What `doctor` finds by id, and its exit code.
fn findings(agent: &Agent<'_>) -> Result<(Option<i32>, BTreeMap<String, Value>)> {
    let config = agent.config().display().to_string();
    let (code, told) = agent.json(&["doctor", "--config", &config])?;
    let findings = told["findings"].as_array().context("findings")?;
    let by_id = findings.iter().map(|finding| {
        (
            finding["id"].as_str().unwrap_or_default().to_owned(),
            finding.clone(),
        )
    });
    Ok((code, by_id.collect()))
}

#[test]
fn a_missing_interface_is_a_warning() -> Result<()> {
    let host = Namespace::new()?;
    let mut agent = Agent::start(&host, &guarding("\"nosuch0\""))?;
    let (code, status) = agent.json(&["status"])?;
    assert_eq!(
        (code, &status["enforcing"]),
        (Some(4), &json!(false)),
        "{status}"
    );
    assert_eq!(status["interfaces"][0]["state"], "missing");
    assert!(
        agent
            .log()
            .lines()
            .any(|line| line.contains("WARN") && line.contains("nosuch0")),
        "{}",
        agent.log()
    );
    agent.stop(Signal::SIGTERM)?;
    assert!(
        !agent.pin_dir().exists(),
        "a place for pins, and none to pin"
    );
    agent.configure(&guarding("\"lo\", \"nosuch0\""))?;
    agent.run()?;
    let (code, status) = agent.json(&["status"])?;
    assert_eq!(
        (code, &status["enforcing"]),
        (Some(3), &json!(true)),
        "{status}"
    );
    assert!(
        status["degraded"][0]
            .as_str()
            .is_some_and(|text| text.contains("nosuch0")),
        "{status}"
    );
    let (code, found) = findings(&agent)?;
    assert_eq!(
        (code, &found["interface-missing"]["severity"]),
        (Some(0), &json!("warning")),
        "{found:#?}"
    );
    Ok(())
}

#[test]
fn the_doctor_says_how_to_start_the_daemon() -> Result<()> {
    let host = Namespace::new()?;
    let mut agent = Agent::prepare(&host, &guarding("\"lo\""))?;
    let (code, found) = findings(&agent)?;
    let finding = &found["daemon-unreachable"];
    assert_eq!(
        (code, &finding["severity"], &finding["remedy"]),
        (
            Some(0),
            &json!("warning"),
            &json!(format!(
                "token-agent run --config {}",
                agent.config().display()
            ))
        ),
        "{found:#?}"
    );
    // As it was told.
    agent.run()?;
    let (_, found) = findings(&agent)?;
    assert!(!found.contains_key("daemon-unreachable"), "{found:#?}");
    Ok(())
}

#[test]
fn without_privileges_nothing_is_begun() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::prepare(&host, &guarding("\"lo\""))?;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let weak_root = ["setpriv", "--bounding-set=-bpf,-sys_admin"];
    for (wrapper, named) in [
        (&nobody as &[&str], "CAP_NET_ADMIN"),
        (&weak_root, "CAP_BPF"),
    ] {
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
    let text = text.replace(
        &agent.pin_dir().display().to_string(),
        &pins.display().to_string(),
    );
    fs::write(agent.config(), text)?;
    let config = agent.config().display().to_string();
    let said = run_daemon(&host, &agent, &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("is not on a BPF file system") && said.err.contains("mount -t bpf"),
        "{said:?}"
    );
    assert!(
        !pins.exists() && !agent.socket().exists(),
        "nothing is left"
    );
    let (code, found) = findings(&agent)?;
    assert_eq!(
        (code, &found["bpffs-missing"]["severity"]),
        (Some(1), &json!("error")),
        "{found:#?}"
    );
    let (code, checked) = agent.json(&["check", "--host", "--config", &config])?;
    assert_eq!(
        (code, &checked["valid"]),
        (Some(1), &json!(true)),
        "{checked}"
    );
    assert_eq!(checked["findings"][0]["id"], "bpffs-missing", "{checked}");
    Ok(())
}

/// The id of the XDP program on the interface.
fn xdp(namespace: &Namespace) -> Result<Option<u64>> {
    let links: Value = serde_json::from_str(&run(namespace
        .command("ip")
        .args(["-j", "-d", "link", "show", "eth0"]))?)?;
    Ok(links[0]["xdp"]["prog"]["id"].as_u64())
}

#[test]
fn another_xdp_program_is_left_alone() -> Result<()> {
    for hook in ["xdp", "xdp-generic"] {
        let pair = Pair::new()?;
        let sections =
            guarding("\"eth0\"").replace(SERVICE, &format!("hook = \"{hook}\"\n{SERVICE}"));
        // To the second agent the first one's program is anybody's.
        let other = Agent::start(&pair.server, &sections)?;
        let id = xdp(&pair.server)?.context("the other program")?;
        let mut agent = Agent::start(&pair.server, &sections)?;
        let (code, status) = agent.json(&["status"])?;
        assert_eq!(
            (code, &status["enforcing"]),
            (Some(4), &json!(false)),
            "{status}"
        );
        assert_eq!(status["interfaces"][0]["state"], "failed", "{status}");
        let why = status["interfaces"][0]["error"]
            .as_str()
            .context("a reason")?;
        assert!(
            why.contains(&format!("id {id} ")) && why.contains("left alone"),
            "{why}"
        );
        assert!(agent.log().contains(why), "{}", agent.log());
        let (code, found) = findings(&agent)?;
        let finding = &found["xdp-slot-taken"];
        assert_eq!(
            (code, &finding["severity"]),
            (Some(1), &json!("error")),
            "{found:#?}"
        );
        assert!(
            finding["evidence"]
                .as_str()
                .is_some_and(|text| text.ends_with(&format!("program {id}"))),
            "{finding}"
        );

        assert_eq!(xdp(&pair.server)?, Some(id));
        agent.stop(Signal::SIGTERM)?;
        assert_eq!(xdp(&pair.server)?, Some(id));
        assert!(!agent.pin_dir().exists(), "a place for pins was left");
        assert_eq!(exit_code(&other, &["status"])?, Some(0));
        // To its owner nothing is wrong.
        let (code, found) = findings(&other)?;
        assert_eq!(
            (code, found.contains_key("xdp-slot-taken")),
            (Some(0), false),
            "{found:#?}"
        );
        let config = other.config().display().to_string();
        other.tell([
            "detach",
            "--interface",
            "eth0",
            "--yes",
            "--config",
            &config,
        ])?;
        // The kernel takes it off a moment after its pin is gone.
        wait_for("the guard to be off", || Ok(xdp(&pair.server)?.is_none()))?;
    }
    Ok(())
}

#[test]
fn a_clsact_qdisc_is_taken_away_only_by_whom_it_was_added() -> Result<()> {
    let host = Namespace::new()?;
    let sections = guarding("\"wire0\"").replace(SERVICE, &format!("hook = \"clsact\"\n{SERVICE}"));
    let ip = |args: &str| run(host.command("ip").args(args.split(' ')));
    let tc = |args: &str| run(host.command("tc").args(args.split(' ')));
    let has_clsact = || -> Result<bool> { Ok(tc("qdisc show dev wire0")?.contains("clsact")) };
    let make = || ip("link add wire0 index 77 type veth peer name far0");
    make()?;
    let mut agent = Agent::prepare(&host, &sections)?;
    let config = agent.config().display().to_string();
    let detach = |agent: &Agent<'_>| {
        agent.tell(["detach", "--config", &config, "--all", "--yes"])?;
        assert!(!agent.pin_dir().exists(), "pins are left");
        anyhow::Ok(())
    };

    // Somebody takes it away: the next start heals that, and what was added goes again.
    agent.run()?;
    tc("qdisc del dev wire0 clsact")?;
    agent.stop(Signal::SIGTERM)?;
    agent.run()?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    agent.stop(Signal::SIGTERM)?;
    detach(&agent)?;
    assert!(!has_clsact()?);

    // The interface was made anew with the same number, and with a qdisc of its own.
    agent.run()?;
    agent.stop(Signal::SIGTERM)?;
    ip("link del wire0")?;
    make()?;
    tc("qdisc add dev wire0 clsact")?;
    detach(&agent)?;
    assert!(has_clsact()?, "it was not the agent's");
    agent.run()?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    agent.stop(Signal::SIGTERM)?;
    ip("link del wire0")?;
    make()?;
    agent.run()?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    agent.stop(Signal::SIGTERM)?;

    // Its own, to which somebody else has come.
    let program = agent.pin_dir().join("links/77-clsact-qdisc");
    let program = program.display();
    tc(&format!(
        "filter add dev wire0 egress pref 9 bpf direct-action object-pinned {program}"
    ))?;
    detach(&agent)?;
    assert!(has_clsact()? && tc("filter show dev wire0 egress")?.contains("bpf"));
    assert!(!tc("filter show dev wire0 ingress")?.contains("bpf"));
    Ok(())
}

#[test]
fn an_interface_without_ethernet_is_refused() -> Result<()> {
    let host = Namespace::new()?;
    let ip = |args: &str| run(host.command("ip").args(args.split(' ')));
    ip("tuntap add dev tun0 mode tun")?;
    ip("link set tun0 up")?;
    for hook in ["auto", "clsact", "xdp-generic"] {
        let sections =
            guarding("\"tun0\"").replace(SERVICE, &format!("hook = \"{hook}\"\n{SERVICE}"));
        let mut agent = Agent::start(&host, &sections)?;
        let (code, status) = agent.json(&["status"])?;
        let interface = &status["interfaces"][0];
        assert_eq!(
            (code, &interface["state"]),
            (Some(4), &json!("failed")),
            "{hook}: {status}"
        );
        assert!(
            interface["error"]
                .as_str()
                .is_some_and(|why| why.contains("no Ethernet header (link type NONE)")),
            "{hook}: {status}"
        );
        let (code, found) = findings(&agent)?;
        assert_eq!(
            (code, &found["no-ethernet"]["severity"]),
            (Some(1), &json!("error")),
            "{hook}: {found:#?}"
        );
        agent.stop(Signal::SIGTERM)?;
    }
    // The loopback and an Ethernet tunnel have one.
    ip("tuntap add dev tap0 mode tap")?;
    let agent = Agent::start(&host, &guarding("\"lo\", \"tap0\""))?;
    assert_eq!(exit_code(&agent, &["status"])?, Some(0));
    let config = agent.config().display().to_string();
    agent.tell(["detach", "--config", &config, "--all", "--yes"])?;
    Ok(())
}

#[test]
fn an_agent_that_cannot_log_does_what_it_is_asked() -> Result<()> {
    let host = Namespace::new()?;
    let mut agent = Agent::prepare(&host, &guarding("\"lo\""))?;
    agent.fill_log()?;
    agent.run()?;
    let (id, _) = agent.issue(&[])?;
    agent.tell(["revoke", &id])?;
    let explain = ["--service", "web", "--id", &id];
    let (_, verdict) = agent.json(&[&["explain"], &explain[..]].concat())?;
    assert_eq!(verdict["reason"], "revoked");
    let (_, status) = agent.json(&["status"])?;
    assert_eq!(
        status["revision"]["store"], status["revision"]["kernel"],
        "{status}"
    );
    // The terminal is gone: it ends as when it is asked to.
    assert_eq!(agent.stop(Signal::SIGHUP)?, Some(0));
    Ok(())
}
