//! The server's HTTP, as references: from a stream to the requests an application serves.
//!
//! No two servers agree on what is no proper request; a guard must deny what one of them would serve.

mod chunked;
mod credential;
mod hyper;
mod naive;
mod personality;

pub use hyper::Hyper;
pub use naive::Naive;
pub use personality::{PERSONALITIES, Personality};

/// A request that an application gets to see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServedRequest {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// The credentials that are found in it: what it is judged by may be any of them.
    pub credentials: Vec<Vec<u8>>,
    /// How much of the stream the application needed to begin serving it.
    pub head_end: usize,
    /// Whether all of its body was there.
    pub is_complete: bool,
}

/// An HTTP server.
pub trait Parser {
    /// What it is known as.
    fn name(&self) -> &'static str;

    /// The requests that it serves of a stream so far; `has_ended`: nothing follows.
    fn served(&self, stream: &[u8], has_ended: bool) -> Vec<ServedRequest>;
}

/// All that are fast.
#[must_use]
pub fn parsers() -> Vec<Box<dyn Parser + Send + Sync>> {
    let mut parsers: Vec<Box<dyn Parser + Send + Sync>> = vec![Box::new(Naive)];
    for personality in PERSONALITIES {
        parsers.push(Box::new(personality));
    }
    parsers
}

#[cfg(test)]
mod tests;
