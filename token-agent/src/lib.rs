//! The agent's library: see `ARCHITECTURE.md`.
