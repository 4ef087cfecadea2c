//! The programs by themselves, attached to nothing: `BPF_PROG_TEST_RUN`.
//!
//! They need a kernel and root, and nothing else of a host.

mod audiences;
mod bodies;
mod denials;
mod modes;
mod packets;
mod slots;
mod stream;
mod verdicts;
