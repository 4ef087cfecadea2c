//! The fuzz targets. What is to hold for every input, and the references it is compared
//! with, are those of the core's own tests, and of the simulation.

use std::cell::RefCell;

use token_agent_tests::model::input::Trial;

#[path = "../../token-agent-common/tests/framing/core.rs"]
mod core;
#[path = "../../token-agent-common/tests/framing/input.rs"]
mod input;
#[path = "../../token-agent-common/tests/framing/reference.rs"]
mod reference;
#[path = "../../token-agent-common/tests/framing/told.rs"]
mod told;

/// A connection from its start: heads, bodies, pipelined requests.
pub fn head(input: &[u8]) {
    input::check(input::Target::Head, input);
}

/// A chunked body, its trailers, and what follows.
pub fn chunked(input: &[u8]) {
    input::check(input::Target::Chunked, input);
}

/// The header of the PROXY protocol, and what follows.
pub fn proxy(input: &[u8]) {
    input::check(input::Target::Proxy, input);
}

/// A connection's segments, in whatever order and versions, on their way to a server that makes of
/// what passes whatever can be made of it.
pub fn stream(input: &[u8]) {
    thread_local! {
        static TRIAL: RefCell<Trial> = RefCell::default();
    }
    if let Err(violation) = TRIAL.with_borrow_mut(|trial| trial.check(input)) {
        panic!("{violation}");
    }
}
