//! Connections that are older than the guard: closed, left alone or gone on with.

mod adopt;
mod answers;
mod client;
mod numbers;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, bearer, curl},
    said::done,
};

use client::{ALIVE, Client, RESET};

fn service(name: &str, port: u16, existing: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nlisten = [\"*:{port}\"]\nexisting_connections = \"{existing}\"\n"
    )
}

/// What `status` tells of the connections to a service that were older than the guard.
fn older(agent: &Agent<'_>, service: &str) -> Result<Value> {
    let status = done(agent, &["status"])?;
    let services = status["services"].as_array().into_iter().flatten();
    let found = services.into_iter().find(|one| one["name"] == service);
    Ok(found.map_or(Value::Null, |one| one["older_connections"].clone()))
}

fn counts(adopted: u32, closed: u32, left: u32) -> Value {
    json!({"adopted": adopted, "closed": closed, "left": left})
}

#[test]
fn each_service_has_its_old_connections_as_it_wants() -> Result<()> {
    let host = Namespace::new()?;
    let listen = ["8080", "8081", "8082", "8083", "8084"];
    // One socket for both families, and one for each.
    let both = listen.map(|port| format!("[::]:{port} ipv6only=off"));
    let _nginx = Nginx::start(&host, &both.each_ref().map(String::as_str))?;
    let _plain = Nginx::start(&host, &["127.0.0.1:8090"])?;
    let connect = |server| Client::connect(&host, server, "");
    let used = |server| -> Result<Client> {
        let mut client = connect(server)?;
        assert_eq!(client.tell("request")?, "200");
        Ok(client)
    };
    let mut closed = vec![
        used(("127.0.0.1", 8080))?,
        used(("::1", 8080))?,
        connect(("127.0.0.1", 8080))?,
        connect(("::1", 8080))?,
        used(("127.0.0.1", 8090))?,
    ];
    let mut kept = vec![
        used(("127.0.0.1", 8081))?,
        used(("::1", 8083))?,
        used(("127.0.0.1", 8084))?,
    ];
    let services = [
        "[datapath]\ninterfaces = [\"lo\"]\nhook = \"tc\"\n".into(),
        service("closing", 8080, "close"),
        service("closing-too", 8090, "close"),
        service("dropping", 8081, "drop"),
        service("monitored", 8083, "close") + "mode = \"monitor\"\n",
    ];
    let mut agent = Agent::start(&host, &services.concat())?;
    for client in &mut closed {
        assert_eq!(client.tell("wait")?, RESET);
    }
    for client in &mut kept {
        assert_eq!(client.tell("wait")?, ALIVE);
    }
    let log = agent.log();
    for told in [
        "service=closing closed=4 adopted=0 left=0",
        "service=closing-too closed=1 adopted=0 left=0",
        "service=dropping closed=0 adopted=0 left=1",
        "service=monitored closed=0 adopted=0 left=1",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert_eq!(older(&agent, "closing")?, counts(0, 4, 0));
    assert_eq!(older(&agent, "monitored")?, counts(0, 0, 1));

    // New ones work, and outlive the agent.
    let (_, token) = agent.issue(&[])?;
    let mut young = Client::connect(&host, ("127.0.0.1", 8080), &bearer(&token))?;
    assert_eq!(young.tell("request")?, "200");
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        agent.stop(signal)?;
        agent.run()?;
        assert_eq!(young.tell("wait")?, ALIVE, "{signal}");
        assert_eq!(young.tell("request")?, "200", "{signal}");
    }
    let with_token = ["-H", &bearer(&token)];
    assert_eq!(curl(&host, "http://[::1]:8080/", &with_token)?, Some(200));
    Ok(())
}

#[test]
fn without_a_guard_nothing_is_closed() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let mut client = Client::connect(&host, ("127.0.0.1", 8080), "")?;
    let text = format!(
        "[datapath]\ninterfaces = [\"nosuch0\"]\n{}",
        service("web", 8080, "close")
    );
    let _agent = Agent::start(&host, &text)?;
    assert_eq!(client.tell("wait")?, ALIVE);
    Ok(())
}
