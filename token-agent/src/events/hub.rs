//! Spreads events.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::wire::{Event, EventKind};

/// How many events are kept, and how many a follower may fall behind.
const CAPACITY: usize = 4096;

/// Where events come together.
#[derive(Debug)]
pub struct Hub {
    recent: Mutex<VecDeque<Arc<Event>>>,
    followers: broadcast::Sender<Arc<Event>>,
    lost: Lost,
}

/// How many events were lost, by where.
#[derive(Debug, Default)]
struct Lost {
    kernel: AtomicU64,
    agent: AtomicU64,
    follower: Arc<AtomicU64>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Hub {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            recent: Mutex::new(VecDeque::with_capacity(capacity)),
            followers: broadcast::Sender::new(capacity),
            lost: Lost::default(),
        }
    }

    /// Keeps `event` and tells the followers.
    pub fn publish(&self, event: Event) {
        let event = Arc::new(event);
        let mut recent = self.lock();
        if recent.len() == recent.capacity() {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(&event));
        // Nobody follows: that is fine.
        let _ = self.followers.send(event);
    }

    /// Notes that the kernel could not report `count` denials.
    pub fn lost_in_kernel(&self, count: u64, now: Timestamp) {
        self.lost_in("kernel", &self.lost.kernel, count, now);
    }

    /// Notes that the agent passed over `count` denials.
    pub fn lost_in_agent(&self, count: u64, now: Timestamp) {
        self.lost_in("agent", &self.lost.agent, count, now);
    }

    /// The events that are kept, the oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<Event>> {
        self.lock().iter().cloned().collect()
    }

    /// Tells of the events from now on.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower {
            events: self.followers.subscribe(),
            lost: Arc::clone(&self.lost.follower),
        }
    }

    /// How many events were lost so far, by where.
    #[must_use]
    pub fn lost(&self) -> [(&'static str, u64); 3] {
        [
            ("agent", self.lost.agent.load(Ordering::Relaxed)),
            ("follower", self.lost.follower.load(Ordering::Relaxed)),
            ("kernel", self.lost.kernel.load(Ordering::Relaxed)),
        ]
    }

    fn lost_in(&self, place: &'static str, total: &AtomicU64, count: u64, now: Timestamp) {
        if count > 0 {
            total.fetch_add(count, Ordering::Relaxed);
            self.publish(Event::lost(place, count, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        // A panic elsewhere leaves a queue that is whole.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Someone who is told of events as they come.
#[derive(Debug)]
pub struct Follower {
    events: broadcast::Receiver<Arc<Event>>,
    lost: Arc<AtomicU64>,
}

impl Follower {
    /// The next event; `None` when there will be none. Where this follower was
    /// too slow, the next one is of the kind [`EventKind::Lost`]. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        match self.events.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(count)) => {
                self.lost.fetch_add(count, Ordering::Relaxed);
                let event = Event::lost("follower", count, Timestamp::now());
                debug_assert_eq!(event.kind, EventKind::Lost);
                Some(Arc::new(event))
            }
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(count: u64) -> Event {
        Event {
            count,
            ..Event::new(EventKind::Verdict, Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn the_latest_are_kept() {
        let hub = Hub::with_capacity(4);
        let capacity = hub.lock().capacity() as u64;
        for number in 0..capacity + 3 {
            hub.publish(event(number));
        }
        let kept: Vec<_> = hub.recent().iter().map(|event| event.count).collect();
        assert_eq!(kept, (3..capacity + 3).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_how_many_it_lost() {
        let hub = Hub::with_capacity(4);
        let mut follower = hub.follow();
        for number in 0..10 {
            hub.publish(event(number));
        }
        let first = follower.next().await.unwrap();
        assert_eq!(first.kind, EventKind::Lost);
        assert_eq!(first.place.as_deref(), Some("follower"));
        assert_eq!(follower.next().await.unwrap().count, first.count);
        assert_eq!(hub.lost()[1], ("follower", first.count));
        drop(hub);
        let mut left = 0;
        while follower.next().await.is_some() {
            left += 1;
        }
        assert_eq!(first.count + 1 + left, 10);
    }

    #[tokio::test]
    async fn what_the_kernel_lost_is_told_and_counted() {
        let hub = Hub::default();
        let mut follower = hub.follow();
        hub.lost_in_kernel(0, Timestamp::UNIX_EPOCH);
        hub.lost_in_kernel(5, Timestamp::UNIX_EPOCH);
        let told = follower.next().await.unwrap();
        assert_eq!((told.kind, told.count), (EventKind::Lost, 5));
        assert_eq!(told.place.as_deref(), Some("kernel"));
        assert_eq!(hub.recent().len(), 1);
        assert_eq!(hub.lost()[2], ("kernel", 5));
    }
}
