//! Packets that are judged at the same time, on different processors. They need a guard, and some luck:
//! so each is tried over and over, on servers of its own.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use token_agent_tests::{
    ground::{Ground, HOOKS},
    host::Pair,
    raw::Segment,
    servers::Make,
};

use super::{Attack, Front, attempt, find, place};

/// For so long.
const TRYING: Duration = Duration::from_secs(4);

const ALL: &[Attack] = &[
    Attack::new(
        "R1-offered-again",
        "a SYN-ACK that is repeated while the connection begins",
        |front, _| over_and_over(front, offered_again),
    )
    .with_handshake(),
    Attack::new(
        "R10-ranges",
        "two senders with the same ranges and other bytes",
        |front, _| over_and_over(front, same_ranges),
    )
    .with_handshake(),
];

fn over_and_over(front: &Front<'_>, attack: fn(&Front<'_>, u64) -> Result<()>) -> Result<()> {
    // All makes have the kernel's TCP; more senders only get into each other's way.
    if front.make != Make::Nginx {
        return Ok(());
    }
    let until = Instant::now() + TRYING;
    let mut round = 0;
    while Instant::now() < until {
        attack(front, round)?;
        round += 1;
    }
    Ok(())
}

/// Whoever takes that SYN-ACK for another connection's offer, once he believes that the first one is
/// over, reads from the beginning again what the server takes for the end.
fn offered_again(front: &Front<'_>, round: u64) -> Result<()> {
    let mut peer = front.ground.wire.peer(front.server())?;
    peer.syn().send()?;
    peer.is_offered()?;
    let (syn, ack) = (peer.syn(), peer.ack());
    together(
        || (0..4).try_for_each(|_| syn.send()),
        || {
            // Not always at the same moment.
            let at = Instant::now() + Duration::from_micros(round % 40);
            while Instant::now() < at {}
            ack.send()
        },
    )?;
    let denied = front.denied("GET", "");
    let cut = find(&denied, "tka_") + front.ground.revoked.len();
    peer.data(0, &denied[..cut]).send()?;
    peer.wait(Duration::from_millis(60), |peer| peer.has_acked(cut))?;
    peer.rst(place(cut)).bad_checksum().send()?;
    peer.data(0, &front.decoy("GET", "")).send()
}

/// What passed of the one must not be followed by what follows in the other.
fn same_ranges(front: &Front<'_>, _: u64) -> Result<()> {
    let mut peer = front.ground.wire.peer(front.server())?;
    peer.connect()?;
    let segments = |bytes: &[u8], cut: usize| {
        [
            peer.data(0, &bytes[..cut]).bad_checksum(),
            peer.data(place(cut), &bytes[cut..]),
            peer.data(0, &bytes[..cut]),
        ]
    };
    let send =
        |segments: &[Segment]| (0..6).try_for_each(|_| segments.iter().try_for_each(Segment::send));
    let denied = segments(&front.denied("GET", ""), 70);
    let decoy = segments(&front.decoy("GET", ""), 90);
    together(|| send(&denied), || send(&decoy))?;
    peer.wait(Duration::from_millis(5), |peer| peer.is_answered())
        .map(drop)
}

/// Both at once.
fn together(
    one: impl FnOnce() -> Result<()> + Send,
    other: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        other()?;
        one.join().expect("it does not panic")
    })
}

#[test]
fn none_is_won() -> Result<()> {
    let mut won = Vec::new();
    for hook in HOOKS {
        for attack in ALL {
            let pair = Pair::new()?;
            let ground = Ground::guarded(&pair, hook)?;
            let served = attempt(&ground, [attack])?;
            let times = served.len();
            won.extend(
                served
                    .into_iter()
                    .take(1)
                    .map(|(_, served)| format!("on {hook}, {times} times: {served}")),
            );
        }
    }
    assert!(won.is_empty(), "{}", won.join("\n"));
    Ok(())
}
