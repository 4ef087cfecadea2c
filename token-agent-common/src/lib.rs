//! The pure core of token-agent.
//!
//! It knows no hooks, no maps, no files and no clock: bytes, state, policy and
//! time go in, a decision comes out. The kernel programs, the agent's `explain`
//! and the tests all run this very code.
//!
//! A request's way through it: [`packet`] finds the TCP payload, [`stream`] the
//! requests in it, [`http1`] reads a head, [`digest`] hashes its credential,
//! [`verdict`] decides; the outcome is a [`reason`]. [`abi`] is what the kernel
//! and the agent pass to each other.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod abi;
pub mod digest;
pub mod guard;
pub mod http1;
pub mod name;
pub mod opaque;
pub mod packet;
pub mod reason;
pub mod stream;
mod swar;
pub mod verdict;
pub mod window;
mod words;
