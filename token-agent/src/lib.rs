//! The agent's library: one binary that is both the daemon and its command line.
//!
//! # The daemon
//!
//! `token-agent run` ([`daemon`]) opens the [`store`], loads the [`datapath`],
//! has the [`reconcile`]r fill the kernel's maps, and only then attaches the
//! guard. What was opened lives in one engine behind one lock ([`agent`]); all
//! that touches it blocks and runs on tokio's blocking threads, so changes
//! happen one after the other: durable in the store, then in the kernel, then
//! answered. These tasks run until a signal ends them:
//!
//! | task | waits for | does |
//! |---|---|---|
//! | control | connections on the unix socket | answers `/v1/...` ([`api`]), one task for each connection |
//! | metrics | connections on the TCP port | reads the counters and answers `/metrics` ([`metrics`]) |
//! | report | the kernel's ring buffer of denials | names and publishes them as events ([`events`]) |
//! | tend | two seconds | lets the kernel follow the clock, and the store where a change failed to reach it; looks whether the guard is still on the interfaces; counts denials lost in the kernel |
//! | prune | an hour | forgets tokens that are long dead |
//!
//! # Channels
//!
//! - Events: a broadcast channel and a bounded list of the latest ones. Nobody
//!   waits for a reader; one that is too slow is told how many it lost.
//! - Shutdown: a watch channel. Followers of events end, connections finish
//!   what they are at and are given a few seconds. The guard stays attached.
//!
//! # The command line
//!
//! [`cli`] is a [`client`] of the control socket and nothing else, but for the
//! few commands that work without a daemon. What goes over the socket is in
//! [`wire`], once for both ends.

pub mod agent;
pub mod api;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod datapath;
pub mod duration;
pub mod events;
pub mod metrics;
mod private_file;
pub mod reconcile;
pub mod store;
pub mod token;
pub mod wire;
