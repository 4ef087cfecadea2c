//! Guards in simulated connections: the schedules that are kept, and some more.

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::model::{
    cases::cases,
    check::Judges,
    guard::Guard,
    guards::{GUARDS, RIGHT},
    schedule::{Kind, Schedule},
    world::Trace,
};

/// How many schedules of an honest client are run with each guard: `cargo xtask simulate` runs more.
const HONEST: u64 = 500;

fn guard(name: &str) -> Result<Box<dyn Guard>> {
    let make = GUARDS.iter().find(|guard| guard.0 == name);
    Ok(make.context("there is no such guard")?.1())
}

/// Runs a schedule; what it came to is told if it fails.
fn run(schedule: &Schedule, guard: &mut dyn Guard, judges: &Judges) -> Result<()> {
    let mut trace = Trace::default();
    let Some(violation) = schedule.run(guard, judges, &mut trace).violation else {
        return Ok(());
    };
    let shorter = schedule.clone().shrink(guard, judges);
    trace = Trace::kept();
    let _ = shorter.run(guard, judges, &mut trace);
    let lines = trace.lines();
    anyhow::bail!("{violation}\n{}", lines[..lines.len().min(100)].join("\n"))
}

#[test]
fn the_kept_schedules_come_to_nothing() -> Result<()> {
    let mut judges = Judges::new();
    judges.is_thorough = true;
    judges.looks_at_starts = true;
    for name in RIGHT {
        let mut guard = guard(name)?;
        for case in cases()? {
            let result = run(&case.schedule, &mut *guard, &judges);
            result.with_context(|| format!("{} with {name}", case.name))?;
        }
    }
    Ok(())
}

/// What no guard could be wronged by shows nothing.
#[test]
fn the_kept_schedules_come_to_something_without_a_guard() -> Result<()> {
    let mut guard = guard("pass-all")?;
    let mut judges = Judges::new();
    judges.looks_at_starts = true;
    for case in cases()? {
        let outcome = case
            .schedule
            .run(&mut *guard, &judges, &mut Trace::default());
        ensure!(outcome.violation.is_some(), "{}", case.name);
    }
    Ok(())
}

#[test]
fn attacks_come_to_nothing() -> Result<()> {
    let mut judges = Judges::new();
    judges.looks_at_starts = true;
    for (name, count) in [("hold", 20_000), ("stream", 150_000)] {
        let mut guard = guard(name)?;
        for seed in 1..=count {
            judges.is_thorough = Schedule::is_thorough(seed);
            run(&Schedule::new(Kind::Attack, seed), &mut *guard, &judges).with_context(|| {
                format!("cargo xtask simulate --guard {name} --only attack --seed {seed}")
            })?;
        }
        if name == "stream" {
            let transitions = guard.transitions();
            let never = transitions.iter().filter(|(_, count)| *count == 0);
            let never: Vec<_> = never.map(|(name, _)| name).collect();
            ensure!(never.is_empty(), "the schedules never came to {never:?}");
        }
    }
    Ok(())
}

#[test]
fn honest_clients_are_served() -> Result<()> {
    let judges = Judges::new();
    for name in RIGHT.into_iter().chain(["pass-all"]) {
        let mut guard = guard(name)?;
        for seed in 0..HONEST {
            run(&Schedule::new(Kind::Honest, seed), &mut *guard, &judges)
                .with_context(|| format!("honest client {seed} with {name}"))?;
        }
    }
    Ok(())
}

#[test]
fn guards_that_are_wrong_are_found_out() -> Result<()> {
    let judges = Judges::new();
    for name in ["pass-all", "naive"] {
        let mut guard = guard(name)?;
        let is_found = (0..1_000).any(|seed| {
            let schedule = Schedule::new(Kind::Attack, seed);
            let outcome = schedule.run(&mut *guard, &judges, &mut Trace::default());
            outcome.violation.is_some()
        });
        ensure!(is_found, "{name} was not found out");
    }
    Ok(())
}

#[test]
fn a_seed_stands_for_one_schedule() {
    let shown = |kind, seed| format!("{:?}", Schedule::new(kind, seed));
    for seed in 0..100 {
        for kind in [Kind::Attack, Kind::Honest] {
            assert_eq!(shown(kind, seed), shown(kind, seed));
        }
    }
}
