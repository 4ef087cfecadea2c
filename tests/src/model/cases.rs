//! Schedules worth keeping: `tests/model/cases.txt`.
//!
//! A line is a name and what is run under it: `attack SEED` or `honest SEED`, which stands for another schedule
//! when the generator changes, or the schedule itself, as `simulate --save` prints it. Lines that begin with `#`
//! say why.

use anyhow::{Context as _, Result};

use super::schedule::{Kind, Schedule};

const CASES: &str = include_str!("../../model/cases.txt");

/// A named schedule.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What is run.
    pub schedule: Schedule,
}

/// All there are.
///
/// # Errors
/// If the file cannot be read.
pub fn cases() -> Result<Vec<Case>> {
    let lines = CASES.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| case(line).with_context(|| format!("cases.txt, line {}", number + 1)))
        .collect()
}

fn case(line: &str) -> Result<Case> {
    let (name, what) = line.split_once(' ').context("a name alone")?;
    let seed = |text: &str| text.parse().context("no seed");
    let schedule = match what.split_once(' ') {
        Some(("attack", text)) => Schedule::new(Kind::Attack, seed(text)?),
        Some(("honest", text)) => Schedule::new(Kind::Honest, seed(text)?),
        Some(_) | None => serde_json::from_str(what)?,
    };
    Ok(Case {
        name: name.to_owned(),
        schedule,
    })
}
