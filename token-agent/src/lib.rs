//! The agent's library: see `ARCHITECTURE.md`.

mod private_file;
pub mod store;
pub mod token;
