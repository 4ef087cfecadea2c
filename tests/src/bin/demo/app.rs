//! The application that is guarded. It knows nothing of tokens: it answers
//! whatever reaches it.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    libc,
    sys::socket::{setsockopt, sockopt::Linger},
};

/// A connection on which nothing comes is closed after this time.
const IDLE: Duration = Duration::from_secs(60);

/// The longest line of a head, and the most lines.
const LINE_MAX: u64 = 65_536;
const LINES_MAX: usize = 1_000;

/// A request that reached the application.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) peer: SocketAddr,
}

/// An HTTP/1.1 server, one thread for each connection. It ends when dropped.
pub(crate) struct App {
    address: SocketAddr,
    state: Arc<State>,
    acceptor: Option<JoinHandle<()>>,
}

/// The open connections; `None` when the end has come.
struct State(Mutex<Option<HashMap<SocketAddr, TcpStream>>>);

impl State {
    fn connections(&self) -> MutexGuard<'_, Option<HashMap<SocketAddr, TcpStream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens on `address`, or says why that cannot be.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            anyhow!(
                "{address} is taken by another program; choose another port: \
                 cargo xtask run -- --port {}",
                address.port().checked_add(1).unwrap_or(8080)
            )
        } else {
            anyhow!(error).context(format!("cannot listen on {address}"))
        }
    })
}

impl App {
    /// Starts it; each request is given to `told` before it is answered.
    pub(crate) fn start(
        address: SocketAddr,
        told: impl Fn(Request) + Clone + Send + 'static,
    ) -> Result<Self> {
        let listener = bind(address)?;
        let state = Arc::new(State(Mutex::new(Some(HashMap::new()))));
        let shared = Arc::clone(&state);
        let acceptor = thread::Builder::new()
            .name("accept".into())
            .spawn(move || accept(&listener, &shared, &told))
            .context("cannot start a thread")?;
        Ok(Self {
            address,
            state,
            acceptor: Some(acceptor),
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(connections) = self.state.connections().take() {
            for stream in connections.values() {
                // Gone already is fine.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // Wakes the acceptor, which sees that the end has come. An empty connection is never judged.
        let woken = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take()
            && woken.is_ok()
        {
            // It panics nowhere.
            let _ = acceptor.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    state: &Arc<State>,
    told: &(impl Fn(Request) + Clone + Send + 'static),
) {
    for stream in listener.incoming() {
        let opened =
            stream.and_then(|stream| Ok((stream.peer_addr()?, stream.try_clone()?, stream)));
        let mut connections = state.connections();
        let Some(connections) = &mut *connections else {
            return;
        };
        // A client that is gone already, or no file descriptor left: the next one may be luckier.
        let Ok((peer, handle, stream)) = opened else {
            continue;
        };
        connections.insert(peer, handle);
        let (state, told) = (Arc::clone(state), told.clone());
        let started = thread::Builder::new().name("serve".into()).spawn(move || {
            // What breaks off is the client's business.
            let _ = serve(&stream, peer, &told);
            if let Some(connections) = &mut *state.connections() {
                connections.remove(&peer);
            }
        });
        if started.is_err() {
            connections.remove(&peer);
        }
    }
}

/// Answers requests until the client has no more.
fn serve(stream: &TcpStream, peer: SocketAddr, told: &impl Fn(Request)) -> Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    // Closed by a reset: a client whose request was dropped has unsent data, and would keep trying.
    setsockopt(
        stream,
        Linger,
        &libc::linger {
            l_onoff: 1,
            l_linger: 0,
        },
    )?;
    let mut reader = BufReader::new(stream);
    loop {
        let Some(head) = read_head(&mut reader)? else {
            return Ok(());
        };
        let mut words = head[0].split(' ').map(str::to_owned);
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default();
        let length = field(&head, "content-length").map_or(Ok(0), str::parse)?;
        io::copy(&mut (&mut reader).take(length), &mut io::sink())?;
        let keep =
            !field(&head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let body = format!("The application got {method} {path}\n");
        told(Request {
            method: method.clone(),
            path,
            peer,
        });
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Connection: {}\r\n\r\n{}",
            body.len(),
            if keep { "keep-alive" } else { "close" },
            if method == "HEAD" { "" } else { &body },
        );
        (&mut &*stream).write_all(answer.as_bytes())?;
        if !keep {
            // The client closes first, so that a reset cannot overtake the answer.
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut reader, &mut io::sink())?;
            return Ok(());
        }
    }
}

/// The lines of a head; `None` when there is no further request.
fn read_head(reader: &mut BufReader<&TcpStream>) -> Result<Option<Vec<String>>> {
    let mut lines = Vec::new();
    while lines.len() < LINES_MAX {
        let mut line = String::new();
        if reader.take(LINE_MAX).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if !line.is_empty() {
            lines.push(line.to_owned());
        } else if !lines.is_empty() {
            return Ok(Some(lines));
        }
    }
    Err(anyhow!("too many lines"))
}

fn field<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let mut fields = head[1..].iter().filter_map(|line| line.split_once(':'));
    fields
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
