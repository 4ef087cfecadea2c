//! Honest clients, at their oddest. They must be served as if there were no guard: each is tried at each
//! server, once without one, and what it got is compared.

mod kernels;
mod peers;
mod weather;

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use token_agent_tests::{
    client::Client,
    ground::{Ground, Way, each},
    host::Pair,
    raw::Peer,
    servers::{Door, Make},
};

/// What an honest client does.
struct Honest {
    id: &'static str,
    what: &'static str,
    /// What it got: answers' statuses, mostly.
    run: fn(&Scene<'_>) -> Result<Vec<u16>>,
}

/// Where it does that.
struct Scene<'a> {
    ground: &'a Ground<'a>,
    make: Make,
}

/// What is answered is answered in that time, even if a segment is lost.
const SOON: Duration = Duration::from_secs(5);

impl Scene<'_> {
    fn server(&self) -> SocketAddr {
        self.make.address(Door::Web)
    }

    fn client(&self) -> Result<Client> {
        Client::connect(&self.ground.pair.client, self.server())
    }

    fn peer(&self) -> Result<Peer> {
        self.ground.wire.peer(self.server())
    }

    /// A request with the valid token, and with more header lines, each with its line end.
    fn request(&self, method: &str, path: &str, more: &str) -> String {
        let good = &self.ground.good;
        format!(
            "{method} /{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\n{more}\r\n"
        )
    }

    /// One that looks denied, to stand in a body.
    fn bait(&self) -> String {
        let revoked = &self.ground.revoked;
        format!("\r\n\r\nGET /bait HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {revoked}\r\n\r\n")
    }
}

/// The statuses of all answers so far, once there are so many.
fn statuses(peer: &mut Peer, count: usize) -> Result<Vec<u16>> {
    let found = |peer: &Peer| {
        let text = String::from_utf8_lossy(peer.received()).into_owned();
        let answers = text.match_indices("HTTP/1.1 ");
        answers
            .filter_map(|(at, begin)| text[at + begin.len()..].get(..3)?.parse().ok())
            .collect::<Vec<u16>>()
    };
    peer.wait(SOON, |peer| {
        found(peer).len() >= count || peer.end().is_some()
    })?;
    Ok(found(peer))
}

fn outcomes(ground: &Ground<'_>) -> Vec<(String, String)> {
    let all = kernels::ALL.iter().chain(peers::ALL).chain(weather::ALL);
    let jobs: Vec<_> = all
        .flat_map(|honest| Make::ALL.map(|make| (honest, make)))
        .collect();
    each(&jobs, |(honest, make)| {
        let scene = Scene {
            ground,
            make: *make,
        };
        let outcome = match (honest.run)(&scene) {
            Ok(statuses) => format!("{statuses:?}"),
            Err(error) => format!("{error:#}"),
        };
        let (id, what) = (honest.id, honest.what);
        (format!("{id} ({what}) at {make:?}"), outcome)
    })
}

fn come_to_no_harm(way: Way) -> Result<()> {
    let (free, guarded) = (Pair::new()?, way.pair()?);
    let free = Ground::unguarded(&free)?;
    let guarded = Ground::guarded(&guarded, way)?;
    let (expected, got) = (outcomes(&free), outcomes(&guarded));
    let logs = guarded.logs()?;
    let mut wrong = Vec::new();
    for ((name, expected), (_, got)) in expected.iter().zip(&got) {
        if !expected.contains("200") {
            wrong.push(format!("{name}: even without a guard it gets {expected}"));
        } else if expected != got {
            wrong.push(format!("{name}: gets {got}, without a guard {expected}"));
        }
    }
    for make in Make::ALL {
        let served = logs.all_revoked(make);
        wrong.extend(served.map(|entry| format!("{make:?} was brought to serve {entry:?}")));
    }
    assert!(wrong.is_empty(), "on {way}:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn come_to_no_harm_on_the_way_to_a_service() -> Result<()> {
    come_to_no_harm(Way::Service)
}

#[test]
fn come_to_no_harm_on_tc() -> Result<()> {
    come_to_no_harm(Way::Tc)
}

#[test]
fn come_to_no_harm_on_xdp() -> Result<()> {
    come_to_no_harm(Way::Xdp)
}
