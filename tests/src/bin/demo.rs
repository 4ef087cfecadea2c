//! The main job on this host's own `lo`: a small application, the agent in front
//! of it, a token, and every verdict as it falls.
//!
//! All it puts on the host is gone when it ends, however it ends. The BPF file
//! system with the guard's pins is mounted where only this process and its
//! children see it, and the children die with it, so even a kill takes the guard off.

#[path = "demo/app.rs"]
mod app;

use std::{
    collections::HashSet,
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::{ChildStdout, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::Signal,
};
use serde_json::Value;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};
use token_agent_tests::host::{Agent, Namespace, Process, binary};

use crate::app::App;

/// Shows token-agent at work on this host's `lo`, until Ctrl-C
#[derive(Parser)]
#[command(name = "cargo xtask run --")]
struct Options {
    /// Where the application listens on 127.0.0.1
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// End by itself after so many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Something to tell.
enum News {
    /// The application got a request.
    Request(app::Request),
    /// The agent told of an event.
    Event(Value),
    /// The agent tells no more.
    End,
}

/// How often signals, time and the agent's health are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let options = Options::parse();
    match demonstrate(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn demonstrate(options: &Options) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "the demo needs root; start it by `cargo xtask run`"
    );
    binary()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop)).context("cannot handle signals")?;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    // A taken port is better told before anything is done.
    app::bind(address)?;
    hide_mounts()?;

    let host = Namespace::current();
    let mut guarded = Guarded::prepare(&host, address)?;
    let shown = show(&mut guarded.agent, address, options, &stop);
    let ended = guarded.end();
    shown.and(ended)?;
    tell("The guard is off, the agent has ended; nothing is left.")
}

/// What is mounted from now on, no other process sees.
fn hide_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot have mounts of our own")?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_SLAVE,
        None::<&str>,
    )
    .context("cannot keep mounts to ourselves")
}

/// The agent, and with it the guard.
struct Guarded<'a> {
    agent: Agent<'a>,
    has_ended: bool,
}

impl<'a> Guarded<'a> {
    fn prepare(host: &'a Namespace, address: SocketAddr) -> Result<Self> {
        let agent = Agent::prepare(host, "")?;
        // Without a port for metrics: it may be taken.
        let config = format!(
            "[agent]\nstate_dir = {:?}\nsocket = {:?}\npin_dir = {:?}\n\
             [metrics]\nlisten = \"\"\n\
             [datapath]\ninterfaces = [\"lo\"]\n\
             [[service]]\nname = \"demo\"\nlisten = [\"{address}\"]\n",
            agent.state_dir(),
            agent.socket(),
            agent.pin_dir(),
        );
        fs::write(agent.config(), config)?;
        Ok(Self {
            agent,
            has_ended: false,
        })
    }

    /// Takes the guard off and ends the agent, also if it has died.
    fn end(&mut self) -> Result<()> {
        self.has_ended = true;
        let config = self.agent.config();
        let detached = self.agent.tell([
            "detach".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--all".as_ref(),
            "--yes".as_ref(),
        ]);
        if self.agent.is_running() {
            self.agent.stop(Signal::SIGTERM)?;
        }
        detached.context("cannot take the guard off")?;
        let pins = self.agent.pin_dir();
        ensure!(!pins.exists(), "{} is left", pins.display());
        Ok(())
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        if !self.has_ended
            && let Err(error) = self.end()
        {
            eprintln!("error: {error:#}");
        }
    }
}

/// Starts everything, says how to use it, and tells of what happens.
fn show(
    agent: &mut Agent<'_>,
    address: SocketAddr,
    options: &Options,
    stop: &AtomicBool,
) -> Result<()> {
    agent.run()?;
    let (code, status) = agent.json(&["status"])?;
    ensure!(
        code == Some(0),
        "the agent does not guard lo: {status}\n{}",
        agent.log()
    );
    let (sender, news) = mpsc::channel();
    let (_events, output) = Process::follow(&mut agent.command(["--json", "events", "--follow"]))?;
    forward_events(output, sender.clone());
    // Only now, so that it never listens unguarded; and it ends before the guard is taken off,
    // or a denied request that TCP sends again would still get through.
    let _app = App::start(address, move |request| {
        // Nobody listens any more at the end.
        let _ = sender.send(News::Request(request));
    })?;

    let (id, token) = agent.issue(&["--ttl", "1h"])?;
    tell(&introduction(agent, address, &id, &token)?)?;

    let end = options
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut known = HashSet::new();
    while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
        match news.recv_timeout(LOOK_EVERY) {
            Ok(News::Request(request)) => {
                let app::Request { method, path, peer } = request;
                tell(&format!("allowed  {method} {path}  from {peer}"))?;
            }
            Ok(News::Event(event)) => {
                if let Some(line) = line(&event, &mut known) {
                    tell(&line)?;
                }
            }
            Ok(News::End) => bail!("the agent has ended:\n{}", agent.log()),
            Err(RecvTimeoutError::Timeout) => {
                ensure!(agent.is_running(), "the agent has ended:\n{}", agent.log());
            }
            Err(RecvTimeoutError::Disconnected) => bail!("nothing tells of verdicts any more"),
        }
    }
    tell("\nEnding.")
}

/// The commands to try, to be pasted into another terminal.
fn introduction(agent: &Agent<'_>, address: SocketAddr, id: &str, token: &str) -> Result<String> {
    let binary = binary()?.canonicalize().context("TOKEN_AGENT_BIN")?;
    let sudo = if env::var_os("SUDO_USER").is_some() {
        "sudo "
    } else {
        ""
    };
    let command = format!(
        "{sudo}{} --socket {}",
        binary.display(),
        agent.socket().display()
    );
    // curl asks a proxy even for this host.
    let is_proxied = ["http_proxy", "all_proxy", "ALL_PROXY"]
        .iter()
        .any(|name| env::var_os(name).is_some());
    let curl = if is_proxied {
        "curl --noproxy '*'"
    } else {
        "curl"
    };
    let url = format!("http://{address}/hello");
    let wrong = another(token);
    Ok(format!(
        "\nAn application listens on {address}. token-agent guards it in the kernel, on lo.\n\
         Paste these into another terminal.\n\n\
         Allowed: the application answers.\n\n    \
         {curl} -H 'Authorization: Bearer {token}' {url}\n\n\
         Denied: a wrong token, then none. The request is dropped, so curl waits in vain.\n\n    \
         {curl} --max-time 2 -H 'Authorization: Bearer {wrong}' {url}\n    \
         {curl} --max-time 2 {url}\n\n\
         Revoke the token, then try the first line again:\n\n    \
         {command} revoke {id}\n\n\
         A new one:\n\n    \
         {command} issue --owner me --purpose demo\n\n\
         Verdicts follow; Ctrl-C ends the demo.\n"
    ))
}

/// A token of the same form that nobody issued.
fn another(token: &str) -> String {
    let swapped = |c: char| if c == 'x' { 'y' } else { 'x' };
    let (head, tail) = token.split_at(token.len() / 2);
    let mut rest = tail.chars();
    rest.next().map_or_else(String::new, |first| {
        format!("{head}{}{}", swapped(first), rest.as_str())
    })
}

/// The line that tells of `event`, if it is news: TCP sends what was dropped
/// again and again, and each time it is denied again.
fn line(event: &Value, known: &mut HashSet<(String, String)>) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
    match event["type"].as_str()? {
        "control" => Some(format!("{:<8} {}", text("action"), text("id"))),
        "verdict" if known.insert((text("peer"), text("reason"))) => Some(format!(
            "denied   {}  {}  from {}",
            text("method"),
            text("reason"),
            text("peer")
        )),
        "lost" => Some(format!("(lost {} events)", event["count"])),
        _ => None,
    }
}

fn forward_events(output: ChildStdout, news: Sender<News>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Ok(event) = serde_json::from_str(&line)
                && news.send(News::Event(event)).is_err()
            {
                return;
            }
        }
        // That nobody listens any more is fine.
        let _ = news.send(News::End);
    });
}

/// Prints a line. That it cannot (the terminal is gone) is an error like any other, and ends the demo.
fn tell(line: &str) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot print")
}
