//! Where the two programs of an interface are: the guard first on its side, the
//! witness on the other one; and what is told if they are not there.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, Pair, bearer, curl, is_denied, run, wait_for},
    said::{done, exit_code},
};

const SERVICE: &str = "[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

fn guarding(interface: &str, hook: &str) -> String {
    format!("[datapath]\ninterfaces = [{interface}]\nhook = \"{hook}\"\n{SERVICE}")
}

/// What is pinned, without the interfaces' numbers.
fn pinned(agent: &Agent<'_>) -> Result<BTreeSet<String>> {
    let mut kinds = BTreeSet::new();
    for entry in fs::read_dir(agent.pin_dir().join("links"))? {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let (_, kind) = name.split_once('-').context("a number and a kind")?;
        kinds.insert(kind.to_owned());
    }
    Ok(kinds)
}

fn detach(agent: &Agent<'_>) -> Result<()> {
    let config = agent.config().display().to_string();
    agent.tell(["detach", "--yes", "--all", "--config", &config])?;
    Ok(())
}

/// The first interface, and the exit code of `status`.
fn interface(agent: &Agent<'_>) -> Result<(Option<i32>, Value)> {
    let (code, status) = agent.json(&["status"])?;
    Ok((code, status["interfaces"][0].clone()))
}

fn word<'v>(interface: &'v Value, name: &str) -> &'v str {
    interface[name].as_str().unwrap_or_default()
}

#[test]
fn every_interface_has_a_guard_and_a_witness() -> Result<()> {
    let client = "\"eth0\"";
    let service = "{ name = \"e*0\", facing = \"service\" }";
    let pair = Pair::new()?;
    let mut agent = Agent::prepare(&pair.server, "")?;
    // Each run finds what the one before it has left.
    for (entry, hook, expected, pins) in [
        (client, "tc", "client tc tcx", &["tcx", "tcx-witness"][..]),
        (client, "xdp", "client xdp native", &["tcx-witness", "xdp"]),
        (
            service,
            "auto",
            "service tc tcx",
            &["tcx-egress", "tcx-witness-ingress"],
        ),
        (
            client,
            "clsact",
            "client tc clsact",
            &["clsact", "clsact-qdisc", "clsact-witness"],
        ),
        (
            service,
            "clsact",
            "service tc clsact",
            &["clsact-egress", "clsact-qdisc", "clsact-witness-ingress"],
        ),
        (
            client,
            "xdp-generic",
            "client xdp generic",
            &["tcx-witness", "xdp"],
        ),
    ] {
        agent.configure(&guarding(entry, hook))?;
        for _run in 0..2 {
            agent.run()?;
            // The kernel takes an earlier run's link off a moment after its pin is gone.
            let status = done(&agent, &["status", "--wait", "30s"])?;
            let interface = &status["interfaces"][0];
            let told = ["facing", "hook", "mode"].map(|name| word(interface, name));
            assert_eq!(told.join(" "), expected, "{status}");
            let pinned = pinned(&agent)?;
            assert!(
                pinned.iter().map(String::as_str).eq(pins.iter().copied()),
                "{pinned:?}"
            );
            agent.stop(Signal::SIGKILL)?;
        }
        // Nothing of another run's is left on either side.
        for side in ["ingress", "egress"] {
            let filters = run(pair
                .server
                .command("tc")
                .args(["filter", "show", "dev", "eth0", side]))?;
            let is_there = usize::from(hook == "clsact");
            assert_eq!(
                filters.matches("handle 0x7a6b").count(),
                is_there,
                "{hook}: {filters}"
            );
        }
    }
    detach(&agent)?;
    assert!(!agent.pin_dir().exists(), "pins are left");
    let left = run(pair
        .server
        .command("tc")
        .args(["qdisc", "show", "dev", "eth0"]))?;
    assert!(!left.contains("clsact"), "{left}");
    Ok(())
}

#[test]
fn towards_a_service_packets_are_judged_where_they_leave() -> Result<()> {
    for hook in ["auto", "clsact"] {
        // Requests are made on the host itself; the server is behind its interface.
        let pair = Pair::new()?;
        let nginx = Nginx::start(&pair.server, &["8080", "[::]:8080"])?;
        let host = &pair.client;
        let entry = "{ name = \"eth0\", facing = \"service\" }";
        let mut agent = Agent::start(host, &guarding(entry, hook))?;
        let (id, good) = agent.issue(&[])?;
        let with_good = ["-H", &bearer(&good)];
        for url in ["http://10.77.0.2:8080/", "http://[fd77::2]:8080/"] {
            assert_eq!(curl(host, url, &with_good)?, Some(200), "{hook}");
            assert!(is_denied(host, url, &[])?, "{hook}");
        }
        agent.stop(Signal::SIGTERM)?;
        assert!(is_denied(host, "http://10.77.0.2:8080/", &[])?, "{hook}");
        agent.run()?;
        agent.tell(["revoke", &id])?;
        assert!(
            is_denied(host, "http://10.77.0.2:8080/", &with_good)?,
            "{hook}"
        );
        // Afterwards TCP would bring what was denied.
        assert_eq!(nginx.wait_for_requests(2)?.len(), 2, "{hook}");
        detach(&agent)?;
        assert_eq!(
            curl(host, "http://10.77.0.2:8080/", &[])?,
            Some(200),
            "{hook}"
        );
    }
    Ok(())
}

#[test]
fn a_witness_taken_off_is_told() -> Result<()> {
    for hook in ["tc", "xdp-generic", "clsact"] {
        let host = Namespace::new()?;
        let mut agent = Agent::start(&host, &guarding("\"lo\"", hook))?;
        done(&agent, &["status"])?;
        if hook == "clsact" {
            let filter = ["filter", "del", "dev", "lo", "egress", "pref", "65535"];
            run(host.command("tc").args(filter))?;
        } else {
            fs::remove_file(agent.pin_dir().join("links/1-tcx-witness"))?;
        }
        let (code, told) = interface(&agent)?;
        assert_eq!(
            (code, word(&told, "state")),
            (Some(3), "degraded"),
            "{told}"
        );
        assert!(
            word(&told, "error").contains("its witness is not"),
            "{told}"
        );
        if hook != "clsact" {
            let config = agent.config().display().to_string();
            let (code, doctor) = agent.json(&["doctor", "--config", &config])?;
            assert_eq!(
                (code, &doctor["findings"][0]["id"]),
                (Some(1), &json!("half-attached")),
                "{doctor}"
            );
        }
        // As it was told.
        agent.stop(Signal::SIGTERM)?;
        agent.run()?;
        done(&agent, &["status"])?;
        detach(&agent)?;
    }
    Ok(())
}

#[test]
fn without_a_witness_there_is_no_guard() -> Result<()> {
    let pair = Pair::new()?;
    let tc = |args: &str| run(pair.server.command("tc").args(args.split(' ')));
    let occupy = || {
        // One that passes everything, for another protocol than ours.
        let program = ["bpf", "bytecode", "1,6 0 0 0"];
        let add = "filter add dev eth0 egress pref 65535 protocol ip";
        run(pair.server.command("tc").args(add.split(' ')).args(program))
    };
    let filters = || tc("filter show dev eth0 ingress");
    tc("qdisc add dev eth0 clsact")?;
    occupy()?;
    let mut agent = Agent::start(&pair.server, &guarding("\"eth0\"", "clsact"))?;
    let (code, told) = interface(&agent)?;
    assert_eq!((code, word(&told, "state")), (Some(4), "failed"), "{told}");
    assert!(
        word(&told, "error").contains("the guard was taken off again"),
        "{told}"
    );
    assert!(pinned(&agent)?.is_empty() && !filters()?.contains("guard_tc"));
    // It is told what stands in the way, and then there is nothing more to do than to start anew.
    agent.stop(Signal::SIGTERM)?;
    tc("filter del dev eth0 egress pref 65535")?;
    agent.run()?;
    done(&agent, &["status"])?;
    // One that was there before stays: it lets nothing pass, and without it everything would.
    agent.stop(Signal::SIGTERM)?;
    tc("filter del dev eth0 egress pref 65535")?;
    occupy()?;
    agent.run()?;
    let (code, told) = interface(&agent)?;
    assert_eq!(
        (code, word(&told, "state")),
        (Some(3), "degraded"),
        "{told}"
    );
    assert!(
        word(&told, "error").contains("nothing passes to a service"),
        "{told}"
    );
    assert!(filters()?.contains("guard_tc"));
    detach(&agent)?;
    assert!(
        tc("qdisc show dev eth0")?.contains("clsact"),
        "it was not the agent's"
    );
    Ok(())
}

#[test]
fn what_comes_before_the_guard_is_told() -> Result<()> {
    for (first, second) in [("tc", "tc"), ("clsact", "tc")] {
        let host = Namespace::new()?;
        let agent = Agent::start(&host, &guarding("\"lo\"", first))?;
        done(&agent, &["status"])?;
        // Another agent's guard is a program as good as any.
        let other = Agent::prepare(&host, &guarding("\"lo\"", second))?;
        let text = fs::read_to_string(other.config())?.replace(":9977", ":9978");
        fs::write(other.config(), text)?;
        let mut other = other;
        other.run()?;
        let (code, told) = interface(&agent)?;
        assert_eq!(
            (code, word(&told, "state")),
            (Some(3), "degraded"),
            "{first}: {told}"
        );
        let why = word(&told, "error");
        assert!(
            why.contains("(guard_tc) is at ingress before the guard") && why.contains("detach it"),
            "{first}: {why}"
        );
        // Nobody has to ask.
        wait_for("the agent to notice", || {
            Ok(agent.log().contains("guarded, but impaired"))
        })?;
        assert_eq!(
            exit_code(&other, &["status"])?,
            Some(0),
            "it is the first one"
        );
        detach(&other)?;
        wait_for("the guard to be first", || {
            Ok(exit_code(&agent, &["status"])? == Some(0))
        })?;
        detach(&agent)?;
    }
    Ok(())
}
