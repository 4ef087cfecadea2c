//! Test hosts: network namespaces of our own, with real servers and the agent in them.
//!
//! Everything made here is taken away again when it is dropped, whatever became
//! of the test: processes first, then pins, then namespaces. Processes end with
//! the one that started them, even if that is killed.

use std::{
    ffi::OsStr,
    fs,
    net::IpAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tempfile::TempDir;

/// Waiting longer than that for anything local means that it will not come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// None for the one this process is in.
    name: Option<String>,
}

impl Namespace {
    /// A new one, with `lo` up.
    ///
    /// # Errors
    /// If `ip` cannot make it.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ta-{}-{count}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name: Some(name) };
        run(namespace.command("ip").args(["link", "set", "lo", "up"]))?;
        Ok(namespace)
    }

    /// The one this process is in; it stays when this is dropped.
    #[must_use]
    pub const fn current() -> Self {
        Self { name: None }
    }

    /// A command that will run in the namespace.
    ///
    /// Only the network is another: `ip netns exec` would also hide the BPF file systems.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let Some(path) = self.path() else {
            return command;
        };
        let enter = move || {
            let namespace = fs::File::open(&path)?;
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(Into::into)
        };
        #[expect(unsafe_code, reason = "a namespace is entered between fork and exec")]
        // SAFETY: the closure opens a file and makes one system call; it takes no lock.
        unsafe {
            command.pre_exec(enter);
        }
        command
    }
}

impl Namespace {
    fn path(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("/run/netns/{name}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let Some(name) = &self.name else { return };
        let deleted = run(Command::new("ip").args(["netns", "del", name]));
        if let Err(error) = deleted {
            eprintln!("{error:#}");
        }
    }
}

/// A process that ends with its handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, its output going to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = fs::File::options().create(true).append(true).open(log)?;
        Self::spawn(
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out),
        )
    }

    /// Starts `command` and gives what it prints.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn follow(command: &mut Command) -> Result<(Self, ChildStdout)> {
        let mut process = Self::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let output = process.child.stdout.take().context("a pipe")?;
        Ok((process, output))
    }

    /// In a group of its own, so that Ctrl-C is for the one who started it.
    fn spawn(command: &mut Command) -> Result<Self> {
        command.process_group(0);
        let follow_to_the_grave = || set_pdeathsig(Signal::SIGKILL).map_err(Into::into);
        #[expect(
            unsafe_code,
            reason = "what a process inherits is set between fork and exec"
        )]
        // SAFETY: the closure makes one system call; it takes no lock.
        unsafe {
            command.pre_exec(follow_to_the_grave);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal and waits for the end; gives the exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn end(&mut self, signal: Signal) -> Result<Option<i32>> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, signal)?;
        self.wait()
    }

    /// Waits for the end; gives the exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn wait(&mut self) -> Result<Option<i32>> {
        wait_for("a process to end", || Ok(!self.is_running()))?;
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// nginx, answering every request with 200 and logging each one.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    dir: TempDir,
}

impl Nginx {
    /// Starts it on `listen` (as in nginx's `listen` directive).
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(namespace: &Namespace, listen: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().display();
        let listen: String = listen.iter().map(|on| format!("listen {on};\n")).collect();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ }}\n\
             http {{\n\
               log_format requests '$request';\n\
               log_format connections '$remote_port $request_uri $http_authorization $http_x_api_key';\n\
               access_log {path}/access.log requests;\n\
               access_log {path}/connections.log connections;\n\
               client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
               fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n\
               large_client_header_buffers 8 32k; client_max_body_size 0; keepalive_timeout 60s;\n\
               server {{ {listen} location / {{ return 200 \"hello\\n\"; }}\n\
                 location /upload {{ client_body_in_file_only clean; proxy_pass http://127.0.0.1:1; error_page 502 =200 /done; }}\n\
                 location = /done {{ return 200 \"done\\n\"; }} }}\n\
             }}\n"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = namespace.command("nginx");
        command
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .arg("-c")
            .arg(&file);
        let process = Process::start(&mut command, &dir.path().join("out.log"))?;
        let mut nginx = Self { process, dir };
        wait_for("nginx", || {
            ensure!(
                nginx.process.is_running(),
                "nginx ended: {}",
                nginx.errors()
            );
            Ok(nginx.dir.path().join("pid").exists())
        })?;
        Ok(nginx)
    }

    /// What the application saw: the request line of each request.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// What the application saw: of each request the client's port, the target and the credential.
    #[must_use]
    pub fn connections(&self) -> String {
        fs::read_to_string(self.dir.path().join("connections.log")).unwrap_or_default()
    }

    fn errors(&self) -> String {
        ["out.log", "error.log"]
            .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }
}

/// A BPF file system of the test's own.
#[derive(Debug)]
struct Bpffs {
    path: PathBuf,
}

impl Bpffs {
    fn mount(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path)?;
        mount(
            Some("bpf"),
            &path,
            Some("bpf"),
            MsFlags::empty(),
            None::<&str>,
        )
        .context("mounting a BPF file system")?;
        Ok(Self { path })
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        if let Err(error) = umount2(&self.path, MntFlags::MNT_DETACH) {
            eprintln!("cannot unmount {}: {error}", self.path.display());
        }
    }
}

/// The agent, in a namespace, with directories of its own.
#[derive(Debug)]
pub struct Agent<'a> {
    namespace: &'a Namespace,
    process: Option<Process>,
    bpffs: Bpffs,
    dir: TempDir,
}

impl<'a> Agent<'a> {
    /// Everything but the process: directories and the configuration file, in
    /// which `sections` follows `[agent]` and `[metrics]`.
    ///
    /// # Errors
    /// If a directory cannot be made.
    pub fn prepare(namespace: &'a Namespace, sections: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let bpffs = Bpffs::mount(dir.path().join("bpf"))?;
        let agent = Self {
            namespace,
            process: None,
            bpffs,
            dir,
        };
        agent.configure(sections)?;
        Ok(agent)
    }

    /// Writes the configuration file anew.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, sections: &str) -> Result<()> {
        let dir = self.dir.path().display();
        let config = format!(
            "[agent]\nstate_dir = \"{dir}/state\"\nsocket = \"{dir}/control.sock\"\n\
             pin_dir = \"{}/token-agent\"\nlog = \"debug\"\n\
             [metrics]\nlisten = \"127.0.0.1:9977\"\n{sections}",
            self.bpffs.path.display(),
        );
        Ok(fs::write(self.config(), config)?)
    }

    /// Prepares, starts, and waits until the agent answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(namespace: &'a Namespace, sections: &str) -> Result<Self> {
        let mut agent = Self::prepare(namespace, sections)?;
        agent.run()?;
        Ok(agent)
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Errors
    /// If it does not; what it said is in the error.
    pub fn run(&mut self) -> Result<()> {
        let mut command = self.namespace.command(binary()?);
        command.args(["run", "--config"]).arg(self.config());
        let mut process = Process::start(&mut command, &self.log_path())?;
        wait_for("the agent", || {
            ensure!(process.is_running(), "the agent ended: {}", self.log());
            let status = self.command(["status"]).output()?;
            Ok(matches!(status.status.code(), Some(0 | 3 | 4)))
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Whether the daemon runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Ends the daemon with a signal; gives its exit code.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&mut self, signal: Signal) -> Result<Option<i32>> {
        let mut process = self.process.take().context("the agent does not run")?;
        process.end(signal)
    }

    /// Sends the daemon a signal that does not end it.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("the agent does not run")?;
        Ok(kill(
            Pid::from_raw(process.child.id().cast_signed()),
            signal,
        )?)
    }

    /// A command of the agent's command line.
    ///
    /// # Panics
    /// If the binary is not known; `run` was called before.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self
            .namespace
            .command(binary().expect("TOKEN_AGENT_BIN is set"));
        command
            .arg("--socket")
            .arg(self.socket())
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; gives what it printed.
    ///
    /// # Errors
    /// If it does not exit with 0.
    pub fn tell<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        run(&mut self.command(args))
    }

    /// Runs a command with `--json`; gives its exit code and the object.
    ///
    /// # Errors
    /// If it prints none.
    pub fn json(&self, args: &[&str]) -> Result<(Option<i32>, serde_json::Value)> {
        let output = self.command(["--json"].iter().chain(args)).output()?;
        let text = String::from_utf8(output.stdout)?;
        let value = serde_json::from_str(&text).with_context(|| {
            format!(
                "no JSON: {text:?} {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
        Ok((output.status.code(), value))
    }

    /// Issues a token; gives its id and its secret.
    ///
    /// # Errors
    /// If that fails.
    pub fn issue(&self, more: &[&str]) -> Result<(String, String)> {
        let args = [&["issue", "--owner", "test", "--purpose", "a test"], more].concat();
        let (code, token) = self.json(&args)?;
        ensure!(code == Some(0), "{token}");
        let field = |name: &str| {
            token[name]
                .as_str()
                .map(str::to_owned)
                .context("no such field")
        };
        Ok((field("id")?, field("token")?))
    }

    /// The metrics, as the agent serves them in its namespace.
    ///
    /// # Errors
    /// If it does not.
    pub fn metrics(&self) -> Result<String> {
        let mut command = self.namespace.command("curl");
        run(command.args([
            "--silent",
            "--fail",
            "--noproxy",
            "*",
            "http://127.0.0.1:9977/metrics",
        ]))
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The directory of pins.
    #[must_use]
    pub fn pin_dir(&self) -> PathBuf {
        self.bpffs.path.join("token-agent")
    }

    /// What the daemon logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// The agent's binary, as the test runner built it.
///
/// # Errors
/// If it does not say where.
pub fn binary() -> Result<PathBuf> {
    std::env::var_os("TOKEN_AGENT_BIN")
        .map(PathBuf::from)
        .context("TOKEN_AGENT_BIN is not set; start this by `cargo xtask`")
}

/// A pair of hosts joined by a veth pair.
#[derive(Debug)]
pub struct Pair {
    /// Where the clients are.
    pub client: Namespace,
    /// Where the server and the agent are; the interface is `eth0`.
    pub server: Namespace,
}

impl Pair {
    /// The server's addresses.
    pub const SERVER: [&str; 2] = ["10.77.0.2", "fd77::2"];

    /// Makes both hosts.
    ///
    /// # Errors
    /// If `ip` cannot make them.
    pub fn new() -> Result<Self> {
        let pair = Self {
            client: Namespace::new()?,
            server: Namespace::new()?,
        };
        let peer = pair.server.path().context("a namespace of its own")?;
        run(pair.client.command("ip").args(
            [
                "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns",
            ]
            .iter()
            .chain(&[peer.as_str()]),
        ))?;
        for (namespace, ipv4, ipv6) in [
            (&pair.client, "10.77.0.1/24", "fd77::1/64"),
            (&pair.server, "10.77.0.2/24", "fd77::2/64"),
        ] {
            run(namespace
                .command("ip")
                .args(["addr", "add", ipv4, "dev", "eth0"]))?;
            run(namespace
                .command("ip")
                .args(["addr", "add", ipv6, "dev", "eth0", "nodad"]))?;
            run(namespace.command("ip").args(["link", "set", "eth0", "up"]))?;
        }
        Ok(pair)
    }
}

/// `host:port`, with brackets where the host is an IPv6 address.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// What curl got: the status, or nothing within the time.
///
/// # Errors
/// If curl cannot be run.
pub fn curl(namespace: &Namespace, url: &str, more: &[&str]) -> Result<Option<u16>> {
    let output = namespace
        .command("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        // Long enough for a local answer, short enough to wait for each denial.
        .args(["--max-time", "1.5", "--noproxy", "*"])
        .args(more)
        .arg(url)
        .output()
        .context("cannot run curl")?;
    let code: u16 = String::from_utf8(output.stdout)?.parse()?;
    Ok((code != 0).then_some(code))
}

/// Runs a command that must succeed; gives its standard output.
///
/// # Errors
/// If it fails, with what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!(
            "{command:?}: {status}: {}",
            String::from_utf8_lossy(&stderr)
        );
    }
    Ok(String::from_utf8(stdout)?)
}

/// Waits until `condition` holds.
///
/// # Errors
/// If it does not within [`PATIENCE`], or cannot be told.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        if started.elapsed() > PATIENCE {
            bail!("waited in vain for {what}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
