//! Data of a connection that does not exist for the guard is answered, so nobody waits in vain.

use anyhow::Result;
use nix::net::if_::if_nametoindex;
use token_agent_tests::{
    bpf::{Spot, plain},
    host::{Agent, Namespace, Nginx, Pair},
};

use crate::{
    client::{Client, RESET},
    service,
};

const PORT: u16 = 8080;

fn config(interface: &str, hook: &str) -> String {
    format!(
        "[datapath]\ninterfaces = [\"{interface}\"]\nhook = \"{hook}\"\n{}",
        service("web", PORT, "drop")
    )
}

/// Connections by each of the addresses, to be used when a guard is there that does not know them.
fn connect(host: &Namespace, addresses: &[&str]) -> Result<Vec<Client>> {
    addresses
        .iter()
        .map(|address| Client::connect(host, (address, PORT), ""))
        .collect()
}

fn are_reset(clients: Vec<Client>) -> Result<()> {
    for mut client in clients {
        assert_eq!(client.tell("request")?, RESET);
    }
    Ok(())
}

#[test]
fn on_this_host() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["[::]:8080 ipv6only=off"])?;
    let clients = connect(&host, &["127.0.0.1", "::1"])?;
    let _agent = Agent::start(&host, &config("lo", "tc"))?;
    are_reset(clients)
}

#[test]
fn from_another_host() -> Result<()> {
    for hook in ["tc", "xdp"] {
        let pair = Pair::new()?;
        // What XDP sends back on a veth arrives only where there is a program, too.
        let program = plain::empty(Spot::XDP)?;
        let _link = pair
            .client
            .within(|| program.attach(Spot::XDP, if_nametoindex("eth0")?))??;
        let _nginx = Nginx::start(&pair.server, &["[::]:8080 ipv6only=off"])?;
        let clients = connect(&pair.client, &Pair::SERVER)?;
        let _agent = Agent::start(&pair.server, &config("eth0", hook))?;
        are_reset(clients)?;
    }
    Ok(())
}

#[test]
fn on_the_way_to_a_service() -> Result<()> {
    let pair = Pair::new()?;
    let _nginx = Nginx::start(&pair.server, &["[::]:8080 ipv6only=off"])?;
    let clients = connect(&pair.client, &Pair::SERVER)?;
    let facing = "[{ name = \"eth0\", facing = \"service\" }]";
    let config = config("eth0", "tc").replace("[\"eth0\"]", facing);
    let _agent = Agent::start(&pair.client, &config)?;
    are_reset(clients)
}
