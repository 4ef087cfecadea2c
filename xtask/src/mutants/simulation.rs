//! Whether the simulation notices.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{
    Args, Found,
    list::{Mutant, Subject},
    workspace::Copy,
};
use crate::simulate;

/// What a simulation exits with that has found something.
const FOUND: i32 = 1;

/// The same when the guard, or the simulation, panics: noticed, too.
const PANICKED: i32 = 101;

/// Looks whether guards are right without any change.
pub(super) fn check_unchanged(copy: &Copy, mutants: &[&Mutant], args: &Args) -> Result<()> {
    let subjects: BTreeSet<_> = mutants
        .iter()
        .filter_map(|it| it.subject.as_ref())
        .collect();
    for subject in subjects {
        if let Some(found) = run(copy, subject, args.sane, args.threads)? {
            bail!(
                "{} is wrong without any change: {}",
                subject.guard,
                found.how
            );
        }
    }
    Ok(())
}

/// Runs the simulation on the copy; what it found, if anything.
pub(super) fn run(
    copy: &Copy,
    subject: &Subject,
    seconds: u64,
    threads: usize,
) -> Result<Option<Found>> {
    let mut cargo = copy.cargo();
    // Each time a few lines are others.
    cargo.env("CARGO_INCREMENTAL", "1");
    let built = simulate::build(cargo.arg("--quiet"))
        .stdout(Stdio::null())
        .output();
    let built = built.context("cannot run cargo")?;
    if !built.status.success() {
        bail!(
            "does not build:\n{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    let mut simulation = Command::new(copy.simulate());
    simulation
        .args(["--guard", &subject.guard])
        .args(["--seconds", &seconds.to_string()])
        .args(["--threads", &threads.to_string()])
        .args(["--count", &u64::MAX.to_string()])
        .args(["--save", "--starts"]);
    if let Some(only) = &subject.only {
        simulation.args(["--only", only]);
    }
    let output = simulation.output().context("cannot run the simulation")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let mut last = told.lines().rev();
    let mut last = || last.next().unwrap_or_default().to_owned();
    match output.status.code() {
        Some(0) => Ok(None),
        Some(FOUND) => Ok(Some(Found {
            how: last(),
            case: last(),
        })),
        Some(PANICKED) => Ok(Some(Found {
            how: "it panicked".into(),
            case: String::new(),
        })),
        _ => bail!(
            "the simulation failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}
