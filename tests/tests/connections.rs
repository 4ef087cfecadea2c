//! What is known of a connection outlives restarts, full tables and changes of mode.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use token_agent::datapath::{Datapath, Program, ServiceNumber};
use token_agent_common::{abi::Mode, reason::Reason};
use token_agent_tests::{
    frame::{DATA, FIN, Frame, RST},
    guard::Guard,
    host::{Agent, Namespace, Nginx, run},
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

fn request(method: &str, path: &str, token: &str, more: &str) -> String {
    format!("{method} /{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

/// A request that the guard takes for the start of a body without end, where
/// the server takes it for the end of one.
fn bait(token: &str) -> String {
    request("POST", "bait", token, "Content-Length: 1000000000000\r\n")
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
    let _agent = Agent::start(&host, GUARD_LO)?;
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

/// Connections with a body under way, of which the table holds a few.
struct Uploads {
    guard: Guard,
    program: Program,
}

impl Uploads {
    const HEAD: &str =
        "PUT / HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Length: 100\r\n\r\n";
    const BODY: u32 = 1_000 + Self::HEAD.len() as u32;
    const ROOM: u16 = 8;

    fn new(program: Program) -> Result<Self> {
        let mut guard = Guard::load(&format!(
            "max_flows = {}\n[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n",
            Self::ROOM
        ))?;
        guard.allow("good")?;
        Ok(Self { guard, program })
    }

    fn send(&mut self, client_port: u16, flags: u8, sequence: u32, payload: &str) -> Result<bool> {
        let frame = Frame {
            client_port,
            flags,
            sequence,
            ..Frame::new("10.0.0.5".parse()?, 8080, payload)
        };
        let (passed, counted) = self.guard.go_on(self.program, &frame.build())?;
        if !passed {
            let (_, _, reason) = counted[0].0;
            assert!(
                matches!(
                    reason,
                    Reason::Undecided | Reason::Malformed | Reason::Unknown
                ),
                "{reason:?}"
            );
        }
        Ok(passed)
    }

    fn begin(&mut self, client_port: u16) -> Result<bool> {
        self.send(client_port, DATA, 1_000, Self::HEAD)
    }

    /// Fills the table and gives a port that found no room.
    fn fill(&mut self) -> Result<u16> {
        let mut ports = 1..=4 * Self::ROOM;
        for port in ports.by_ref() {
            if !self.begin(port)? {
                assert!(port > Self::ROOM / 2, "no room for {port}");
                return Ok(port);
            }
        }
        anyhow::bail!("there is room for {ports:?}")
    }
}

const PROGRAMS: [Program; 2] = [Program::Tc, Program::Xdp];

#[test]
fn a_full_table_denies_what_it_cannot_remember() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        assert!(uploads.send(1, DATA, Uploads::BODY, "of the body")?);
        let whole = Uploads::HEAD.replace("100", "0");
        assert!(
            uploads.send(refused, DATA, 1_000, &whole)?,
            "needs no memory"
        );
    }
    Ok(())
}

/// Numbers the bytes of a connection whose segments are dropped and sent again.
struct Client {
    uploads: Uploads,
    port: u16,
}

impl Client {
    fn send(&mut self, sequence: usize, payload: &str) -> Result<bool> {
        self.uploads
            .send(self.port, DATA, 1_000 + u32::try_from(sequence)?, payload)
    }
}

/// A request that hides what follows it, where it is read as one.
fn hiding(token: &str) -> String {
    bait(token) + &request("GET", "denied", "bad", "")
}

#[test]
fn what_lies_behind_something_denied_waits_for_it() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client {
            uploads: Uploads::new(program)?,
            port: 1,
        };
        let length = bait("good").len();
        let head = request(
            "POST",
            "up",
            "good",
            &format!("Content-Length: {length}\r\n"),
        );
        let hiding = hiding("good");
        // A head in two pieces, and behind it what would hide a request.
        assert!(!client.send(0, &head[..30])?);
        assert!(!client.send(30, &head[30..])?);
        assert!(!client.send(head.len(), &hiding)?);
        // Sent again in one piece, the head passes; the rest is then what it is.
        assert!(client.send(0, &head)?);
        assert!(!client.send(head.len(), &hiding)?);
        // The same for one that comes before the denied one was sent again.
        let behind = head.len() + hiding.len();
        assert!(!client.send(behind, &request("GET", "after", "good", ""))?);
        assert!(!client.send(head.len(), &hiding)?);
        assert!(client.send(head.len(), &bait("good"))?);
        assert!(client.send(head.len() + length, &request("GET", "next", "good", ""))?);
    }
    Ok(())
}

#[test]
fn a_body_sent_again_with_its_head_is_no_longer() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client {
            uploads: Uploads::new(program)?,
            port: 1,
        };
        let head = Uploads::HEAD.replace("100", "1000");
        let whole = head.clone() + &"x".repeat(1_000);
        let sent = [10, 100].map(|body| head.len() + body);
        assert!(client.send(0, &whole[..sent[0]])?);
        assert!(client.send(0, &whole[..sent[1]])?);
        assert!(client.send(sent[1], &whole[sent[1]..])?);
        assert!(!client.send(whole.len(), &request("GET", "denied", "bad", ""))?);
    }
    Ok(())
}

#[test]
fn only_a_reset_ends_a_connection_that_was_lost_or_held() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let service = ServiceNumber(1);
        let monitor = Some((Mode::Monitor, u64::MAX));
        uploads.guard.kernel.override_mode(service, monitor)?;
        assert!(uploads.send(1, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
        uploads.guard.kernel.override_mode(service, None)?;
        assert!(!uploads.send(2, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
        let whole = request("GET", "whole", "good", "");
        for (port, sequence) in [(1, 1_022), (2, 1_022)] {
            for (flags, passes) in [(FIN | DATA, false), (RST, true)] {
                assert!(uploads.send(port, flags, sequence, "")?);
                assert_eq!(
                    uploads.send(port, DATA, sequence, &whole)?,
                    passes,
                    "port {port}, flags {flags}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_connection_that_ends_makes_room() -> Result<()> {
    for program in PROGRAMS {
        for flags in [RST, FIN | DATA] {
            let mut uploads = Uploads::new(program)?;
            let refused = uploads.fill()?;
            // Not where the stream has come to: by no sender who knows it.
            assert!(uploads.send(1, flags, Uploads::BODY + 1, "")?);
            assert!(!uploads.begin(refused)?);
            assert!(uploads.send(1, flags, Uploads::BODY, "")?);
            assert!(uploads.begin(refused)?);
        }
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        assert!(uploads.send(2, FIN | DATA, Uploads::BODY, "the last of it")?);
        assert!(uploads.begin(refused)?);
    }
    Ok(())
}

#[test]
fn a_connection_that_was_lost_makes_room_too() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let monitor = Some((Mode::Monitor, u64::MAX));
        uploads
            .guard
            .kernel
            .override_mode(ServiceNumber(1), monitor)?;
        for (port, payload) in [(1, ""), (2, "more of it")] {
            assert!(uploads.send(port, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
            uploads.guard.flows.forget_idle(Duration::ZERO)?;
            assert_eq!(used(&uploads.guard.kernel), 1);
            assert!(uploads.send(port, FIN | DATA, 1_022, payload)?);
            uploads.guard.flows.forget_idle(Duration::ZERO)?;
            assert_eq!(used(&uploads.guard.kernel), 0);
        }
    }
    Ok(())
}

#[test]
fn an_idle_connection_makes_room_and_no_other() -> Result<()> {
    let now = || -> Result<Duration> { Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into()) };
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        uploads
            .guard
            .flows
            .forget_idle(now()? + Duration::from_secs(3_500))?;
        assert!(!uploads.begin(refused)?);
        assert!(used(&uploads.guard.kernel) >= u32::from(Uploads::ROOM / 2));
        uploads
            .guard
            .flows
            .forget_idle(now()? + Duration::from_secs(3_700))?;
        assert_eq!(used(&uploads.guard.kernel), 0);
        assert!(uploads.begin(refused)?);
        assert!(
            !uploads.send(1, DATA, Uploads::BODY, "of a body forgotten")?,
            "is no request"
        );
    }
    Ok(())
}

fn used(kernel: &Datapath) -> u32 {
    let maps = kernel.maps();
    let flows = maps.iter().find(|map| map.name == "flows");
    flows.map_or(0, |map| map.used)
}
