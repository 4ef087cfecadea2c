//! The agent's library: see `ARCHITECTURE.md`.

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
