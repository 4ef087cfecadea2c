//! `run`: the daemon.

use std::path::PathBuf;

use clap::{
    ArgMatches, Command,
    error::{Error, ErrorKind},
    parser::ValueSource,
};

use super::exit::Exit;
use crate::{config, daemon};

/// Options for all the other commands, and what there is instead.
const NOT_FOR_IT: [(&str, &str); 3] = [
    (
        "socket",
        "the control socket is set by `agent.socket` in the configuration",
    ),
    ("json", "it prints nothing but its log"),
    (
        "quiet",
        "how much it says is set by `agent.log` in the configuration",
    ),
];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "PATH", default_value_os_t = daemon::default_config())]
    config: PathBuf,
}

/// Refuses options that would be ignored. The environment's are for the other commands, and no error.
pub(super) fn refuse_what_is_not_for_it(
    definition: &mut Command,
    given: &ArgMatches,
) -> Result<(), Error> {
    let refused = NOT_FOR_IT
        .iter()
        .find(|(option, _)| given.value_source(option) == Some(ValueSource::CommandLine));
    refused.map_or(Ok(()), |(option, instead)| {
        let what = format!("`run` takes no --{option}: {instead}");
        Err(definition.error(ErrorKind::ArgumentConflict, what))
    })
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let loaded = config::load(&args.config)?;
    daemon::run(loaded)?;
    Ok(Exit::Done)
}
