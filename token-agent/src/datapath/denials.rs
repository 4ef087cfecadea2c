//! The kernel's ring buffer of denials.

use std::{io, time::Duration};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use token_agent_common::abi::{Denial, WAKE_INTERVAL};
use tokio::io::unix::AsyncFd;

use super::error::DatapathError;

/// The denials the kernel reports.
pub struct Denials {
    ring: Option<RingBuf<MapData>>,
    watched: Option<AsyncFd<RingBuf<MapData>>>,
    /// Whether there was something the last time.
    lively: bool,
}

/// The kernel does not wake the agent again so soon after it did: what came
/// meanwhile is found by looking.
const LOOK_AGAIN: Duration = Duration::from_nanos(WAKE_INTERVAL * 5);

impl Denials {
    pub(super) fn new(object: &mut Ebpf) -> Result<Self, DatapathError> {
        const NAME: &str = "DENIALS";
        let map = object
            .take_map(NAME)
            .ok_or(DatapathError::Incomplete { what: NAME })?;
        let ring = RingBuf::try_from(map).map_err(|source| DatapathError::Map {
            operation: "read",
            map: NAME,
            source,
        })?;
        Ok(Self {
            ring: Some(ring),
            watched: None,
            lively: false,
        })
    }

    /// Waits for denials and gives them to `take`, as many as there are. Cancel safe.
    ///
    /// # Errors
    /// Only if the ring buffer cannot be waited for.
    pub async fn drain(&mut self, mut take: impl FnMut(Denial)) -> io::Result<()> {
        if let Some(ring) = self.ring.take() {
            // SAFETY: the ring buffer keeps its file descriptor, and always the same, until it is dropped.
            #[expect(unsafe_code, reason = "tokio cannot know that")]
            let watched = unsafe { AsyncFd::register(ring) };
            self.watched = Some(watched.map_err(|error| error.into_parts().1)?);
        }
        let Some(watched) = &mut self.watched else {
            return Err(io::Error::other("the ring buffer could not be registered"));
        };
        if self.lively {
            tokio::time::sleep(LOOK_AGAIN).await;
        } else {
            watched.readable_mut().await?.clear_ready();
        }
        self.lively = false;
        while let Some(record) = watched.get_mut().next() {
            self.lively = true;
            // Another length would be another layout: the object is built with the agent.
            if let Ok(denial) = bytemuck::try_pod_read_unaligned(&record) {
                take(denial);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Denials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Denials(..)")
    }
}
