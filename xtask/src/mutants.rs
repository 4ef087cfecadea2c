//! `cargo xtask mutants`: does anything notice when the guard is wrong?
//!
//! Each mutant is a change to the sources that makes a guard let pass what it must not, or hurt who is honest.
//! It is applied to a copy of the workspace, and the simulation is run until it finds out, or time is up; or, with
//! `--tests`, the test of the kernel programs that is named for it, which must fail.

mod list;
mod programs;
mod simulation;
mod workspace;

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result, ensure};

use self::{list::Mutant, workspace::Copy};
use crate::process;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those whose names contain this
    name: Option<String>,
    /// Run the tests of the kernel programs that are named for mutants, not the simulation; root by sudo
    #[arg(long)]
    tests: bool,
    /// How long each may go unnoticed
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Threads of the simulation
    #[arg(long, short = 'j', default_value_t = 2)]
    threads: usize,
    /// How long the unchanged guards are looked at first, which must not be found wrong; with 0, tests are not
    /// tried without any change, either
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
    let mutants = list::read()?;
    for mutant in &mutants {
        mutant
            .apply(process::workspace())
            .with_context(|| mutant.name.clone())?;
    }
    if args.check {
        println!("{} mutants can be applied", mutants.len());
        return Ok(ExitCode::SUCCESS);
    }
    let is_asked_for = |mutant: &&Mutant| {
        let name = args.name.as_ref();
        let can_be_noticed = if args.tests {
            mutant.test.is_some()
        } else {
            mutant.subject.is_some()
        };
        can_be_noticed && name.is_none_or(|name| mutant.name.contains(name))
    };
    let mutants: Vec<_> = mutants.iter().filter(is_asked_for).collect();
    ensure!(!mutants.is_empty(), "there are no such mutants");
    let copy = Copy::new()?;
    if args.sane == 0 {
        eprintln!("what is unchanged is taken for right");
    } else if args.tests {
        programs::check_unchanged(&copy, &mutants)?;
    } else {
        simulation::check_unchanged(&copy, &mutants, args)?;
    }
    let mut missed = Vec::new();
    for mutant in &mutants {
        copy.refresh()?;
        copy.write(&mutant.file, &mutant.apply(process::workspace())?)?;
        let start = Instant::now();
        let found = look(&copy, mutant, args).with_context(|| mutant.name.clone())?;
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

/// How a mutant was noticed.
struct Found {
    how: String,
    /// As a line for the cases.
    case: String,
}

fn look(copy: &Copy, mutant: &Mutant, args: &Args) -> Result<Option<Found>> {
    if args.tests {
        let test = mutant.test.as_ref().context("no test is named for it")?;
        return programs::run(copy, test);
    }
    let subject = mutant
        .subject
        .as_ref()
        .context("no guard is named for it")?;
    simulation::run(copy, subject, args.seconds, args.threads)
}
