//! What is known of a connection outlives restarts, full tables and changes of mode.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, run},
    request::{bait, request},
};

const GUARD_LO: &str = "[datapath]\ninterfaces = [\"lo\"]\nmax_flows = 1024\n\
    [[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n";

/// One connection that outlives whatever happens to the agent.
struct Connection {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Connection {
    fn open(host: &Namespace) -> Result<Self> {
        let script = "import ast,socket,sys\n\
            c=socket.create_connection(('127.0.0.1',8080)); c.setsockopt(6,1,1); c.settimeout(.5)\n\
            for line in sys.stdin:\n\
            \x20 try:\n\
            \x20   c.sendall(ast.literal_eval(line)); print(c.recv(65536)[:15],flush=True)\n\
            \x20 except OSError: print(None,flush=True)\n";
        let mut child = host
            .command("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().context("a pipe")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe")?);
        Ok(Self {
            child,
            requests,
            answers,
        })
    }

    /// Sends the bytes in one segment and waits for an answer or half a second.
    fn send(&mut self, bytes: &str) -> Result<String> {
        writeln!(self.requests, "b{bytes:?}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn upload(token: &str) -> String {
    let length = format!("Content-Length: {}\r\n", 5 + bait(token).len());
    request("POST", "upload", token, &length) + "hello"
}

fn issue_revoked(agent: &Agent<'_>) -> Result<String> {
    let (id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &id])?;
    Ok(revoked)
}

fn assert_unseen(nginx: &Nginx, path: &str) {
    // It answers before it logs.
    thread::sleep(Duration::from_millis(300));
    let seen = nginx.requests();
    assert!(!seen.iter().any(|line| line.contains(path)), "{seen:?}");
}

#[test]
fn a_head_begun_before_the_guard_is_not_completed() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let mut connection = Connection::open(&host)?;
    connection.send("GET /denied HTTP/1.1\r\nHost: a")?;
    // One that is closed is logged, too, as far as it was read.
    let dropping = format!("{GUARD_LO}existing_connections = \"drop\"\n");
    let _agent = Agent::start(&host, &dropping)?;
    connection.send("\r\n\r\n")?;
    assert_unseen(&nginx, "denied");
    Ok(())
}

#[test]
fn a_head_begun_while_monitored_is_not_completed() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, GUARD_LO)?;
    let mut connection = Connection::open(&host)?;
    agent.tell(["guard", "web", "--mode", "monitor"])?;
    connection.send("GET /denied HTTP/1.1\r\nHost: a")?;
    agent.tell(["guard", "web", "--mode", "enforce"])?;
    connection.send("\r\n\r\n")?;
    assert_unseen(&nginx, "denied");
    Ok(())
}

#[test]
fn a_restart_within_a_body_opens_nothing() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let mut agent = Agent::start(&host, GUARD_LO)?;
    let (_, good) = agent.issue(&[])?;
    let revoked = issue_revoked(&agent)?;
    let mut connection = Connection::open(&host)?;
    connection.send(&upload(&good))?;
    agent.stop(Signal::SIGTERM)?;
    agent.run()?;
    connection.send(&bait(&good))?;
    connection.send(&request("GET", "denied", &revoked, ""))?;
    assert_unseen(&nginx, "denied");
    Ok(())
}

#[test]
fn a_head_in_pieces_hides_nothing() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, GUARD_LO)?;
    let (_, good) = agent.issue(&[])?;
    let revoked = issue_revoked(&agent)?;
    let bait = bait(&good);
    let length = format!("Content-Length: {}\r\n", bait.len());
    let head = request("POST", "upload", &good, &length);
    let hidden = request("GET", "denied", &revoked, "");
    let script = format!(
        "import socket,time\n\
         c=socket.create_connection(('127.0.0.1',8080)); c.setsockopt(6,1,1)\n\
         for part in (b{:?},b{:?},b{:?}):\n\
         \x20 c.sendall(part); time.sleep(.002)\n\
         time.sleep(2)\n",
        &head[..30],
        &head[30..],
        bait + &hidden
    );
    run(host.command("python3").args(["-c", &script]))?;
    assert_unseen(&nginx, "denied");
    Ok(())
}

#[test]
fn a_full_table_of_connections_opens_nothing() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, GUARD_LO)?;
    let (_, good) = agent.issue(&[])?;
    let revoked = issue_revoked(&agent)?;
    let mut connection = Connection::open(&host)?;
    connection.send(&upload(&good))?;
    let filler = request("POST", "filler", &good, "Content-Length: 100\r\n");
    let script = format!(
        "import socket,struct\n\
         for port in range(10000,20000):\n\
         \x20 c=socket.create_connection(('127.0.0.1',8080),source_address=('127.0.0.2',port))\n\
         \x20 c.sendall(b{filler:?}); c.recv(100)\n\
         \x20 c.setsockopt(1,13,struct.pack('ii',1,0)); c.close()\n"
    );
    run(host.command("python3").args(["-c", &script]))?;
    connection.send(&bait(&good))?;
    connection.send(&request("GET", "denied", &revoked, ""))?;
    assert_unseen(&nginx, "denied");
    Ok(())
}
