//! `token-agent run`: puts the parts together, in an order that never leaves a gap.
//!
//! The store is opened and the kernel filled from it before anything is
//! attached, so the guard never runs with an empty map. When the agent ends,
//! the guard stays: enforcement outlives the agent.

mod clock;
mod group;
mod privileges;
mod tasks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use nix::sys::stat::{Mode, umask};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

use crate::{
    agent::{self, Agent, Degraded, Engine},
    api::{self, ControlSocket, Gatekeeper, Limits, Shutdown},
    config::{Config, Interfaces, Loaded},
    datapath::{
        Datapath, DatapathError, Denials, Interface, KERNEL_LOG_TARGET, KernelLog, PinDirectory,
        Settled,
    },
    reconcile::Reconciler,
    store::Store,
    token::HashKey,
};

/// Overrides the configuration's `agent.log`.
const LOG_VARIABLE: &str = "TOKEN_AGENT_LOG";

/// Has the kernel side tell what it does, if it is set to `debug`.
const KERNEL_LOG_VARIABLE: &str = "TOKEN_AGENT_KERNEL_LOG";

/// Takes from group's mode nothing, so that the control socket is 0660 from its
/// first moment, and all from others.
const UMASK: Mode = Mode::S_IRWXO;

/// Why the agent cannot start, where the exit code depends on it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The process may not do what the agent needs.
    #[error(
        "missing privileges: {}; run as root, or with these capabilities",
        missing.join(", ")
    )]
    NotPermitted {
        /// The names of the capabilities.
        missing: Vec<&'static str>,
    },
}

/// Runs until a signal ends it. Call it before there are other threads.
///
/// # Errors
/// Whatever keeps the agent from guarding; a [`StartError`] or an [`std::io::Error`] may be in the chain.
pub fn run(loaded: Loaded) -> anyhow::Result<()> {
    let Loaded { config, warnings } = loaded;
    let kernel_log = is_kernel_log_wanted()?;
    log_to_stderr(&config, kernel_log)?;
    for warning in warnings {
        warn!("{warning}");
    }
    // The process as a whole has one, so it is set while there is only one thread.
    umask(UMASK);
    check_privileges()?;
    // The simplest case, told most simply: it runs already.
    api::probe(&config.agent.socket)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")?
        .block_on(serve(config, kernel_log))
}

/// Makes sure that the process may touch the guard.
///
/// # Errors
/// [`StartError::NotPermitted`].
pub fn check_privileges() -> anyhow::Result<()> {
    let missing = privileges::missing().context("cannot read the process's capabilities")?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(StartError::NotPermitted { missing }.into())
}

async fn serve(config: Config, kernel_log: bool) -> anyhow::Result<()> {
    // Before anything is attached: a signal during the start must not kill the agent half-way.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let group = group::of(&config.control);
    let Started {
        agent,
        denials,
        kernel_log,
        socket,
        listener,
        pins,
    } = start(config, &group, kernel_log)?;
    match &group {
        group::Group::Known(_) => {}
        group::Group::Unknown(note) => agent.notes.remark(note),
        group::Group::Missing(problem) => {
            warn!("{problem}");
            agent.notes.degrade(Degraded::ControlGroup, problem);
        }
    }

    let (end, shutdown) = Shutdown::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(api::serve_control(
        UnixListener::from_std(listener).context("cannot use the control socket")?,
        api::control(Arc::clone(&agent), shutdown.clone()),
        Limits::CONTROL,
        Gatekeeper { group: group.gid() },
        shutdown.clone(),
    ));
    if let Some(listener) = metrics_listener(&agent).await {
        tasks.spawn(api::serve_metrics(
            listener,
            api::metrics(Arc::clone(&agent)),
            Limits::METRICS,
            shutdown.clone(),
        ));
    }
    if let Some(log) = kernel_log {
        let mut shutdown = shutdown.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = log.follow() => {}
                () = shutdown.wait() => {}
            }
        });
    }
    tasks.spawn(tasks::tend(Arc::clone(&agent), shutdown.clone()));
    tasks.spawn(tasks::prune(Arc::clone(&agent), shutdown.clone()));
    match denials {
        Some(denials) => {
            tasks.spawn(tasks::report(Arc::clone(&agent), denials, shutdown));
        }
        None => {
            agent
                .notes
                .degrade(Degraded::Events, "denials are not reported");
        }
    }
    info!(socket = %agent.config().agent.socket.display(), "ready");

    let signal = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hangup.recv() => "SIGHUP",
    };
    if pins.has_guards() {
        info!(
            signal,
            "ending; the guard stays attached and goes on denying, `token-agent detach --all` with this configuration takes it off"
        );
    } else {
        info!(signal, "ending; no interface is guarded");
    }
    let _ = end.send(true);
    while tasks.join_next().await.is_some() {}
    drop(socket);
    // Last: until here nobody else may touch the guard.
    drop(pins);
    Ok(())
}

/// What runs once the guard is on.
struct Started {
    agent: Arc<Agent>,
    denials: Option<Denials>,
    kernel_log: Option<KernelLog>,
    socket: ControlSocket,
    listener: std::os::unix::net::UnixListener,
    pins: PinDirectory,
}

fn start(config: Config, group: &group::Group, kernel_log: bool) -> anyhow::Result<Started> {
    let state_dir: &Path = &config.agent.state_dir;
    // Before anything is changed: another agent's guard must not be taken over.
    let pins = PinDirectory::hold(&config.agent.pin_dir)?;
    let mut store = Store::open(state_dir).context("cannot open the store")?;
    let key = HashKey::load_or_create(state_dir, store.holds_digests()?)
        .context("cannot have a hash key")?;
    store.bind_key(key.key_id())?;
    info!(store = %store.store_id()?, key = %key.key_id(), revision = %store.revision()?, "opened the store");

    let kernel = Datapath::take_over(&config, &key, &pins, kernel_log)
        .context("cannot load the guard into the kernel")?;
    let mut engine = Engine::new(store, kernel, Reconciler::new(&config.services));
    let filled = engine.catch_up().context("cannot fill the kernel's maps")?;
    info!(
        put = filled.put,
        removed = filled.removed,
        "filled the kernel's maps"
    );
    let denials = engine.kernel().denials();
    let kernel_log = if kernel_log {
        Some(engine.kernel().kernel_log()?)
    } else {
        None
    };
    // Before anything is attached: without a socket the guard could not be steered.
    let (socket, listener) = ControlSocket::bind(&config.agent.socket, group.gid())?;

    let interfaces = engine
        .kernel()
        .attach(&config, &pins)
        .context("cannot attach the guard")?;
    tell(&interfaces, &config.datapath.interfaces);
    let is_guarded = interfaces.iter().any(Interface::is_guarded);
    let trouble = if is_guarded {
        match engine.kernel().settle(&config.services) {
            Ok(settled) => {
                engine.settled(&settled);
                tell_settled(&settled)
            }
            Err(error) => Some(unsettled(&error)),
        }
    } else {
        None
    };
    engine.guards(interfaces);
    let agent = Agent::new(config, key, engine, Timestamp::now());
    if let Some(trouble) = trouble {
        warn!("{trouble}");
        agent.notes.degrade(Degraded::OldConnections, trouble);
    }
    Ok(Started {
        agent,
        denials,
        kernel_log,
        socket,
        listener,
        pins,
    })
}

fn tell(interfaces: &[Interface], configured: &Interfaces) {
    interfaces.iter().for_each(agent::tell);
    if !interfaces.iter().any(Interface::is_guarded) {
        warn!(interfaces = %configured, "no interface is guarded");
    }
}

/// Gives what is to be told if not all could be done.
fn tell_settled(settled: &[Settled]) -> Option<String> {
    for one in settled {
        let Settled {
            service,
            closed,
            adopted,
            left,
            failed: _,
        } = one;
        info!(%service, closed, adopted, left, "connections older than the guard");
    }
    let trouble: Vec<_> = settled.iter().filter_map(Settled::trouble).collect();
    (!trouble.is_empty()).then(|| trouble.join("; "))
}

fn unsettled(error: &DatapathError) -> String {
    let why = std::error::Error::source(error).map_or_else(String::new, |why| format!(": {why}"));
    format!(
        "connections that are older than the guard were not closed: {error}{why}; nothing passes on them, so restart the servers"
    )
}

async fn metrics_listener(agent: &Agent) -> Option<TcpListener> {
    let address = agent.config().metrics.listen?;
    match TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            let why = format!("metrics are not served on {address}: {error}");
            warn!("{why}");
            agent.notes.degrade(Degraded::Metrics, why);
            None
        }
    }
}

fn is_kernel_log_wanted() -> anyhow::Result<bool> {
    match std::env::var(KERNEL_LOG_VARIABLE).as_deref() {
        Err(std::env::VarError::NotPresent) | Ok("") => Ok(false),
        Ok("debug") => Ok(true),
        Ok(_) | Err(std::env::VarError::NotUnicode(_)) => {
            anyhow::bail!(
                "{KERNEL_LOG_VARIABLE} can only be `debug`; unset it to have no log of the kernel side"
            )
        }
    }
}

fn log_to_stderr(config: &Config, kernel_log: bool) -> anyhow::Result<()> {
    let from_environment = std::env::var(LOG_VARIABLE)
        .ok()
        .filter(|directives| !directives.is_empty());
    let mut filter = match from_environment {
        Some(directives) => EnvFilter::try_new(directives)
            .with_context(|| format!("{LOG_VARIABLE} is no log level or directive"))?,
        None => EnvFilter::try_new(&config.agent.log).context("agent.log is no log level")?,
    };
    if kernel_log {
        filter = filter.add_directive(format!("{KERNEL_LOG_TARGET}=debug").parse()?);
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would be told on standard error, and panic if that is what cannot be written.
        .log_internal_errors(false)
        .with_ansi(false)
        .init();
    Ok(())
}

/// Where the configuration is unless told otherwise.
#[must_use]
pub fn default_config() -> PathBuf {
    "/etc/token-agent/config.toml".into()
}
