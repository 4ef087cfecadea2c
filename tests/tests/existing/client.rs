//! A client that outlives whatever happens to the agent.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use anyhow::{Context as _, Result};
use token_agent_tests::host::Namespace;

/// A client with one connection, which does what it is told by lines.
pub(crate) struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// `request` asks, with a header if one follows, and tells the status; `try` does the same and does not wait for long;
/// `half` begins to ask, and waits until the server's host has that; `wait` tells what the connection comes to
/// within a second.
const SCRIPT: &str = "import fcntl,socket,struct,sys,termios,time\n\
    host,port,header,protocol=sys.argv[1:]\n\
    family,_,_,_,address=socket.getaddrinfo(host,int(port),type=socket.SOCK_STREAM)[0]\n\
    s=socket.socket(family,socket.SOCK_STREAM,int(protocol))\n\
    s.settimeout(30); s.connect(address)\n\
    print('connected',flush=True)\n\
    for line in sys.stdin:\n\
    \x20 what,_,more=line.rstrip('\\n').partition(' ')\n\
    \x20 try:\n\
    \x20   if what=='half':\n\
    \x20     s.sendall(b'GET /half HTTP/1.1\\r\\nHost: a\\r\\n')\n\
    \x20     while struct.unpack('i',fcntl.ioctl(s,termios.TIOCOUTQ,b'1234'))[0]: time.sleep(.01)\n\
    \x20     print('half',flush=True)\n\
    \x20   elif what in ('request','try'):\n\
    \x20     s.settimeout(30 if what=='request' else 1.5)\n\
    \x20     s.sendall(b'GET /'+what.encode()+b' HTTP/1.1\\r\\nHost: a\\r\\n'+(more or header).encode()+b'\\r\\n\\r\\n')\n\
    \x20     answer=b''\n\
    \x20     while not answer.endswith(b'hello\\n'): answer+=s.recv(4096) or exit('closed')\n\
    \x20     print(answer.split()[1].decode(),flush=True)\n\
    \x20   else:\n\
    \x20     s.settimeout(1); print('end' if s.recv(1)==b'' else 'data',flush=True)\n\
    \x20 except Exception as e: print(type(e).__name__,flush=True)\n";

/// What a client tells whose connection was reset.
pub(crate) const RESET: &str = "ConnectionResetError";
/// What it tells if nothing comes.
pub(crate) const ALIVE: &str = "TimeoutError";

impl Client {
    /// Connects; `header` goes with each request that has no other.
    pub(crate) fn connect(host: &Namespace, server: (&str, u16), header: &str) -> Result<Self> {
        Self::connect_by(host, server, header, 0)
    }

    /// The same by Multipath TCP.
    pub(crate) fn connect_multipath(host: &Namespace, server: (&str, u16)) -> Result<Self> {
        const MULTIPATH: u32 = 262;
        Self::connect_by(host, server, "", MULTIPATH)
    }

    fn connect_by(
        host: &Namespace,
        server: (&str, u16),
        header: &str,
        protocol: u32,
    ) -> Result<Self> {
        let mut command = host.command("python3");
        let (port, protocol) = (server.1.to_string(), protocol.to_string());
        let mut child = command
            .args(["-c", SCRIPT, server.0, &port, header, &protocol])
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

    pub(crate) fn tell(&mut self, what: &str) -> Result<String> {
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
