//! The agent's library: see `ARCHITECTURE.md`.

pub mod duration;
