//! `[agent]`: where the agent keeps its things, and how much it says.

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

use super::problem::{Invalid, quote};
use super::report::Report;
use super::table::Table;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agent {
    /// Holds the store and the hash key.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// Where the kernel objects are pinned.
    pub pin_dir: PathBuf,
    /// A level or directives that `EnvFilter` accepts.
    pub log: String,
}

impl Agent {
    pub(super) fn read(mut table: Table<'_>, report: &mut Report<'_>) -> Self {
        let agent = Self {
            state_dir: table
                .text("state_dir", report, absolute)
                .unwrap_or_else(|| "/var/lib/token-agent".into()),
            socket: table
                .text("socket", report, socket)
                .unwrap_or_else(|| "/run/token-agent/control.sock".into()),
            pin_dir: table
                .text("pin_dir", report, absolute)
                .unwrap_or_else(|| "/sys/fs/bpf/token-agent".into()),
            log: table
                .text("log", report, log)
                .unwrap_or_else(|| "info".into()),
        };
        table.finish(report);
        agent
    }
}

fn absolute(text: &str) -> Result<PathBuf, Invalid> {
    if text.contains('\0') {
        return Err(Invalid::new("a path cannot have a NUL byte").help("remove it"));
    }
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(Invalid::new(format!("{} is not absolute", quote(text)))
            .help("write the whole path, from /"));
    }
    Ok(path.to_owned())
}

fn socket(text: &str) -> Result<PathBuf, Invalid> {
    /// What fits into a `sockaddr_un` with its final NUL.
    const LONGEST: usize = 107;

    let path = absolute(text)?;
    if text.len() > LONGEST {
        return Err(
            Invalid::new(format!("a socket's path has at most {LONGEST} bytes"))
                .help("write a shorter one"),
        );
    }
    Ok(path)
}

fn log(text: &str) -> Result<String, Invalid> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    const HELP: &str = r#"write off, error, warn, info, debug or trace, or directives like "info,token_agent=debug""#;

    // A misspelt level would be taken for the name of a module, and silence all others.
    let is_misspelt = |directive: &str| {
        let directive = directive.trim();
        !directive.contains('=') && !LEVELS.contains(&directive)
    };
    // Within brackets a comma separates fields.
    let is_good = text.contains('[') || !text.split(',').any(is_misspelt);
    if !is_good || EnvFilter::try_new(text).is_err() {
        return Err(
            Invalid::new(format!("{} is no log level or directive", quote(text))).help(HELP),
        );
    }
    Ok(text.to_owned())
}
