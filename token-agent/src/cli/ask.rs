//! Asking before something that hurts.

use std::io::{self, IsTerminal, Write};

use super::usage::Usage;

/// Whether to go on: `yes` was given, or somebody at a terminal says so.
pub(super) fn confirmed(yes: bool, question: &str) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Usage::new("nobody is there to be asked; --yes says that it is meant").into());
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
