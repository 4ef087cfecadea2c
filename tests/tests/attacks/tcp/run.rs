//! Playing all of them, and what must come of it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context as _, Result};
use token_agent_tests::{
    ground::{Ground, Logs, Way, each, set},
    host::{PATIENCE, Pair},
    servers::{Door, Make},
};

use super::{Case, Play};
use crate::catalogue::{case, text};

/// In letters and without a guard: every socket gets what the catalogue says.
pub(crate) fn measured(cases: &[&Case]) -> Result<()> {
    measured_where(&[], cases)
}

/// The same with these variables of the server's network.
pub(crate) fn measured_where(variables: &[(&str, &str)], cases: &[&Case]) -> Result<()> {
    let pair = Pair::new()?;
    for (variable, value) in variables {
        set(&pair, variable, value)?;
    }
    let ground = Ground::unguarded(&pair)?;
    let plays = each(cases, |case| -> Result<_> {
        let mut play = Play::letters(&ground, case, Target::Listener.address(case))?;
        // Some are about handshakes that fail.
        let ran = play.run(case);
        play.peer.pause(SHORT)?;
        Ok((play, ran))
    });
    let logs = ground.logs()?;
    let mut wrong = Vec::new();
    for (case, played) in cases.iter().zip(plays) {
        let (play, ran) = played.context(case.id)?;
        let (bytes, end) = logs.heard(play.peer.address());
        let got = String::from_utf8_lossy(bytes);
        if !is_as_measured(case.id, &got, end) {
            let got = abbreviated(&got);
            wrong.push(format!("{}: {got}, then {end} {ran:?}", named(case.id)));
        }
    }
    assert!(wrong.is_empty(), "not as measured:\n{}", wrong.join("\n"));
    Ok(())
}

fn is_as_measured(id: &str, got: &str, end: &str) -> bool {
    let case = case(id);
    let receives = &case["app_receives"];
    if let Some(tail) = receives["tail"].as_str() {
        return got.ends_with(tail) && got.contains('X');
    }
    let Some(connections) = receives.as_array() else {
        panic!("{id}: nothing was measured");
    };
    let whole: String = connections
        .iter()
        .filter_map(|connection| connection[0].as_str())
        .collect();
    let is_same = match whole.split_once("...") {
        Some((begin, length)) => got.starts_with(begin) && got.len().to_string() == length,
        None => got == whole,
    };
    let ends = connections
        .last()
        .map_or("open", |last| match text_at(last) {
            "ConnectionResetError" => "reset",
            end => end,
        });
    is_same && end == ends
}

fn text_at(connection: &serde_json::Value) -> &str {
    connection[1].as_str().unwrap_or_default()
}

/// What a request is sent to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Listener,
    Server(Make),
}

impl Target {
    fn address(self, case: &Case) -> SocketAddr {
        let host = if case.is_ipv6 {
            IpAddr::from(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2))
        } else {
            IpAddr::from([10, 77, 0, 2])
        };
        let port = match self {
            Self::Listener if case.is_slow => Door::Web.slow_listener(),
            Self::Listener => Door::Web.listener(),
            Self::Server(make) => make.port(Door::Web),
        };
        SocketAddr::new(host, port)
    }
}

/// Which of the two streams bears which token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Roles {
    /// The real one the revoked, the decoy the valid.
    RealIsRevoked,
    /// The other way round.
    DecoyIsRevoked,
    /// Both the valid one: there is no decoy, and in the end the client sends again what was not acknowledged.
    Honest,
}

/// A case as it was played.
struct Played<'a> {
    case: &'a Case,
    target: Target,
    roles: Roles,
    peer: SocketAddr,
    is_answered: bool,
    ran: Result<()>,
}

/// In requests and behind the guard.
pub(crate) fn guarded(way: Way, cases: &[&Case]) -> Result<()> {
    guarded_where(&[], way, cases)
}

/// The same with these variables of the server's network.
pub(crate) fn guarded_where(variables: &[(&str, &str)], way: Way, cases: &[&Case]) -> Result<()> {
    let pair = way.pair()?;
    for (variable, value) in variables {
        set(&pair, variable, value)?;
    }
    let ground = Ground::guarded(&pair, way)?;
    let wrong = failures(&ground, cases)?;
    assert!(wrong.is_empty(), "on {way}:\n{}", wrong.join("\n"));
    Ok(())
}

/// In requests and without a guard: which cases bring a revoked one to a server, in one of the roles.
pub(crate) fn successful(pair: &Pair, cases: &[&Case]) -> Result<BTreeSet<&'static str>> {
    let ground = Ground::unguarded(pair)?;
    let (played, logs) = play_all(&ground, cases)?;
    Ok(played
        .iter()
        .filter(|played| logs.heard_revoked(played.peer))
        .map(|played| played.case.id)
        .collect())
}

fn failures(ground: &Ground<'_>, cases: &[&Case]) -> Result<Vec<String>> {
    let (played, logs) = play_all(ground, cases)?;
    let strays = logs.revoked_of_nobody();
    Ok(played
        .iter()
        .filter_map(|played| played.failure(&logs))
        .chain(strays.map(|entry| format!("a revoked request was served: {entry:?}")))
        .collect())
}

/// Each case in all roles at all servers.
fn play_all<'a>(ground: &Ground<'_>, cases: &[&'a Case]) -> Result<(Vec<Played<'a>>, Logs)> {
    let mut jobs = Vec::new();
    for &case in cases {
        let servers = if case.is_slow { &[][..] } else { &Make::ALL };
        let servers = servers.iter().map(|&make| Target::Server(make));
        for target in [Target::Listener].into_iter().chain(servers) {
            for roles in [Roles::RealIsRevoked, Roles::DecoyIsRevoked, Roles::Honest] {
                if case.is_honest || roles != Roles::Honest {
                    jobs.push((case, target, roles));
                }
            }
        }
    }
    let played = each(&jobs, |&(case, target, roles)| {
        play(ground, case, target, roles)
    });
    let played = played.into_iter().collect::<Result<_>>()?;
    Ok((played, ground.logs()?))
}

/// What passes the guard has arrived in that time.
const SHORT: std::time::Duration = std::time::Duration::from_millis(200);

fn play<'a>(
    ground: &Ground<'_>,
    case: &'a Case,
    target: Target,
    roles: Roles,
) -> Result<Played<'a>> {
    let (real, decoy) = match roles {
        Roles::RealIsRevoked => (&ground.revoked, &ground.good),
        Roles::DecoyIsRevoked => (&ground.good, &ground.revoked),
        Roles::Honest => (&ground.good, &ground.good),
    };
    let mut play = Play::requests(ground, case, target.address(case), real, decoy)?;
    let mut ran = play.run(case);
    if roles == Roles::Honest && ran.is_ok() {
        let stream = play.stream().to_vec();
        ran = play.peer.deliver(&stream, 1_460, PATIENCE / 10).map(drop);
        play.peer.wait(PATIENCE / 10, |peer| peer.is_answered())?;
    } else {
        play.peer.settle()?;
    }
    Ok(Played {
        case,
        target,
        roles,
        peer: play.peer.address(),
        is_answered: play.peer.is_answered(),
        ran,
    })
}

impl Played<'_> {
    /// What is wrong with how it went, if anything is.
    fn failure(&self, logs: &Logs) -> Option<String> {
        let (was_revoked, was_good, got) = match self.target {
            Target::Listener => {
                let (bytes, end) = logs.heard(self.peer);
                let got = abbreviated(&String::from_utf8_lossy(bytes));
                let got = format!("{got}, then {end}");
                (
                    logs.heard_revoked(self.peer),
                    logs.heard_good(self.peer),
                    got,
                )
            }
            Target::Server(make) => (
                logs.revoked(make, self.peer).next().is_some(),
                logs.good(make, self.peer).next().is_some(),
                format!("{:?}", logs.requests(make, self.peer)),
            ),
        };
        let what = match self.roles {
            _ if was_revoked => "a revoked request was served",
            Roles::Honest if !was_good => "an honest request was not served",
            Roles::Honest if !self.is_answered => "an honest client got no answer",
            Roles::Honest | Roles::RealIsRevoked | Roles::DecoyIsRevoked => return None,
        };
        let (name, target, roles) = (named(self.case.id), self.target, self.roles);
        let ran = self.ran.as_ref().err();
        let ran = ran.map(|error| format!(" ({error:#})")).unwrap_or_default();
        Some(format!(
            "{name} at {target:?}, {roles:?}: {what}; the application got {got}{ran}"
        ))
    }
}

/// Bytes, without most of what there may be in the middle.
fn abbreviated(text: &str) -> String {
    const MOST: usize = 400;
    match (
        text.get(..MOST / 2),
        text.get(text.len().saturating_sub(MOST / 2)..),
    ) {
        (Some(begin), Some(end)) if text.len() > MOST => {
            format!("{begin:?}, {} more, {end:?}", text.len() - MOST)
        }
        _ => format!("{text:?}"),
    }
}

/// A case's id and recipe.
fn named(id: &str) -> String {
    format!("{id} ({})", text(case(id), "recipe"))
}
