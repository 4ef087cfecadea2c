//! SYNs of clients that are not there.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use anyhow::{Result, ensure};
use token_agent_tests::ground::set;

use crate::field::{Field, each_hook, source};

/// Few, so that their number is soon exceeded.
const SMALL: &str = "max_flows = 1024";

const COUNT: u16 = 20_000;

fn flood(field: &Field<'_>, range: std::ops::Range<u16>) -> Result<()> {
    for number in range {
        let peer = field.wire.peer_at(source(number), field.server());
        peer.syn().send()?;
    }
    Ok(())
}

/// The first `COUNT` addresses send a SYN each. Meanwhile those are served who were there before, and `more` happens.
fn try_flood(
    field: &mut Field<'_>,
    cookies: &str,
    more: impl Fn(&mut Field<'_>) -> Result<()>,
) -> Result<()> {
    const STEP: usize = 2_000;
    set(field.pair, "ipv4/tcp_syncookies", cookies)?;
    let flows = field.used("flows")?;
    for start in (0..COUNT).step_by(STEP) {
        flood(field, start..COUNT.min(start + STEP as u16))?;
        field.assert_served()?;
        more(field)?;
    }
    field.wait_for_used("flows", flows)?;
    ensure!(field.used("unacked_buffers")? <= flows);
    // Nothing of it is anything: there is no connection that it could be of.
    let counted = field.reasons()?;
    let expected = [("allowed".to_owned(), field.answered)].into();
    ensure!(counted == expected, "{counted:?}");
    Ok(())
}

#[test]
fn of_servers_with_cookies() -> Result<()> {
    each_hook(SMALL, "", |field| {
        try_flood(field, "1", |field| field.assert_open())
    })
}

/// What is open stays open; who comes now, the server itself does not answer.
#[test]
fn of_servers_without_cookies() -> Result<()> {
    each_hook(SMALL, "", |field| try_flood(field, "0", |_| Ok(())))
}

/// While others knock without pause, clients connect.
#[test]
fn all_the_while() -> Result<()> {
    each_hook("", "", |field| {
        set(field.pair, "ipv4/tcp_syncookies", "2")?;
        let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let (wire, server) = (&field.wire, field.server());
        let mut answered = 0;
        let result: Result<()> = thread::scope(|scope| {
            scope.spawn(|| {
                for number in (0..u16::MAX).cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let peer = wire.peer_at(source(number), server);
                    // A queue may be full at that moment.
                    sent.fetch_add(u64::from(peer.syn().send().is_ok()), Ordering::Relaxed);
                }
            });
            let mut connect = || -> Result<()> {
                while answered < 200 || sent.load(Ordering::Relaxed) < u64::from(COUNT) {
                    let mut client = field.connect()?;
                    client.send(field.request().as_bytes())?;
                    let status = client.answer(token_agent_tests::host::PATIENCE)?;
                    ensure!(status == 200, "{status}");
                    answered += 1;
                }
                Ok(())
            };
            let result = connect();
            is_over.store(true, Ordering::Relaxed);
            result
        });
        result?;
        field.answered += answered;
        field.assert_served()
    })
}
