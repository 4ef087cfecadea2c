//! Cases that need a host of their own: its network is set otherwise.

use anyhow::Result;
use token_agent_tests::{
    ground::Way,
    raw::{fast_open, flags::SYN},
};

use super::{Case, Play, run};

const WITH_COOKIES: &[Case] = &[
    Case::new("A165", "aaaaa", |play| {
        play.peer.connect()?;
        play.real(0..5).send()
    })
    .with_handshake(),
    Case::new("A166", "aaaaa", |play| {
        two_offers(play)?;
        play.peer.ack().send()?;
        play.real(0..5).send()
    })
    .with_handshake(),
    Case::new("A167", "aaaaa", |play| {
        two_offers(play)?;
        play.peer.take_up(0)?;
        play.peer.ack().send()?;
        play.real(0..5).send()
    })
    .with_handshake(),
];

fn two_offers(play: &mut Play) -> Result<()> {
    play.peer.syn().send()?;
    play.peer.is_offered()?;
    play.peer.restart(7_777);
    play.peer.syn().send()?;
    play.peer.is_offered().map(drop)
}

const WITH_FAST_OPEN: &[Case] = &[Case::new("A162", "tfo-data-in-syn", |play| {
    let letters = i32::try_from("tfo-data-in-syn".len())?;
    play.real(0..letters)
        .flags(SYN)
        .later(-1)
        .tcp_options(&fast_open(b""))
        .send()
})
.with_handshake()
.hostile()];

const HOSTS: [(&str, &str, &[Case]); 2] = [
    ("ipv4/tcp_syncookies", "2", WITH_COOKIES),
    // Also of servers, and without a cookie.
    ("ipv4/tcp_fastopen", "515", WITH_FAST_OPEN),
];

pub(super) fn cases() -> impl Iterator<Item = &'static Case> {
    HOSTS.iter().flat_map(|(_, _, cases)| *cases)
}

#[test]
fn sockets_get_what_was_measured() -> Result<()> {
    for (variable, value, cases) in HOSTS {
        run::measured_where(&[(variable, value)], &cases.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

#[test]
fn on_every_way() -> Result<()> {
    for way in Way::ALL {
        for (variable, value, cases) in HOSTS {
            let cases: Vec<_> = cases.iter().collect();
            run::guarded_where(&[(variable, value)], way, &cases)?;
        }
    }
    Ok(())
}
