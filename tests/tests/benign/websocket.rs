//! Upgraded connections: messages both ways, small and big.

use std::{fs, net::TcpStream};

use anyhow::{Result, ensure};
use token_agent_tests::{
    host::{Process, run, wait_for},
    request::request,
};

use crate::{
    clients::{PYTHON, script},
    place::{Case, Scene, WEBSOCKET},
};

/// How many small messages there are each time, and how long the long one is.
const MESSAGES: &str = "300";
const LONG: &str = "16000000";

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

pub(crate) const CASES: &[Case] = &[("WebSocket", talk)];

fn talk(scene: &Scene<'_>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let mut command = scene.layout.server.command(PYTHON);
    command.arg(script("websocket_server.py"));
    let mut server = Process::start(command.arg(WEBSOCKET.to_string()), &log)?;
    wait_for("the WebSocket server", || {
        ensure!(
            server.is_running(),
            "it ended: {:?}",
            fs::read_to_string(&log)
        );
        let connect = || TcpStream::connect(("127.0.0.1", WEBSOCKET)).is_ok();
        scene.layout.server.within(connect)
    })?;
    let denied = request("GET", "denied", &scene.revoked, UPGRADE);
    scene.intrude_at(WEBSOCKET, &denied)?;
    let mut client = scene.layout.client.command(PYTHON);
    client.arg(script("websocket_client.py"));
    let url = scene.url(WEBSOCKET, "/talk").replace("http", "ws");
    run(client.args([&url, &scene.good, &scene.bait(), MESSAGES, LONG]))?;
    let said = fs::read_to_string(&log)?;
    ensure!(
        said.matches("/talk\n").count() == 2 && !said.contains("denied"),
        "{said}"
    );
    Ok(())
}
