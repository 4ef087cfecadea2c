//! `cargo xtask run`: the demo.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;

use crate::{process, setup};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to the demo
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    release_driver("demo", &args.args)
}

/// Builds token-agent and one of the programs in `tests/src/bin` in the
/// release profile and runs the latter as root, in the foreground.
pub(crate) fn release_driver(name: &str, args: &[OsString]) -> Result<ExitCode> {
    setup::ensure()?;
    process::run(
        process::cargo()
            .args(["build", "--release"])
            .args(["--package", "token-agent", "--bin", "token-agent"])
            .args(["--package", "token-agent-tests", "--bin", name]),
    )?;
    process::run_foreground(
        process::as_root(process::built("release", name)?)?
            .env("TOKEN_AGENT_BIN", process::built("release", "token-agent")?)
            .args(args),
    )
}
