//! Connections that are older than the guard: closed, left alone or gone on with.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, bearer, curl},
    said::done,
};

/// A client with one connection, which does what it is told by lines.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// `request` asks and tells the status; `wait` tells what the connection comes to within a second.
const SCRIPT: &str = "import socket,sys\n\
    s=socket.create_connection((sys.argv[1],int(sys.argv[2])),timeout=30)\n\
    print('connected',flush=True)\n\
    for line in sys.stdin:\n\
    \x20 try:\n\
    \x20   if line=='request\\n':\n\
    \x20     s.settimeout(30)\n\
    \x20     s.sendall(b'GET / HTTP/1.1\\r\\nHost: a\\r\\n'+sys.argv[3].encode()+b'\\r\\n\\r\\n')\n\
    \x20     answer=b''\n\
    \x20     while not answer.endswith(b'hello\\n'): answer+=s.recv(4096) or exit('closed')\n\
    \x20     print(answer.split()[1].decode(),flush=True)\n\
    \x20   else:\n\
    \x20     s.settimeout(1); print('end' if s.recv(1)==b'' else 'data',flush=True)\n\
    \x20 except Exception as e: print(type(e).__name__,flush=True)\n";

impl Client {
    fn connect(host: &Namespace, server: (&str, u16), header: &str) -> Result<Self> {
        let mut command = host.command("python3");
        let mut child = command
            .args(["-c", SCRIPT, server.0, &server.1.to_string(), header])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("a pipe")?;
        let output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut client = Self {
            child,
            input,
            output,
        };
        assert_eq!(client.line()?, "connected");
        Ok(client)
    }

    fn tell(&mut self, what: &str) -> Result<String> {
        writeln!(self.input, "{what}")?;
        self.line()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const RESET: &str = "ConnectionResetError";
const ALIVE: &str = "TimeoutError";

fn service(name: &str, port: u16, existing: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}\"\nlisten = [\"*:{port}\"]\nexisting_connections = \"{existing}\"\n"
    )
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
    done(&agent, &["status"])?;

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
