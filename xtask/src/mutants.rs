//! `cargo xtask mutants`: does the simulation notice when the guard is wrong?
//!
//! Each mutant is a change to the sources that makes a guard let pass what it must not, or hurt who is honest.
//! It is applied to a copy of the workspace, and the simulation is run until it finds out, or time is up.

mod list;
mod workspace;

use std::{
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};

use self::{list::Subject, workspace::Copy};
use crate::{process, simulate};

/// What a simulation exits with that has found something.
const FOUND: i32 = 1;

/// The same when the guard, or the simulation, panics: noticed, too.
const PANICKED: i32 = 101;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those whose names contain this
    name: Option<String>,
    /// How long each may go unnoticed
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Threads of the simulation
    #[arg(long, short = 'j', default_value_t = 2)]
    threads: usize,
    /// How long the unchanged guards are looked at first, which must not be found wrong
    #[arg(long, default_value_t = 20)]
    sane: u64,
    /// Print what finds a mutant as a line for `tests/model/cases.txt`
    #[arg(long)]
    save: bool,
    /// Only look whether each can be applied
    #[arg(long)]
    check: bool,
}

pub(crate) fn mutants(args: &Args) -> Result<ExitCode> {
    let mut mutants = list::read()?;
    mutants.retain(|mutant| {
        args.name
            .as_ref()
            .is_none_or(|name| mutant.name.contains(name))
    });
    ensure!(!mutants.is_empty(), "there are no such mutants");
    for mutant in &mutants {
        mutant
            .apply(process::workspace())
            .with_context(|| mutant.name.clone())?;
    }
    if args.check {
        println!("{} mutants can be applied", mutants.len());
        return Ok(ExitCode::SUCCESS);
    }
    let copy = Copy::new()?;
    let mut subjects: Vec<_> = mutants.iter().map(|mutant| &mutant.subject).collect();
    subjects.sort();
    subjects.dedup();
    for subject in subjects {
        let found = run(&copy, subject, args.sane, args.threads)?;
        if let Some(Found { how, .. }) = found {
            bail!("{} is wrong without any change: {how}", subject.guard);
        }
    }
    let mut missed = Vec::new();
    for mutant in &mutants {
        copy.refresh()?;
        copy.write(&mutant.file, &mutant.apply(process::workspace())?)?;
        let start = Instant::now();
        let found = run(&copy, &mutant.subject, args.seconds, args.threads)
            .with_context(|| mutant.name.clone())?;
        let taken = start.elapsed().as_secs_f64();
        match found {
            Some(found) => {
                println!("found   {:40} {taken:5.1} s  {}", mutant.name, found.how);
                if args.save {
                    println!("{}", found.case);
                }
            }
            None => {
                println!("MISSED  {:40} {taken:5.1} s", mutant.name);
                missed.push(&mutant.name);
            }
        }
    }
    println!(
        "{} of {} found",
        mutants.len() - missed.len(),
        mutants.len()
    );
    Ok(if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a simulation has found.
struct Found {
    how: String,
    /// As a line for the cases.
    case: String,
}

/// Runs the simulation on the copy; what it found, if anything.
fn run(copy: &Copy, subject: &Subject, seconds: u64, threads: usize) -> Result<Option<Found>> {
    let mut cargo = copy.cargo();
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
        .arg("--save");
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
