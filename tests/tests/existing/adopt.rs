//! Connections on which nothing was received yet: the guard goes on with them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use token_agent_tests::{
    ground::{HOOKS, each},
    host::{Agent, Namespace, Nginx, PATIENCE, Pair, Process, bearer, run, wait_for},
    said::request,
};

use super::{
    client::{ALIVE, Client, RESET},
    counts, older, service,
};

fn guarding(interface: &str, hook: &str, more: &str) -> String {
    format!("[datapath]\ninterfaces = [\"{interface}\"]\nhook = \"{hook}\"\n{more}")
}

/// Both hosts' addresses on their own cable.
fn link_local(pair: &Pair) -> Result<String> {
    for (host, address) in [(&pair.client, "fe80::a/64"), (&pair.server, "fe80::b/64")] {
        let add = ["-6", "addr", "add", address, "dev", "eth0", "nodad"];
        run(host.command("ip").args(add))?;
    }
    Ok("fe80::b%eth0".into())
}

fn issue_revoked(agent: &Agent<'_>) -> Result<String> {
    let (id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &id])?;
    Ok(revoked)
}

#[test]
fn fresh_connections_are_judged_from_their_first_byte() -> Result<()> {
    for hook in HOOKS {
        let pair = Pair::new()?;
        let nginx = Nginx::start(
            &pair.server,
            &["8080", "[::]:8080", "[::]:8081 ipv6only=off"],
        )?;
        let local = link_local(&pair)?;
        let servers = [
            ("10.77.0.2", 8080),
            ("fd77::2", 8080),
            // A socket of IPv6 that speaks IPv4.
            ("10.77.0.2", 8081),
            (local.as_str(), 8080),
        ];
        let connect = |server| Client::connect(&pair.client, server, "");
        let all = || servers.iter().map(|server| connect(*server));
        let mut good: Vec<_> = all().collect::<Result<_>>()?;
        let mut denied: Vec<_> = all().collect::<Result<_>>()?;
        let mut half: Vec<_> = all().collect::<Result<_>>()?;
        let mut used: Vec<_> = all().collect::<Result<_>>()?;
        for client in &mut half {
            assert_eq!(client.tell("half")?, "half");
        }
        for client in &mut used {
            assert_eq!(client.tell("request")?, "200");
        }
        let services = service("web", 8080, "adopt") + &service("mapped", 8081, "adopt");
        let agent = Agent::start(&pair.server, &guarding("eth0", hook, &services))?;
        assert_eq!(older(&agent, "web")?, counts(6, 6, 0), "{hook}");
        assert_eq!(older(&agent, "mapped")?, counts(2, 2, 0), "{hook}");
        let (_, token) = agent.issue(&[])?;
        let revoked = issue_revoked(&agent)?;
        for (client, server) in good.iter_mut().zip(servers) {
            for _ in 0..2 {
                let told = client.tell(&format!("request {}", bearer(&token)))?;
                assert_eq!(told, "200", "{hook}: {server:?}");
            }
        }
        for (client, server) in denied.iter_mut().zip(servers) {
            let told = client.tell(&format!("try {}", bearer(&revoked)))?;
            assert_eq!(told, ALIVE, "{hook}: {server:?}");
        }
        for client in half.iter_mut().chain(&mut used) {
            assert_eq!(client.tell("wait")?, RESET, "{hook}");
        }
        // Those before the guard, and two on each that was gone on with. One that was closed is logged, too, as
        // far as it was read.
        wait_for("requests at the application", || {
            let requests = nginx.requests();
            let whole = requests.iter().filter(|line| line.contains("/request"));
            Ok(whole.count() == 4 + 8)
        })?;
        let seen = nginx.connections();
        assert!(!seen.contains(&revoked), "{hook}: {seen}");
        let refused = agent.metrics()?;
        let denied = "service=\"mapped\",verdict=\"deny\",reason=\"revoked\",enforced=\"true\"";
        assert!(refused.contains(denied), "{hook}: {refused}");
    }
    Ok(())
}

#[test]
fn what_is_no_plain_stream_is_closed() -> Result<()> {
    let host = Namespace::new()?;
    let script = "import socket,time\n\
        kept=[]\n\
        s=socket.socket(socket.AF_INET,socket.SOCK_STREAM,262); s.bind(('127.0.0.1',8080)); s.listen()\n\
        while True: kept.append(s.accept())\n";
    let dir = tempfile::tempdir()?;
    let mut server = host.command("python3");
    let _server = Process::start(server.args(["-c", script]), &dir.path().join("log"))?;
    let ready = || TcpStream::connect(("127.0.0.1", 8080)).is_ok();
    wait_for("the server", || host.within(ready))?;
    let mut multipath = Client::connect_multipath(&host, ("127.0.0.1", 8080))?;
    let mut plain = Client::connect(&host, ("127.0.0.1", 8080), "")?;
    let agent = Agent::start(&host, &guarding("lo", "tc", &service("web", 8080, "adopt")))?;
    // The server knows Multipath TCP, but only one client does. The one that found it ready had ended its side.
    assert_eq!(older(&agent, "web")?, counts(1, 2, 0));
    assert_eq!(multipath.tell("wait")?, RESET);
    assert_eq!(plain.tell("wait")?, ALIVE);
    Ok(())
}

/// Connections to the server's host, many of them.
fn many(pair: &Pair, count: u32) -> Result<Vec<TcpStream>> {
    let server = SocketAddr::from(([10, 77, 0, 2], 8080));
    let connect = || (0..count).map(|_| TcpStream::connect_timeout(&server, PATIENCE));
    Ok(pair
        .client
        .within(|| connect().collect::<Result<_, _>>())??)
}

/// Whether a request on it is answered; false if the connection was reset.
fn is_served(mut stream: &TcpStream, token: &str) -> Result<bool> {
    stream.set_read_timeout(Some(PATIENCE))?;
    if stream.write_all(request(Some(token)).as_bytes()).is_err() {
        return Ok(false);
    }
    let mut answer = [0; 15];
    match stream.read_exact(&mut answer) {
        Ok(()) => Ok(answer == *b"HTTP/1.1 200 OK"),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
        Err(error) => Err(error).context("neither answered nor reset"),
    }
}

#[test]
fn many_are_gone_on_with_as_far_as_there_is_room() -> Result<()> {
    for (room, hook, adopted) in [
        ("", "tc", 200),
        ("", "xdp", 200),
        ("max_flows_per_source = 150\n", "tc", 150),
        ("max_flows = 80\nmax_flows_per_source = 80\n", "tc", 80),
    ] {
        let pair = Pair::new()?;
        let nginx = Nginx::start(&pair.server, &["8080"])?;
        let streams = many(&pair, 200)?;
        let sections = guarding("eth0", hook, room) + &service("web", 8080, "adopt");
        let agent = Agent::start(&pair.server, &sections)?;
        assert_eq!(older(&agent, "web")?, counts(adopted, 200 - adopted, 0));
        let (_, token) = agent.issue(&[])?;
        let served: Vec<_> = each(&streams, |stream| is_served(stream, &token))
            .into_iter()
            .collect::<Result<_>>()?;
        let served = served.into_iter().filter(|served| *served).count();
        assert_eq!(served, adopted as usize, "{room:?} on {hook}");
        assert_eq!(nginx.wait_for_requests(served)?.len(), served);
    }
    Ok(())
}

#[test]
fn who_was_gone_on_with_outlives_the_agent() -> Result<()> {
    for hook in HOOKS {
        let pair = Pair::new()?;
        let _nginx = Nginx::start(&pair.server, &["8080"])?;
        let connect = || Client::connect(&pair.client, ("10.77.0.2", 8080), "");
        let (mut spoken, mut silent) = (connect()?, connect()?);
        let sections = guarding("eth0", hook, &service("web", 8080, "adopt"));
        let mut agent = Agent::start(&pair.server, &sections)?;
        assert_eq!(older(&agent, "web")?, counts(2, 0, 0), "{hook}");
        let (_, token) = agent.issue(&[])?;
        let with_token = format!("request {}", bearer(&token));
        assert_eq!(spoken.tell(&with_token)?, "200", "{hook}");
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            agent.stop(signal)?;
            agent.run()?;
            assert_eq!(older(&agent, "web")?, counts(0, 0, 0), "{hook}");
            assert_eq!(spoken.tell(&with_token)?, "200", "{hook}");
            assert_eq!(spoken.tell("wait")?, ALIVE, "{hook}");
        }
        assert_eq!(silent.tell(&with_token)?, "200", "{hook}");
        let revoked = format!("try {}", bearer(&issue_revoked(&agent)?));
        assert_eq!(silent.tell(&revoked)?, ALIVE, "{hook}");
    }
    Ok(())
}

#[test]
fn what_is_only_monitored_is_judged_and_not_disturbed() -> Result<()> {
    let host = Namespace::new()?;
    let _nginx = Nginx::start(&host, &["8080"])?;
    let connect = || Client::connect(&host, ("127.0.0.1", 8080), "");
    let (mut fresh, mut used) = (connect()?, connect()?);
    assert_eq!(used.tell("request")?, "200");
    let monitored = service("web", 8080, "adopt") + "mode = \"monitor\"\n";
    let agent = Agent::start(&host, &guarding("lo", "tc", &monitored))?;
    let told = agent.json(&["status"])?.1;
    assert_eq!(told["services"][0]["older_connections"], counts(1, 0, 1));
    for client in [&mut fresh, &mut used] {
        assert_eq!(client.tell("request Authorization: Bearer unknown")?, "200");
    }
    let metrics = agent.metrics()?;
    for reason in ["unknown", "no_flow"] {
        let counted = format!("reason=\"{reason}\",enforced=\"false\"");
        assert!(metrics.contains(&counted), "{reason}: {metrics}");
    }
    // Once it is enforced, the one is judged as before, and the other one is told that it is none.
    agent.tell(["guard", "web", "--mode", "enforce"])?;
    let (_, token) = agent.issue(&[])?;
    let with_token = bearer(&token);
    assert_eq!(fresh.tell(&format!("request {with_token}"))?, "200");
    assert_eq!(used.tell(&format!("try {with_token}"))?, RESET);
    Ok(())
}
