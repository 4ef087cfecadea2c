//! The test rig: frames, the guard by itself, hosts with real servers and the agent,
//! and a model of a connection in which a guard of streams is tried out.

pub mod bpf;
pub mod client;
#[cfg(feature = "agent")]
pub mod conversation;
pub mod frame;
pub mod ground;
#[cfg(feature = "agent")]
pub mod guard;
pub mod host;
pub mod line;
pub mod model;
pub mod raw;
pub mod request;
#[cfg(feature = "agent")]
pub mod rows;
pub mod said;
pub mod servers;
