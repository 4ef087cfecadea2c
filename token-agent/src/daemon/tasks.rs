//! What the daemon does besides answering.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use tracing::{error, warn};

use super::clock::ClockGuard;
use crate::{
    agent::{Agent, Degraded},
    api::Shutdown,
    datapath::Denials,
};

/// How often the kernel is told of the clock, and asked what it lost.
const TEND_EVERY: Duration = Duration::from_secs(2);

/// How often dead tokens are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The most denials told of at once. Under a flood the rest is counted and not
/// told: telling must not keep a revocation waiting for the store.
const MOST_AT_ONCE: usize = 1024;

/// How long to wait after the ring buffer could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Keeps the kernel in step with clock and store.
pub(super) async fn tend(agent: Arc<Agent>, mut shutdown: Shutdown) {
    let mut ticks = interval_at(tokio::time::Instant::now() + TEND_EVERY, TEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.wait() => return,
        }
        if let Err(error) = agent.tend().await {
            error!(%error, "upkeep failed");
        }
    }
}

/// Forgets dead tokens.
pub(super) async fn prune(agent: Arc<Agent>, mut shutdown: Shutdown) {
    let mut clock = ClockGuard::new(Timestamp::now(), Instant::now());
    let mut ticks = interval_at(tokio::time::Instant::now() + PRUNE_EVERY, PRUNE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.wait() => return,
        }
        let now = Timestamp::now();
        if !clock.is_plausible(now, Instant::now()) {
            warn!(%now, "the clock was set or is wrong: no dead tokens are forgotten until it has run well for an hour");
            continue;
        }
        match agent.prune(now).await {
            Ok(()) => agent.notes.mend(Degraded::Prune),
            Err(error) => {
                let why = format!("cannot forget dead tokens: {error}");
                error!("{why}");
                agent.notes.degrade(Degraded::Prune, why);
            }
        }
    }
}

/// Tells of what the kernel denies.
pub(super) async fn report(agent: Arc<Agent>, mut denials: Denials, mut shutdown: Shutdown) {
    loop {
        let mut taken = Vec::new();
        let mut passed_over = 0;
        let drained = tokio::select! {
            drained = denials.drain(|denial| {
                if taken.len() < MOST_AT_ONCE {
                    taken.push(denial);
                } else {
                    passed_over += 1;
                }
            }) => drained,
            () = shutdown.wait() => return,
        };
        if let Err(error) = agent.tell(taken).await {
            error!(%error, "cannot tell of denials");
        }
        agent.events.lost_in_agent(passed_over, Timestamp::now());
        match drained {
            Ok(()) => agent.notes.mend(Degraded::Events),
            Err(error) => {
                let why = format!("denials are not reported: {error}");
                if agent.notes.degrade(Degraded::Events, &why) {
                    error!("{why}");
                }
                sleep(RETRY_AFTER).await;
            }
        }
    }
}
