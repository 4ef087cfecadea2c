//! The same with a valid token: the guard makes no difference.

use std::time::Duration;

use anyhow::Result;
use token_agent_tests::{
    ground::{Ground, Logs, Way, each},
    host::Pair,
    servers::Make,
};

use super::{
    Case,
    play::{Cut, Played, send},
};

/// One way to send a case to a server.
type Job<'a> = (&'a Case, Make, Cut);

fn makes_no_difference(way: Way) -> Result<()> {
    let (free, guarded) = (Pair::new()?, way.pair()?);
    let free = Ground::unguarded(&free)?;
    let guarded = Ground::guarded(&guarded, way)?;
    let (of_free, of_guarded) = (honest(&free)?, honest(&guarded)?);
    let mut jobs = (jobs(&of_free), jobs(&of_guarded));
    assert!(!jobs.0.is_empty());
    let mut wrong = Vec::new();
    // Where a server was only slow, it is asked again, and waited for.
    for patience in [2, 20].map(Duration::from_secs) {
        let expected = outcomes(&free, &jobs.0, patience)?;
        let got = outcomes(&guarded, &jobs.1, patience)?;
        wrong.clear();
        let mut again = (Vec::new(), Vec::new());
        for (i, ((name, expected), (_, got))) in expected.iter().zip(&got).enumerate() {
            if expected != got {
                wrong.push(format!(
                    "{name}: (answered, served) {got:?}, without a guard {expected:?}"
                ));
                again.0.push(jobs.0[i]);
                again.1.push(jobs.1[i]);
            }
        }
        jobs = again;
    }
    assert!(wrong.is_empty(), "on {way}:\n{}", wrong.join("\n"));
    Ok(())
}

/// The cases, with the ground's valid token.
fn honest(ground: &Ground<'_>) -> Result<Vec<Case>> {
    let cases = Case::all(&ground.good)?;
    Ok(cases
        .into_iter()
        .filter_map(|case| case.made_honest(&ground.good))
        .collect())
}

fn jobs(cases: &[Case]) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for case in cases {
        for make in Make::ALL {
            for cut in [Cut::Fine, Cut::Whole] {
                jobs.push((case, make, cut));
            }
        }
    }
    jobs
}

/// What came of a sending: whether it was answered, and which requests were served.
type Outcome = (bool, Vec<String>);

/// Each sending's name and what came of it.
fn outcomes(
    ground: &Ground<'_>,
    jobs: &[Job<'_>],
    patience: Duration,
) -> Result<Vec<(String, Outcome)>> {
    let played = each(jobs, |&(case, make, cut)| {
        send(ground, case, make, cut, patience)
    });
    let logs = ground.logs()?;
    let outcome = |played: Played<'_>, logs: &Logs| {
        let (answered, served) = played.outcome(logs);
        let served = served.into_iter().map(str::to_owned).collect();
        (played.name(), (answered, served))
    };
    played
        .into_iter()
        .map(|played| Ok(outcome(played?, &logs)))
        .collect()
}

#[test]
fn makes_no_difference_on_the_way_to_a_service() -> Result<()> {
    makes_no_difference(Way::Service)
}

#[test]
fn makes_no_difference_on_tc() -> Result<()> {
    makes_no_difference(Way::Tc)
}

#[test]
fn makes_no_difference_on_xdp() -> Result<()> {
    makes_no_difference(Way::Xdp)
}
