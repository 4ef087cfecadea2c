//! The fuzz targets. What is to hold for every input, and the reference it is compared
//! with, are those of the core's own tests.

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
