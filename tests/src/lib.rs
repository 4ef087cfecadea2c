//! The test rig: frames, network namespaces, real servers and the agent itself.

pub mod frame;
pub mod guard;
