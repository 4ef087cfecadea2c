//! A command that runs to its end.

use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};

/// Runs a command that must succeed; gives its standard output.
///
/// # Errors
/// If it fails, with what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!(
            "{command:?}: {status}: {}",
            String::from_utf8_lossy(&stderr)
        );
    }
    Ok(String::from_utf8(stdout)?)
}
