//! The guards that are tried: the real one; to try the simulation with, two that are wrong, and one
//! that is plainly right and of no use.

mod hold;
mod naive;
mod pages;
mod stream;

pub use hold::ReassembleAndHold;
pub use naive::{NaiveSegmentGuard, PassAll};
pub use stream::{Room, StreamGuard};

use super::guard::Guard;

/// Makes a guard.
pub type Make = fn() -> Box<dyn Guard>;

/// Those that must withstand every schedule.
pub const RIGHT: [&str; 2] = ["hold", "stream"];

/// The guards that can be tried out, by name.
pub const GUARDS: [(&str, Make); 4] = [
    ("hold", || Box::new(ReassembleAndHold::default())),
    ("naive", || Box::new(NaiveSegmentGuard)),
    ("pass-all", || Box::new(PassAll)),
    ("stream", || Box::<StreamGuard>::default()),
];
