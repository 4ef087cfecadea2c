//! Bad lines: segments are lost, doubled and overtaken, and what is sent again comes in other cuts.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Honest, SOON, Scene, statuses};

pub(super) const ALL: &[Honest] = &[
    Honest {
        id: "weather-1",
        what: "requests with bodies of known length, over a bad line",
        run: |scene| {
            let body = scene.bait().repeat(20);
            let length = format!("Content-Length: {}\r\n", body.len());
            let post = scene.request("POST", "upload/weather", &length) + &body;
            let stream = [post.clone(), scene.request("GET", "weather", ""), post].concat();
            send(scene, &stream, 3, 1)
        },
    },
    Honest {
        id: "weather-2",
        what: "nothing but heads, over a bad line",
        run: |scene| {
            let filler = format!("X: {}\r\n", "p".repeat(700));
            let stream = scene.request("GET", "weather", &filler).repeat(8);
            send(scene, &stream, 8, 2)
        },
    },
    Honest {
        id: "weather-3",
        what: "chunks, over a bad line",
        run: |scene| {
            let chunk = scene.bait();
            let mut post =
                scene.request("POST", "upload/weather", "Transfer-Encoding: chunked\r\n");
            for _ in 0..30 {
                post += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
            }
            post += "0\r\n\r\n";
            send(scene, &(post + &scene.request("GET", "weather", "")), 2, 3)
        },
    },
];

/// Sends a stream with that many requests.
fn send(scene: &Scene<'_>, stream: &str, answers: usize, seed: u64) -> Result<Vec<u16>> {
    /// At most so much is under way.
    const WINDOW: usize = 6_000;
    let mut peer = scene.peer()?;
    peer.connect()?;
    let bytes = stream.as_bytes();
    let mut dice = Dice(seed);
    let started = Instant::now();
    loop {
        let acked = usize::try_from(peer.acked()?)?;
        if acked >= bytes.len() {
            return statuses(&mut peer, answers);
        }
        if started.elapsed() > 4 * SOON {
            bail!("only {acked} of {} bytes were received", bytes.len());
        }
        // From what is not acknowledged, in cuts that are never the same.
        let mut segments = Vec::new();
        let mut at = acked;
        while at < bytes.len().min(acked + WINDOW) {
            let end = bytes.len().min(at + 200 + dice.below(1_200));
            segments.push((at, end));
            at = end;
        }
        for _ in 0..segments.len() / 4 {
            let (one, other) = (dice.below(segments.len()), dice.below(segments.len()));
            segments.swap(one, other);
        }
        for (start, end) in segments {
            // One in ten is lost, one in ten comes twice.
            for _ in 0..[0, 1, 1, 1, 1, 1, 1, 1, 1, 2][dice.below(10)] {
                peer.data(i32::try_from(start)?, &bytes[start..end])
                    .send()?;
            }
        }
        peer.pause(Duration::from_millis(60))?;
    }
}

/// Numbers that seem random (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit
    }
}
