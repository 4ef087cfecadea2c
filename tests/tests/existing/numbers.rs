//! What a server has sent before the guard was there counts: what may be acknowledged is as much as that.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    ground::HOOKS,
    host::{Agent, Pair, Process, wait_for},
    raw::{Peer, Wire},
    said::request,
};

use super::{counts, older, service};

/// How much the server says before it is asked: as much as it may send before anything is acknowledged.
const BANNER: usize = 5_000;

/// A server that speaks first, and logs what it is told: port, bytes in hexadecimal.
const SCRIPT: &str = "import socket,sys,threading\n\
    log=open(sys.argv[1],'a',buffering=1)\n\
    def serve(c,peer):\n\
    \x20 c.sendall(b'B'*int(sys.argv[2]))\n\
    \x20 while data:=c.recv(65536):\n\
    \x20   log.write(f'{peer[1]} {data.hex()}\\n')\n\
    \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')\n\
    s=socket.create_server(('::',8080),family=socket.AF_INET6,dualstack_ipv6=True)\n\
    while True: threading.Thread(target=serve,args=s.accept(),daemon=True).start()\n";

/// What the server was told on each connection that it was told anything on.
fn told(log: &Path, peer: &Peer) -> Result<String> {
    let port = format!("{} ", peer.address().port());
    let log = fs::read_to_string(log)?;
    let told = log.lines().filter_map(|line| line.strip_prefix(&port));
    Ok(told.collect())
}

fn bad_packets(agent: &Agent<'_>) -> Result<u64> {
    let metrics = agent.metrics()?;
    let of_service = |line: &&str| line.contains("service=\"web\"");
    let mut lines = metrics.lines().filter(of_service);
    let found = lines.find(|line| line.contains("reason=\"bad_packet\""));
    let count = found.and_then(|line| line.rsplit_once(' '));
    Ok(count.map_or(Ok(0), |(_, count)| count.parse())?)
}

fn on(hook: &str, server: SocketAddr) -> Result<()> {
    let pair = Pair::new()?;
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("told");
    let mut command = pair.server.command("python3");
    command
        .args(["-c", SCRIPT])
        .arg(&log)
        .arg(BANNER.to_string());
    let _server = Process::start(&mut command, &dir.path().join("log"))?;
    wait_for("the server", || Ok(log.exists()))?;
    let wire = Wire::open(&pair)?;
    let connect = |is_silent: bool| -> Result<Peer> {
        let mut peer = wire.peer(server)?;
        peer.connect()?;
        if is_silent {
            peer.be_silent();
        }
        let most = Duration::from_secs(10);
        let whole = peer.wait(most, |peer| peer.received().len() == BANNER)?;
        ensure!(whole, "{} bytes came", peer.received().len());
        Ok(peer)
    };
    // Of one the banner is acknowledged, of the others not: they could acknowledge any part of it.
    let mut heard = connect(false)?;
    let mut silent = [connect(true)?, connect(true)?, connect(true)?];
    let sections = format!(
        "[datapath]\ninterfaces = [\"eth0\"]\nhook = \"{hook}\"\n{}",
        service("web", 8080, "adopt")
    );
    let agent = Agent::start(&pair.server, &sections)?;
    assert_eq!(older(&agent, "web")?, counts(4, 0, 0), "{hook}");
    let (_, token) = agent.issue(&[])?;
    let good = request(Some(&token));
    let unknown = request(Some("unknown"));

    let ahead = |peer: &Peer| peer.data(0, good.as_bytes()).acknowledging(1);
    let behind = |peer: &Peer| {
        let too_little = i32::try_from(BANNER).unwrap_or(i32::MAX) + 1;
        peer.data(0, good.as_bytes()).acknowledging(-too_little)
    };
    let before = bad_packets(&agent)?;
    ahead(&heard).send()?;
    ahead(&silent[0]).send()?;
    behind(&silent[1]).send()?;
    wait_for("packets to be dropped", || {
        Ok(bad_packets(&agent)? == before + 3)
    })?;
    heard.data(0, unknown.as_bytes()).send()?;
    heard.pause(Duration::from_millis(300))?;
    for peer in [&heard, &silent[0], &silent[1]] {
        assert_eq!(told(&log, peer)?, "", "{hook}");
    }

    let parts = [0, 1, BANNER / 2, BANNER];
    let [first, second, third] = &mut silent;
    for (peer, unheard) in [&mut heard, first, second, third].into_iter().zip(parts) {
        let less = -i32::try_from(unheard)?;
        peer.data(0, good.as_bytes()).acknowledging(less).send()?;
        let hex: String = good.bytes().map(|byte| format!("{byte:02x}")).collect();
        wait_for("the request", || Ok(told(&log, peer)? == hex))
            .with_context(|| format!("{hook}: without the last {unheard} bytes"))?;
    }
    Ok(())
}

#[test]
fn what_was_sent_before_may_be_acknowledged_and_no_more() -> Result<()> {
    for hook in HOOKS {
        for server in Pair::SERVER {
            on(hook, SocketAddr::new(server.parse()?, 8080))?;
        }
    }
    Ok(())
}
