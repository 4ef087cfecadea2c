//! `run`: the daemon.

use std::path::PathBuf;

use super::exit::Exit;
use crate::{config, daemon};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "PATH", default_value_os_t = daemon::default_config())]
    config: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let loaded = config::load(&args.config)?;
    daemon::run(loaded)?;
    Ok(Exit::Done)
}
