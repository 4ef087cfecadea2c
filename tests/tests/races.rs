//! Packets that are judged at the same time, on different processors.
//!
//! It takes some luck to win such a race, so each is run over and over; and processors that are free,
//! so this is a program of its own.

use std::{
    hint,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use token_agent_tests::{
    ground::{Ground, Way},
    raw::Segment,
    servers::{Door, Make},
};

/// A race, and how it is run once, with the number of times it was run before.
type Race = (&'static str, fn(&Ground<'_>, u64) -> Result<()>);

const RACES: [Race; 2] = [
    (
        "R1-offered-again: a SYN-ACK is repeated while the connection begins",
        offered_again,
    ),
    (
        "R10-ranges: two senders have the same ranges and other bytes",
        same_ranges,
    ),
];

/// Each is run for so long.
const TRYING: Duration = Duration::from_secs(3);

/// Whoever takes that SYN-ACK for another connection's offer, once he believes that the first one is
/// over, reads from the beginning again what the server takes for the end.
fn offered_again(ground: &Ground<'_>, times: u64) -> Result<()> {
    let mut peer = ground.wire.peer(Make::Nginx.address(Door::Web))?;
    peer.syn().send()?;
    peer.is_offered()?;
    let (syn, ack) = (peer.syn(), peer.ack());
    together(
        || (0..4).try_for_each(|_| syn.send()),
        || {
            // Not always at the same moment.
            let at = Instant::now() + Duration::from_micros(times % 40);
            while Instant::now() < at {}
            ack.send()
        },
    )?;
    let denied = request(&ground.revoked);
    let end_of_token = denied.len() - 4;
    peer.data(0, &denied[..end_of_token]).send()?;
    peer.wait(Duration::from_millis(60), |peer| {
        peer.has_acked(end_of_token)
    })?;
    let place = i32::try_from(end_of_token)?;
    peer.rst(place).bad_checksum().send()?;
    peer.data(0, &request(&ground.good)).send()
}

/// What passed of the one must not be followed by what follows in the other.
fn same_ranges(ground: &Ground<'_>, _: u64) -> Result<()> {
    let mut peer = ground.wire.peer(Make::Nginx.address(Door::Web))?;
    peer.connect()?;
    let segments = |bytes: &[u8], cut: i32| {
        let (begin, end) = bytes.split_at(cut.unsigned_abs() as usize);
        [
            peer.data(0, begin).bad_checksum(),
            peer.data(cut, end),
            peer.data(0, begin),
        ]
    };
    let send =
        |segments: &[Segment]| (0..6).try_for_each(|_| segments.iter().try_for_each(Segment::send));
    let denied = segments(&request(&ground.revoked), 70);
    let decoy = segments(&request(&ground.good), 80);
    together(|| send(&denied), || send(&decoy))?;
    peer.wait(Duration::from_millis(5), |peer| peer.is_answered())
        .map(drop)
}

/// Both at once, as near as two processors come to it.
fn together(
    one: impl FnOnce() -> Result<()> + Send,
    other: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let waiting = AtomicU8::new(2);
    let meet = || {
        waiting.fetch_sub(1, Ordering::SeqCst);
        // Not asleep: waking takes longer than all that is raced for.
        while waiting.load(Ordering::SeqCst) > 0 {
            hint::spin_loop();
        }
    };
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            meet();
            one()
        });
        meet();
        other()?;
        one.join().expect("it does not panic")
    })
}

fn request(token: &str) -> Vec<u8> {
    format!("GET /raced HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

#[test]
fn none_is_won() -> Result<()> {
    let mut won = Vec::new();
    for way in Way::ALL {
        let pair = way.pair()?;
        let ground = Ground::guarded(&pair, way)?;
        let mut before = 0;
        for (what, run) in RACES {
            let until = Instant::now() + TRYING;
            let mut times = 0;
            while Instant::now() < until {
                run(&ground, times)?;
                times += 1;
            }
            let logs = ground.logs()?;
            let served: Vec<_> = logs.all_revoked(Make::Nginx).collect();
            if let Some(first) = served.get(before) {
                let count = served.len() - before;
                won.push(format!(
                    "{what}, on {way}, {count} of {times} times: nginx served {first:?}"
                ));
            }
            before = served.len();
        }
    }
    assert!(won.is_empty(), "{}", won.join("\n"));
    Ok(())
}
