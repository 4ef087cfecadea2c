//! `detach`: takes the guard off.

use std::path::PathBuf;

use serde::Serialize;

use super::{ask, exit::Exit, output::Output, usage::Usage};
use crate::{
    config, daemon,
    datapath::{self, Which},
};

/// Where the pins are unless the configuration says otherwise.
const PIN_DIR: &str = "/sys/fs/bpf/token-agent";

#[derive(Debug, clap::Args)]
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
    /// The configuration, which says where the pins are
    #[arg(long, value_name = "PATH", default_value_os_t = daemon::default_config())]
    config: PathBuf,
}

#[derive(Debug, Serialize)]
struct Detached {
    interfaces: Vec<String>,
}

pub(super) fn run(args: Args, output: Output) -> anyhow::Result<Exit> {
    let pin_dir = match config::load(&args.config) {
        Ok(loaded) => loaded.config.agent.pin_dir,
        // The guard must come off without a configuration, too; but a broken one may name another place.
        Err(_) if !args.config.exists() => PIN_DIR.into(),
        Err(errors) => return Err(errors.into()),
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
    let interfaces = datapath::detach(&pin_dir, &which)?;
    output.tell(&Detached { interfaces }, |detached| {
        if detached.interfaces.is_empty() {
            "no interface was guarded\n".into()
        } else {
            format!("detached from {}\n", detached.interfaces.join(", "))
        }
    })?;
    Ok(Exit::Done)
}
