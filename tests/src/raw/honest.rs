//! Sending as a client's kernel does.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Peer;

/// So many segments are under way at most.
const IN_FLIGHT: usize = 10;
/// How long it waits for acknowledgments before it sends again.
const TIMEOUT: Duration = Duration::from_millis(200);

impl Peer {
    /// Sends `bytes` next, cut every so many of them, and again what is not acknowledged.
    /// Gives up when for so long nothing new was; true if all of it was acknowledged.
    ///
    /// # Errors
    /// If the interface takes no frame.
    ///
    /// # Panics
    /// If the stream gets longer than a place can say.
    pub fn deliver(&mut self, bytes: &[u8], cut: usize, most: Duration) -> Result<bool> {
        let begin = self.delivered;
        let length = u32::try_from(bytes.len()).expect("a short stream");
        self.delivered += length;
        let starts: Vec<usize> = (0..bytes.len()).step_by(cut).collect();
        let mut acked = usize::try_from(self.acked()?.saturating_sub(begin))?;
        let mut sent = acked / cut;
        let mut progress = Instant::now();
        let mut last_sent = Instant::now();
        while acked < bytes.len() && progress.elapsed() < most && self.end().is_none() {
            let first = starts.partition_point(|start| start + cut <= acked);
            let send = |at: usize| {
                let place = i32::try_from(usize::try_from(begin)? + at)?;
                self.data(place, &bytes[at..bytes.len().min(at + cut)])
                    .send()
            };
            while sent < starts.len() && sent < first + IN_FLIGHT {
                send(starts[sent])?;
                sent += 1;
                last_sent = Instant::now();
            }
            if last_sent.elapsed() >= TIMEOUT {
                send(starts[first])?;
                last_sent = Instant::now();
            }
            let wanted = begin + u32::try_from(acked)?;
            let left = TIMEOUT.saturating_sub(last_sent.elapsed());
            self.wait(left, |peer| {
                peer.acked_so_far() > wanted || peer.end().is_some()
            })?;
            let now = usize::try_from(self.acked_so_far().saturating_sub(begin))?;
            if now > acked {
                acked = now;
                progress = Instant::now();
            }
        }
        Ok(acked >= bytes.len())
    }
}
