//! The trail of events: the latest ones are kept, and whoever follows is told of new ones.
//!
//! Nothing here ever waits for a reader: one that is too slow loses events and is told how many.

mod denial;
mod hub;

pub(crate) use denial::digest;
pub use denial::{Names, verdict};
pub use hub::{Follower, Hub};
