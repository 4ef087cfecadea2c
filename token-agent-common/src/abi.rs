//! What kernel and agent share: keys and values of the maps, and events.
//!
//! All of it is plain data without padding (the derive of `Pod` refuses any),
//! and every size is pinned below: a change here is a change of layout.

mod address;
mod flow;
mod listen;
mod policy;
mod report;

pub use address::Address;
pub use flow::{FlowKey, Question, RECENT, Standing};
pub use listen::{ListenKey, Match, Ports};
pub use policy::{AudienceKey, Facing, INTERFACES, Mode, ServicePolicy, Settings};
pub use report::{Denial, Reporting, Usage, WAKE_INTERVAL, counter_index, counters};

use crate::verdict::TokenEntry;

const _: () = {
    assert!(size_of::<TokenEntry>() == 32);
    assert!(size_of::<ListenKey>() == 24);
    assert!(size_of::<Ports>() == 128);
    assert!(size_of::<ServicePolicy>() == 176);
    assert!(size_of::<Settings>() == 64);
    assert!(size_of::<AudienceKey>() == 8);
    assert!(size_of::<FlowKey>() == 40);
    assert!(size_of::<Question>() == 48);
    assert!(size_of::<Denial>() == 88);
    assert!(size_of::<Reporting>() == 16);
};

#[cfg(test)]
mod tests;
