//! `detach`: takes the guard off.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::{ask, exit::Exit, output::Output, usage::Usage};
use crate::{
    config::{self, ConfigErrors},
    daemon,
    datapath::{self, Which},
};

/// Where the pins are unless the configuration says otherwise.
const PIN_DIR: &str = "/sys/fs/bpf/token-agent";

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "token-agent detach [OPTIONS] --interface <NAME>...\n       \
    token-agent detach [OPTIONS] --all"
)]
pub(super) struct Args {
    /// Interfaces to take the guard off
    #[arg(long = "interface", value_name = "NAME", num_args = 1.., required_unless_present = "all")]
    interfaces: Vec<String>,
    /// Take it off all of them
    #[arg(long, conflicts_with = "interfaces")]
    all: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// The configuration, which says where the pins are [default: /etc/token-agent/config.toml, if there is one]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Detached {
    pin_dir: String,
    interfaces: Vec<String>,
}

pub(super) fn run(args: Args, output: Output) -> anyhow::Result<Exit> {
    let pin_dir = match args.config {
        Some(config) => configured(&config)?,
        None => configured_or_default(&daemon::default_config())?,
    };
    if args.interfaces.iter().any(String::is_empty) {
        return Err(Usage::new("an interface has a name").into());
    }
    daemon::check_privileges()?;
    let (which, question) = if args.all {
        (
            Which::All,
            "Take the guard off all interfaces? Requests will no longer be judged.".into(),
        )
    } else {
        let names = args.interfaces.join(", ");
        let question =
            format!("Take the guard off {names}? Requests will no longer be judged there.");
        (Which::Named(args.interfaces), question)
    };
    if !ask::confirmed(args.yes, &question)? {
        eprintln!("token-agent: nothing was done");
        return Ok(Exit::Failed);
    }
    let interfaces = datapath::detach(&pin_dir, &which).with_context(|| {
        format!(
            "cannot take the guard off by the pins in {}",
            pin_dir.display()
        )
    })?;
    let detached = Detached {
        pin_dir: pin_dir.display().to_string(),
        interfaces,
    };
    output.tell(&detached, text)?;
    Ok(Exit::Done)
}

/// Where `config` says that the pins are.
fn configured(config: &Path) -> Result<PathBuf, ConfigErrors> {
    Ok(config::load(config)?.config.agent.pin_dir)
}

/// The same of a configuration nobody named: the guard must come off without one, too.
fn configured_or_default(config: &Path) -> Result<PathBuf, ConfigErrors> {
    // Only if it is surely not there: one that cannot be read may name another place.
    if matches!(config.try_exists(), Ok(false)) {
        return Ok(PIN_DIR.into());
    }
    configured(config)
}

/// Names the place: somebody may have looked for the guard of another agent.
fn text(detached: &Detached) -> String {
    let Detached {
        pin_dir,
        interfaces,
    } = detached;
    if interfaces.is_empty() {
        format!("no interface is guarded by pins in {pin_dir}\n")
    } else {
        format!(
            "detached from {}, by the pins in {pin_dir}\n",
            interfaces.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_configuration_nobody_named_may_be_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        assert!(configured(&path).is_err());
        assert_eq!(configured_or_default(&path).unwrap(), Path::new(PIN_DIR));
        std::fs::write(&path, "broken").unwrap();
        assert!(configured(&path).is_err() && configured_or_default(&path).is_err());
        let good = "[agent]\npin_dir = \"/x\"\n[datapath]\ninterfaces = [\"lo\"]\n\
            [[service]]\nname = \"web\"\nlisten = [\"*:80\"]\n";
        std::fs::write(&path, good).unwrap();
        assert_eq!(configured(&path).unwrap(), Path::new("/x"));
        assert_eq!(configured_or_default(&path).unwrap(), Path::new("/x"));
    }
}
