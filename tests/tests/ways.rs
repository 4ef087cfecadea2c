//! Ways to a service on which nothing is judged are told.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Nginx, Pair, curl, is_denied, run, wait_for},
    said::say,
};

fn guarding(interfaces: &str, listen: &str) -> String {
    format!(
        "[datapath]\ninterfaces = [{interfaces}]\nhook = \"tc\"\n\
         [[service]]\nname = \"web\"\nlisten = [{listen}]\n"
    )
}

/// Of `status`: its exit code, the ways past the guard, how much is degraded, and how many notes are of ways.
fn status(agent: &Agent<'_>) -> Result<(Option<i32>, Value, usize, usize)> {
    let (code, status) = agent.json(&["status"])?;
    let ways = status["services"][0]["uncovered"].clone();
    let degraded = status["degraded"].as_array().map_or(0, Vec::len);
    let notes = status["notes"].to_string();
    let notes = notes.matches("programs on this host reach").count();
    Ok((code, ways, degraded, notes))
}

#[test]
fn an_interface_that_leads_past_the_guard_is_told() -> Result<()> {
    let pair = Pair::new()?;
    let server = &pair.server;
    let _nginx = Nginx::start(server, &["8080"])?;
    let ip = |args: &str| run(server.command("ip").args(args.split(' ')));
    let mut agent = Agent::start(server, &guarding("\"eth0\"", "\"*:8080\""))?;
    // Programs on the host itself are noted, and impair nothing: most setups have that.
    assert_eq!(status(&agent)?, (Some(0), json!(["lo"]), 0, 1));
    assert!(is_denied(&pair.client, "http://10.77.0.2:8080/", &[])?);
    assert_eq!(curl(server, "http://127.0.0.1:8080/", &[])?, Some(200));

    ip("link add wire1 type veth peer name far1")?;
    ip("addr add 10.88.0.2/24 dev wire1")?;
    assert_eq!(status(&agent)?.1, json!(["lo"]), "it is down");
    ip("link set wire1 up")?;
    assert_eq!(status(&agent)?, (Some(3), json!(["lo", "wire1"]), 1, 1));
    let (_, told) = agent.json(&["status"])?;
    let why = told["degraded"][0].as_str().unwrap_or_default();
    assert!(
        why.contains("comes in by wire1 is not judged") && why.contains("web"),
        "{why}"
    );
    // Nobody has to ask, and who revokes is told where that has no effect.
    wait_for("the log", || {
        Ok(agent.log().lines().any(|line| {
            line.contains("WARN") && line.contains("past the guard") && line.contains("wire1")
        }))
    })?;
    let (id, _) = agent.issue(&[])?;
    let said = say(&mut agent.command(["revoke", &id]), "")?;
    assert!(
        said.code == Some(0) && said.err.contains("wire1"),
        "{said:?}"
    );

    // As it was told: by guarding it, or by fewer addresses.
    for (interfaces, listen, expected) in [
        (
            "\"eth0\", \"wire1\"",
            "\"*:8080\"",
            (Some(0), json!(["lo"]), 0, 1),
        ),
        (
            "\"eth0\", \"wire1\", \"lo\"",
            "\"*:8080\"",
            (Some(0), json!([]), 0, 0),
        ),
        (
            "\"eth0\"",
            "\"10.77.0.2:8080\"",
            (Some(0), json!(["lo"]), 0, 1),
        ),
        // What only the host itself reaches is not guarded at all.
        (
            "\"eth0\"",
            "\"127.0.0.1:8080\"",
            (Some(3), json!(["lo"]), 1, 0),
        ),
        // Another host's, as a router has it.
        ("\"eth0\"", "\"192.0.2.1:8080\"", (Some(0), json!([]), 0, 0)),
        (
            "{ name = \"eth0\", facing = \"service\" }",
            "\"*:8080\"",
            (Some(0), json!([]), 0, 0),
        ),
    ] {
        agent.stop(Signal::SIGTERM)?;
        agent.configure(&guarding(interfaces, listen))?;
        agent.run()?;
        assert_eq!(status(&agent)?, expected, "{interfaces} {listen}");
    }
    let config = agent.config().display().to_string();
    agent.tell(["detach", "--yes", "--all", "--config", &config])?;
    Ok(())
}
