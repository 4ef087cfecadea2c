//! The same with a valid token: the guard makes no difference.

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

fn makes_no_difference(way: Way) -> Result<()> {
    let (free, guarded) = (Pair::new()?, way.pair()?);
    let free = Ground::unguarded(&free)?;
    let guarded = Ground::guarded(&guarded, way)?;
    let mut wrong = Vec::new();
    let expected = outcomes(&free)?;
    let got = outcomes(&guarded)?;
    for ((name, expected), (_, got)) in expected.iter().zip(&got) {
        if expected != got {
            wrong.push(format!(
                "{name}: (answered, served) {got:?}, without a guard {expected:?}"
            ));
        }
    }
    assert!(
        !expected.is_empty() && wrong.is_empty(),
        "on {way}:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

/// What came of a sending: whether it was answered, and which requests were served.
type Outcome = (bool, Vec<String>);

/// Each sending's name and what came of it.
fn outcomes(ground: &Ground<'_>) -> Result<Vec<(String, Outcome)>> {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    let cases = Case::all(&ground.good)?;
    let cases: Vec<_> = cases
        .into_iter()
        .filter_map(|case| case.made_honest(&ground.good))
        .collect();
    let mut jobs = Vec::new();
    for case in &cases {
        for make in Make::ALL {
            for cut in [Cut::Fine, Cut::Whole] {
                jobs.push((case, make, cut));
            }
        }
    }
    let played = each(&jobs, |&(case, make, cut)| {
        send(ground, case, make, cut, PATIENCE)
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
