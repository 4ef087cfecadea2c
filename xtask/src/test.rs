//! `cargo xtask test`: unit tests as the caller, integration tests as root.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{process, setup};

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Passed on to every test binary: a filter, `--nocapture` and the like
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn test(args: &Args) -> Result<()> {
    setup::ensure()?;
    unit(args)?;
    integration(args)
}

fn unit(args: &Args) -> Result<()> {
    process::run(
        process::cargo()
            .args(["test", "--workspace"])
            // Compiled for another target, by token-agent's build script.
            .args(["--exclude", "token-agent-ebpf"])
            .args(["--exclude", "token-agent-tests"])
            .arg("--")
            .args(&args.args),
    )
}

fn integration(args: &Args) -> Result<()> {
    process::run(process::cargo().arg("build").args([
        "--package",
        "token-agent",
        "--bin",
        "token-agent",
    ]))?;
    process::run(
        runner(process::cargo())?
            .env("TOKEN_AGENT_BIN", process::built("debug", "token-agent")?)
            // They mostly wait: for denied requests to be answered, which they are not.
            .env("RUST_TEST_THREADS", "6")
            .args(["test", "--package", "token-agent-tests", "--tests", "--"])
            .args(&args.args),
    )
}

/// Cargo builds as the caller and starts each test binary as root.
pub(crate) fn runner(mut cargo: Command) -> Result<Command> {
    let sudo = process::sudo()?;
    if !sudo.is_empty() {
        cargo.arg("--config").arg(format!(
            "target.'cfg(target_os = \"linux\")'.runner = {sudo:?}"
        ));
    }
    Ok(cargo)
}
