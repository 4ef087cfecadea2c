//! Whether a test of the kernel programs fails: the agent is built with the mutant, its programs are
//! loaded, and the test is run on them, as root.

use std::{collections::BTreeSet, process::Output};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Found, list::Mutant, workspace::Copy};
use crate::test;

/// Looks whether the tests succeed without any change, and whether there are such tests.
pub(super) fn check_unchanged(copy: &Copy, mutants: &[&Mutant]) -> Result<()> {
    let tests: BTreeSet<_> = mutants.iter().filter_map(|it| it.test.as_ref()).collect();
    for test in tests {
        if let Some(found) = run(copy, test)? {
            bail!("{test} fails without any change: {}", found.how);
        }
    }
    Ok(())
}

/// Runs the test on the copy; how it failed, if it did.
pub(super) fn run(copy: &Copy, test: &str) -> Result<Option<Found>> {
    let built = cargo(copy, &["--no-run"])?;
    let errors = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "does not build:\n{errors}");
    let output = cargo(copy, &["--", "--exact", test])?;
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(told.contains("running 1 test\n"), "there is no test {test}");
    if output.status.success() {
        return Ok(None);
    }
    // A program that the kernel refuses shows nothing.
    ensure!(
        !told.contains("loading the guard"),
        "does not load:\n{told}"
    );
    let why = told
        .lines()
        .skip_while(|line| !line.contains("panicked at"));
    let how: Vec<_> = why.skip(1).take(3).map(str::trim).collect();
    Ok(Some(Found {
        how: format!("{test}: {}", how.join(", ")),
        case: String::new(),
    }))
}

fn cargo(copy: &Copy, args: &[&str]) -> Result<Output> {
    test::runner(copy.cargo())?
        .args(["test", "--quiet", "--package", "token-agent-tests"])
        .args(["--test", "programs"])
        .args(args)
        .output()
        .context("cannot run cargo")
}
