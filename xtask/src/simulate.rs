//! `cargo xtask simulate`: the guard in simulated connections.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to the simulation: `--help` tells of what it understands
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(crate) fn simulate(args: &Args) -> Result<ExitCode> {
    process::run(build(&mut process::cargo()))?;
    process::run_foreground(Command::new(process::built("release", "simulate")?).args(&args.args))
}

/// Builds nothing that needs a kernel or root.
pub(crate) fn build(cargo: &mut Command) -> &mut Command {
    cargo
        .args(["build", "--release", "--no-default-features"])
        .args(["--package", "token-agent-tests", "--bin", "simulate"])
}
