//! A model of one client's way to a server: a sender, a network, the guard under
//! test, the server's TCP, and its HTTP parser.
//!
//! A [`segment`] goes through a [`guard`] to a receiver; what that says goes through the
//! guard's witness to the sender. Everything happens in simulated time, and a seed
//! alone reproduces it.

pub mod attack;
pub mod cases;
pub mod check;
pub mod guard;
pub mod guards;
pub mod honest;
pub mod input;
pub mod parsers;
pub mod plan;
pub mod random;
pub mod receiver;
pub mod schedule;
pub mod segment;
pub mod world;
