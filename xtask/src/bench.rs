//! `cargo xtask bench`: what the guard costs on this machine.

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;

use crate::run;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to the benchmark
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn bench(args: &Args) -> Result<ExitCode> {
    run::release_driver("bench", &args.args)
}
