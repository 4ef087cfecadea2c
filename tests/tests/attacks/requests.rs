//! HTTP: framing, smuggling, and the ways to write a header.
//!
//! Every case goes to every server, cut in more than one way. Those that only the token makes bad are sent with a valid one,
//! too, and then must do what they do without a guard ([`honest`]).

mod case;
mod honest;
mod play;

use std::collections::BTreeMap;

use anyhow::Result;
use token_agent_tests::{
    ground::{Ground, Way, each},
    host::Pair,
    servers::Make,
};

use case::Case;
use play::{Cut, Played};

/// No application gets a revoked token, however the bytes are cut.
fn none_is_served(way: Way) -> Result<()> {
    let pair = way.pair()?;
    let ground = Ground::guarded(&pair, way)?;
    let cases = Case::all(&ground.good)?;
    let played = play_all(&ground, &cases, &Cut::ALL)?;
    let logs = ground.logs()?;
    let strays = logs.revoked_of_nobody();
    let strays = strays.map(|entry| format!("a revoked request was served: {entry:?}"));
    let served = played.iter().filter_map(|played| played.served(&logs));
    let wrong: Vec<_> = served.chain(strays).collect();
    assert!(wrong.is_empty(), "on {way}:\n{}", wrong.join("\n"));
    Ok(())
}

fn play_all<'a>(ground: &Ground<'_>, cases: &'a [Case], cuts: &[Cut]) -> Result<Vec<Played<'a>>> {
    let mut jobs = Vec::new();
    for case in cases {
        for make in Make::ALL {
            for &cut in cuts {
                jobs.push((case, make, cut));
            }
        }
    }
    each(&jobs, |&(case, make, cut)| {
        play::play(ground, case, make, cut)
    })
    .into_iter()
    .collect()
}

#[test]
fn none_is_served_on_the_way_to_a_service() -> Result<()> {
    none_is_served(Way::Service)
}

#[test]
fn none_is_served_on_tc() -> Result<()> {
    none_is_served(Way::Tc)
}

#[test]
fn none_is_served_on_xdp() -> Result<()> {
    none_is_served(Way::Xdp)
}

/// Without a guard the servers do what the catalogue says, so the cases are no blanks.
#[test]
fn unguarded_servers_serve_them() -> Result<()> {
    let pair = Pair::new()?;
    let ground = Ground::unguarded(&pair)?;
    let cases = Case::all(&ground.good)?;
    let played = play_all(&ground, &cases, &[Cut::Whole])?;
    let logs = ground.logs()?;
    let mut served = BTreeMap::new();
    for played in &played {
        let is_served = logs.revoked(played.make, played.peer).next().is_some();
        let is_said = played.case.is_served_by(played.make);
        *served.entry((is_said, is_served)).or_insert(0) += 1;
        if is_said != is_served {
            eprintln!("{}: served {is_served}, said {is_said}", played.name());
        }
    }
    let count = |key| served.get(&key).copied().unwrap_or(0);
    // Other versions of the servers may be a little stricter, or less so.
    assert!(
        count((true, true)) > 20 * count((true, false)),
        "(said to be, is served): {served:?}"
    );
    Ok(())
}
