//! The agent's library: see `ARCHITECTURE.md`.

pub mod config;
pub mod datapath;
pub mod duration;
mod private_file;
pub mod reconcile;
pub mod store;
pub mod token;
