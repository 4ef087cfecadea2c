//! Where benign traffic is tried: hosts, an application, and the guard between them.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    client::Client,
    host::{Agent, Namespace, Nginx, PATIENCE, Pair, run, wait_for},
    request::request,
};

use crate::{
    application::{Application, Digest},
    tokens,
};

/// By which way requests come, and where the guard meets them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// `lo`, by TC.
    Lo,
    /// `lo`, by generic XDP.
    LoXdp,
    /// The host's end of a container's cable, where the guard faces the service: by TC.
    Service,
    /// veth, by TC.
    Tc,
    /// veth, by native XDP.
    Xdp,
}

/// The application's port, nginx's, and that of a WebSocket server.
pub(crate) const APPLICATION: u16 = 8080;
pub(crate) const NGINX: u16 = 8081;
pub(crate) const WEBSOCKET: u16 = 8082;

/// Hosts and how the guard is put between them.
pub(crate) struct Layout<'a> {
    pub(crate) way: Way,
    pub(crate) client: &'a Namespace,
    pub(crate) guarded: &'a Namespace,
    pub(crate) server: &'a Namespace,
    /// The server's address.
    pub(crate) address: &'a str,
    /// An entry of `interfaces`.
    pub(crate) interface: &'a str,
    pub(crate) hook: &'a str,
    /// Reasons for which segments may be dropped without harm.
    pub(crate) tolerated: &'a [&'a str],
}

/// Where a case is played.
pub(crate) struct Scene<'a> {
    pub(crate) layout: &'a Layout<'a>,
    pub(crate) agent: &'a Agent<'a>,
    pub(crate) application: &'a Application,
    pub(crate) nginx: &'a Nginx,
    /// A valid token, and a revoked one.
    pub(crate) good: String,
    pub(crate) revoked: String,
    /// Valid ones of 4 and of 8 KiB.
    pub(crate) long: [String; 2],
    /// What the application must have got, by target.
    expected: Mutex<BTreeMap<String, Vec<Digest>>>,
    /// For which other reasons segments of this case may be dropped.
    tolerated: Mutex<Vec<&'static str>>,
    /// Connections on which a revoked request was sent, which are kept open.
    intruders: Mutex<Vec<Client>>,
}

/// What is answered is answered in that time, however often segments are lost.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Something that benign clients do, and what it is called.
pub(crate) type Case = (&'static str, fn(&Scene<'_>) -> Result<()>);

/// Plays the cases by this way, one after the other.
pub(crate) fn by(way: Way, cases: &[Case]) -> Result<()> {
    let layout = |client, guarded, server| Layout {
        way,
        client,
        guarded,
        server,
        address: "",
        interface: "",
        hook: "tc",
        tolerated: &[],
    };
    if matches!(way, Way::Lo | Way::LoXdp) {
        let host = Namespace::new()?;
        if way == Way::LoXdp {
            // XDP reads nothing behind the first 64 KiB of a frame.
            let mut ip = host.command("ip");
            run(ip.args(["link", "set", "lo", "mtu", "65521"]))?;
        }
        return play(
            &Layout {
                address: "127.0.0.1",
                interface: "\"lo\"",
                hook: if way == Way::Lo { "tc" } else { "xdp-generic" },
                ..layout(&host, &host, &host)
            },
            cases,
        );
    }
    let pair = Pair::new()?;
    if way == Way::Service {
        let container = pair.container()?;
        return play(
            &Layout {
                address: Pair::CONTAINER,
                interface: "{ name = \"web0\", facing = \"service\" }",
                ..layout(&pair.client, &pair.server, &container)
            },
            cases,
        );
    }
    play(
        &Layout {
            address: Pair::SERVER[0],
            interface: "\"eth0\"",
            hook: if way == Way::Tc { "tc" } else { "xdp" },
            // With XDP a veth pair has a short queue, and loses what does not fit.
            tolerated: if way == Way::Tc {
                &[]
            } else {
                &["out_of_order"]
            },
            ..layout(&pair.client, &pair.server, &pair.server)
        },
        cases,
    )
}

/// Plays the cases between these hosts, while others send revoked requests; looks after each whether the
/// application got what it must have, and the guard denied nothing else.
pub(crate) fn play(layout: &Layout<'_>, cases: &[Case]) -> Result<()> {
    for host in [layout.client, layout.guarded, layout.server] {
        keep_order(host)?;
    }
    let application = Application::start(layout.server, APPLICATION)?;
    let nginx = Nginx::start(layout.server, &[&NGINX.to_string()])?;
    let address = layout.address;
    let sections = format!(
        "[datapath]\ninterfaces = [{}]\nhook = \"{}\"\n[[service]]\nname = \"web\"\n\
         listen = [\"{address}:{APPLICATION}\", \"{address}:{NGINX}\", \"{address}:{WEBSOCKET}\"]\nupgrade = [\"websocket\"]\n",
        layout.interface, layout.hook
    );
    let mut agent = Agent::prepare(layout.guarded, &sections)?;
    let long = tokens::have_long(&agent)?;
    start(&mut agent)?;
    let (_, good) = agent.issue(&[])?;
    let (id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &id])?;
    let scene = Scene {
        layout,
        agent: &agent,
        application: &application,
        nginx: &nginx,
        good,
        revoked,
        long,
        expected: Mutex::default(),
        tolerated: Mutex::default(),
        intruders: Mutex::default(),
    };
    let is_over = AtomicBool::new(false);
    let mut wrong = Vec::new();
    thread::scope(|scope| {
        let intruders = scope.spawn(|| scene.intrude(&is_over));
        for (name, case) in cases {
            let started = Instant::now();
            if let Err(error) = scene.play(*case) {
                wrong.push(format!("{name}: {error:#}"));
            }
            eprintln!("{name} by {:?}: {:?}", layout.way, started.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        let intruded = intruders.join().expect("it does not panic");
        if let Err(error) = intruded.and_then(|()| scene.judge()) {
            wrong.push(format!("revoked requests: {error:#}"));
        }
    });
    ensure!(
        wrong.is_empty(),
        "by {:?}:\n{}",
        layout.way,
        wrong.join("\n")
    );
    Ok(())
}

/// Has one processor alone take what comes in. Who sends from several would else send out of order: each
/// has a queue of its own.
fn keep_order(host: &Namespace) -> Result<()> {
    const SCRIPT: &str =
        "for queue in /sys/class/net/*/queues/rx-*; do echo 1 > $queue/rps_cpus; done";
    // The devices of this network, not of ours.
    let mut unshare = host.command("unshare");
    unshare.args(["--mount", "sh", "-e", "-c"]);
    run(unshare.arg(format!("mount -t sysfs sysfs /sys; {SCRIPT}"))).map(drop)
}

/// Starts the agent. One after the other: each has the kernel verify its programs, which takes a processor.
fn start(agent: &mut Agent<'_>) -> Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    agent.run()
}

/// Waits while all ports are taken by connections that have just ended.
pub(crate) fn connect_patiently(host: &Namespace, server: SocketAddr) -> Result<Client> {
    let started = Instant::now();
    loop {
        match Client::connect(host, server) {
            Err(error) if is_without_port(&error) && started.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(20));
            }
            client => return client,
        }
    }
}

fn is_without_port(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

impl Layout<'_> {
    /// The interface by which the client sends.
    pub(crate) fn cable(&self) -> &'static str {
        match self.way {
            Way::Lo | Way::LoXdp => "lo",
            Way::Service | Way::Tc | Way::Xdp => "eth0",
        }
    }
}

impl Scene<'_> {
    /// A service's address.
    pub(crate) fn at(&self, port: u16) -> SocketAddr {
        let address = self.layout.address.parse().expect("an address");
        SocketAddr::new(address, port)
    }

    /// What a client is told to ask.
    pub(crate) fn url(&self, port: u16, target: &str) -> String {
        format!("http://{}{target}", self.at(port))
    }

    /// A connection to the application.
    pub(crate) fn connect(&self) -> Result<Client> {
        connect_patiently(self.layout.client, self.at(APPLICATION))
    }

    /// A request with the valid token, and with more header lines, each with its line end.
    pub(crate) fn request(&self, method: &str, path: &str, more: &str) -> String {
        request(method, path, &self.good, more)
    }

    /// What looks like a denied request, to stand in a body.
    pub(crate) fn bait(&self) -> String {
        format!("\r\n\r\n{}", request("GET", "denied", &self.revoked, ""))
    }

    /// The application must get this for the target.
    pub(crate) fn expect(&self, target: &str, digest: Digest) {
        let mut expected = self.expected.lock().expect("nobody panics with it");
        expected.entry(target.to_owned()).or_default().push(digest);
    }

    /// In this case segments may be dropped for this reason: if they repeat what arrived, that does no harm.
    pub(crate) fn tolerate(&self, reason: &'static str) {
        self.tolerated().push(reason);
    }

    fn tolerated(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.tolerated.lock().expect("nobody panics with it")
    }

    /// The same, so many times, without a body.
    pub(crate) fn expect_empty(&self, target: &str, times: usize) {
        let mut expected = self.expected.lock().expect("nobody panics with it");
        let digests = expected.entry(target.to_owned()).or_default();
        digests.extend(vec![Digest::of(b""); times]);
    }

    /// Sends revoked requests until the cases are over; on every other connection one that is served comes first.
    fn intrude(&self, is_over: &AtomicBool) -> Result<()> {
        let denied = request("GET", "denied", &self.revoked, "");
        for round in 0.. {
            if round >= 4 && is_over.load(Ordering::Relaxed) {
                break;
            }
            let mut client = self.connect()?;
            if round % 2 == 1 {
                client.send(self.request("GET", "before", "").as_bytes())?;
                ensure!(client.answer(LONG)? == 200, "the one before is refused");
            }
            self.intrude_on(client, &denied)?;
        }
        Ok(())
    }

    /// Sends a revoked request to this port.
    pub(crate) fn intrude_at(&self, port: u16, denied: &str) -> Result<()> {
        let client = connect_patiently(self.layout.client, self.at(port))?;
        self.intrude_on(client, denied)
    }

    fn intrude_on(&self, mut client: Client, denied: &str) -> Result<()> {
        /// In that time an answer would be there.
        const WHILE: Duration = Duration::from_millis(300);
        client.send(denied.as_bytes())?;
        let answer = client.answer(WHILE);
        ensure!(answer.is_err(), "a revoked request is answered: {answer:?}");
        let mut intruders = self.intruders.lock().expect("nobody panics with it");
        intruders.push(client);
        Ok(())
    }

    fn play(&self, case: fn(&Self) -> Result<()>) -> Result<()> {
        let (before, dropped) = (denials(self.agent)?, dropped_packets()?);
        self.expected.lock().expect("nobody panics with it").clear();
        self.tolerated().clear();
        let played = case(self);
        let mut denied = denials(self.agent)?;
        for (reason, count) in &before {
            if let Some(now) = denied.get_mut(reason) {
                *now -= count;
            }
        }
        denied.retain(|reason, count| *count > 0 && reason != "revoked");
        // What was denied tells why something failed.
        played.with_context(|| format!("denied: {denied:?}"))?;
        if dropped_packets()? > dropped {
            self.tolerate("out_of_order");
        }
        let tolerated = [self.layout.tolerated, &self.tolerated()].concat();
        denied.retain(|reason, _| !tolerated.contains(&reason.as_str()));
        ensure!(denied.is_empty(), "denied: {denied:?}");
        let expected = std::mem::take(&mut *self.expected.lock().expect("nobody panics with it"));
        for (target, expected) in &expected {
            let arrived = self.application.take(target);
            ensure!(
                same(&arrived, expected),
                "{target}: {} bodies arrived of {}: {:?}, not {:?}",
                arrived.len(),
                expected.len(),
                &arrived[..arrived.len().min(4)],
                &expected[..expected.len().min(4)],
            );
        }
        Ok(())
    }

    fn judge(&self) -> Result<()> {
        let intruders = self.intruders.lock().expect("nobody panics with it");
        // One that was lost is sent again.
        wait_for("revoked requests to be denied", || {
            let denied = denials(self.agent)?;
            Ok(denied.get("revoked").copied().unwrap_or_default() >= intruders.len() as u64)
        })?;
        let served = self.application.take("/denied").len();
        ensure!(served == 0, "{served} were served");
        let lines = self.nginx.requests();
        ensure!(
            !lines.iter().any(|line| line.contains("denied")),
            "nginx served one"
        );
        Ok(())
    }
}

/// In whatever order.
fn same(arrived: &[Digest], expected: &[Digest]) -> bool {
    let sorted = |digests: &[Digest]| {
        let mut keys: Vec<_> = digests
            .iter()
            .map(|digest| (digest.length, *digest.hash.as_bytes()))
            .collect();
        keys.sort_unstable();
        keys
    };
    sorted(arrived) == sorted(expected)
}

/// What the guard denied, by reason.
fn denials(agent: &Agent<'_>) -> Result<BTreeMap<String, u64>> {
    let mut denied = BTreeMap::new();
    for line in agent.metrics()?.lines() {
        if line.starts_with("token_agent_requests_total{") && line.contains("verdict=\"deny\"") {
            let (_, rest) = line.split_once("reason=\"").context("a reason")?;
            let (reason, _) = rest.split_once('"').context("its end")?;
            let (_, count) = line.rsplit_once(' ').context("a count")?;
            *denied.entry(reason.to_owned()).or_default() += count.parse::<u64>()?;
        }
    }
    Ok(denied)
}

/// How many packets the kernel has lost because a processor's queue of what came in was full.
fn dropped_packets() -> Result<u64> {
    let lines = fs::read_to_string("/proc/net/softnet_stat")?;
    lines
        .lines()
        .map(|line| {
            let count = line.split_whitespace().nth(1).context("a count")?;
            Ok(u64::from_str_radix(count, 16)?)
        })
        .sum()
}
