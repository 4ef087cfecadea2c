//! The test rig: frames, the guard by itself, and hosts with real servers and the agent.

pub mod conversation;
pub mod frame;
pub mod guard;
pub mod host;
pub mod request;
pub mod rows;
pub mod said;
