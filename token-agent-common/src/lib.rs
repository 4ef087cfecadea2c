//! The pure core of token-agent.
//!
//! It knows no packets, no maps, no files and no clock: bytes, state, policy
//! and time go in, a decision comes out. The kernel programs, the agent's
//! `explain` and the tests all run this very code.
#![no_std]
#![forbid(unsafe_op_in_unsafe_fn)]

pub mod digest;
pub mod reason;
