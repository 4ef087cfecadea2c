//! The agent's library: see `ARCHITECTURE.md`.

pub mod config;
pub mod duration;
