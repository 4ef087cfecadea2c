//! The command line: one file for each command.
//!
//! `run`, `check`, `detach`, `doctor` and `version` work without a daemon; all
//! others ask it over the control socket, and do nothing else.

mod ask;
mod check;
mod detach;
mod doctor;
mod events;
mod exit;
mod explain;
mod guard;
mod issue;
mod later;
mod list;
mod output;
mod query;
mod revoke;
mod run;
mod show;
mod status;
mod stdin;
#[cfg(test)]
mod tests;
mod usage;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::client::Client;
use exit::Exit;
use output::Output;

/// Guards the services of this host: requests without a valid token do not reach them.
#[derive(Debug, Parser)]
#[command(name = "token-agent", version, disable_help_subcommand = true)]
struct Cli {
    /// The daemon's control socket
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "TOKEN_AGENT_SOCKET",
        default_value = "/run/token-agent/control.sock"
    )]
    socket: PathBuf,
    /// Print one JSON object (events: one for each line)
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but what was asked for
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon, in the foreground
    Run(run::Args),
    /// Validate the configuration without touching anything
    Check(check::Args),
    /// Tell whether requests are judged, where, and since when
    Status(status::Args),
    /// Issue a token and print its secret, this once
    Issue(issue::Args),
    /// List tokens
    List(list::Args),
    /// Show a token
    Show(show::Args),
    /// Revoke tokens; returns when the kernel denies them
    Revoke(revoke::Args),
    /// Tell the verdict a request would get, and why
    Explain(explain::Args),
    /// Switch a service's mode
    Guard(guard::Args),
    /// Tell what was denied and what was changed
    Events(events::Args),
    /// Look for what keeps this machine from enforcing
    Doctor(doctor::Args),
    /// Take the guard off interfaces
    Detach(detach::Args),
    /// Print the version
    Version,
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return later::explain(&error),
    };
    let output = Output::new(cli.json, cli.quiet);
    match cli.dispatch(output) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}

impl Cli {
    fn read<S: Into<OsString> + Clone>(
        args: impl IntoIterator<Item = S>,
    ) -> Result<Self, clap::Error> {
        let mut definition = Self::command();
        let matches = definition.try_get_matches_from_mut(args)?;
        let cli =
            Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
        match cli.command {
            Command::Run(_) => run::refuse_what_is_not_for_it(&mut definition, &matches)?,
            Command::Check(_)
            | Command::Status(_)
            | Command::Issue(_)
            | Command::List(_)
            | Command::Show(_)
            | Command::Revoke(_)
            | Command::Explain(_)
            | Command::Guard(_)
            | Command::Events(_)
            | Command::Doctor(_)
            | Command::Detach(_)
            | Command::Version => {}
        }
        Ok(cli)
    }

    fn dispatch(self, output: Output) -> anyhow::Result<Exit> {
        let client = Client::new(&self.socket);
        match self.command {
            Command::Run(args) => run::run(args),
            Command::Check(args) => check::run(&args, output),
            Command::Detach(args) => detach::run(args, output),
            Command::Version => version::run(output),
            Command::Doctor(args) => waiting(doctor::run(&args, &client, output)),
            Command::Status(args) => waiting(status::run(&args, &client, output)),
            Command::Issue(args) => waiting(issue::run(args, &client, output)),
            Command::List(args) => waiting(list::run(args, &client, output)),
            Command::Show(args) => waiting(show::run(&args, &client, output)),
            Command::Revoke(args) => waiting(revoke::run(args, &client, output)),
            Command::Explain(args) => waiting(explain::run(args, &client, output)),
            Command::Guard(args) => waiting(guard::run(&args, &client, output)),
            Command::Events(args) => waiting(events::run(args, &client, output)),
        }
    }
}

/// Runs what asks the daemon.
fn waiting(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(command)
}
