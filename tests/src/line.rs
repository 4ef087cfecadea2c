//! A bad line between two hosts: it loses, doubles, delays and reorders frames, as a seed says.

use std::{
    collections::VecDeque,
    fmt,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    errno::Errno,
    sys::{
        socket::{MsgFlags, recv, send, setsockopt, sockopt},
        time::{TimeVal, TimeValLike as _},
    },
};

use crate::{
    host::{End, Namespace, join, run},
    model::random::Random,
    raw::{ethernet, listen},
};

/// What a line does to frames, each way.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Of ten thousand frames, so many are lost.
    pub lost: usize,
    /// So many come twice.
    pub doubled: usize,
    /// So many are overtaken by up to eight others.
    pub overtaken: usize,
    /// How long each takes.
    pub delay: Duration,
}

/// The line. It ends when dropped.
pub struct Line {
    _between: Namespace,
    is_over: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    forwarders: Vec<JoinHandle<()>>,
}

/// A frame that is held back: until when, and how many others go first.
struct Held {
    due: Instant,
    others: usize,
    frame: Vec<u8>,
}

/// One direction.
struct Way {
    from: Arc<OwnedFd>,
    to: Arc<OwnedFd>,
    weather: Weather,
    random: Random,
    held: VecDeque<Held>,
    lost: Arc<AtomicU64>,
}

/// Longer than any frame on it.
const LONGEST: usize = 1 << 16;

impl Line {
    /// Joins two hosts by it. Their kernels cut what they send themselves, so that every segment is a frame.
    ///
    /// # Errors
    /// If this is not root, or `ip` or `ethtool` fails.
    pub fn join(ends: [End<'_>; 2], weather: Weather, seed: u64) -> Result<Self> {
        let between = Namespace::new()?;
        let mut sockets = Vec::new();
        for (end, near) in ends.into_iter().zip(["one", "other"]) {
            join([end, (&between, near, &[])])?;
            for (host, name) in [(end.0, end.1), (&between, near)] {
                let mut ethtool = host.command("ethtool");
                run(ethtool.args(["-K", name, "tx", "off"]))?;
            }
            let interface = ethernet(&between, near)?;
            let socket = between.within(|| listen(&interface))??;
            // So that what is held back is sent even if nothing comes.
            let soon = TimeVal::milliseconds(1);
            setsockopt(&socket, sockopt::ReceiveTimeout, &soon)?;
            sockets.push(Arc::new(socket));
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicU64::new(0));
        let way = |from: usize, to: usize| Way {
            from: Arc::clone(&sockets[from]),
            to: Arc::clone(&sockets[to]),
            weather,
            random: Random::new(2 * seed + from as u64),
            held: VecDeque::new(),
            lost: Arc::clone(&lost),
        };
        let forwarders = [way(0, 1), way(1, 0)]
            .map(|way| {
                let is_over = Arc::clone(&is_over);
                thread::spawn(move || way.forward(&is_over))
            })
            .into();
        Ok(Self {
            _between: between,
            is_over,
            lost,
            forwarders,
        })
    }

    /// How many frames it has lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Way {
    fn forward(mut self, is_over: &AtomicBool) {
        let mut frame = vec![0; LONGEST];
        while !is_over.load(Ordering::Relaxed) {
            match recv(self.from.as_raw_fd(), &mut frame, MsgFlags::empty()) {
                Ok(length) => self.arrive(&frame[..length]),
                Err(Errno::EAGAIN | Errno::EINTR) => {
                    // Nobody comes to overtake them.
                    for held in &mut self.held {
                        held.others = 0;
                    }
                }
                // The interface is gone, and with it the test.
                Err(_) => return,
            }
            self.release();
        }
    }

    fn arrive(&mut self, frame: &[u8]) {
        let Weather {
            lost,
            doubled,
            overtaken,
            delay,
        } = self.weather;
        let dice = self.random.below(10_000);
        let (others, times) = if dice < lost {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        } else if dice < lost + doubled {
            (0, 2)
        } else if dice < lost + doubled + overtaken {
            (self.random.between(1, 8), 1)
        } else {
            (0, 1)
        };
        for held in &mut self.held {
            held.others = held.others.saturating_sub(1);
        }
        for _ in 0..times {
            self.held.push_back(Held {
                due: Instant::now() + delay,
                others,
                frame: frame.to_vec(),
            });
        }
    }

    fn release(&mut self) {
        let now = Instant::now();
        self.held.retain(|held| {
            let stays = held.others > 0 || held.due > now;
            if !stays {
                // What does not get through is lost on the line.
                let _ = send(self.to.as_raw_fd(), &held.frame, MsgFlags::empty());
            }
            stays
        });
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for forwarder in self.forwarders.drain(..) {
            // If it panicked, that was printed.
            let _ = forwarder.join();
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}
