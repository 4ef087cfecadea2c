//! What became of a packet: counters, and for denials an event.

use aya_log_ebpf::debug;
use token_agent_common::{
    abi::{Denial, ServicePolicy, Settings, counter_index},
    reason::Reason,
};

use crate::{
    clock,
    guard::Action,
    maps::{self, Scratch},
};

/// For whom a packet is judged.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) policy: &'a ServicePolicy,
}

impl Case<'_> {
    /// Whether verdicts are carried out.
    #[inline(always)]
    pub(crate) fn enforces(&self) -> bool {
        let now = if self.policy.is_overridden() {
            self.settings.utc(clock::tai())
        } else {
            0
        };
        self.policy.enforces(now)
    }

    #[inline(always)]
    pub(crate) fn count(&self, scratch: &Scratch, reason: Reason, by: u32) {
        maps::count(
            counter_index(scratch.service, self.enforces(), reason),
            u64::from(by),
        );
    }

    /// Counts and reports a denial of what `scratch` holds, and says what follows from it.
    ///
    /// A function of its own in the kernel too: many places deny, and the stack is small.
    #[inline(never)]
    pub(crate) fn deny(&self, scratch: &mut Scratch, reason: Reason) -> Action {
        let enforced = self.enforces();
        scratch.denied = reason as u32;
        maps::count(counter_index(scratch.service, enforced, reason), 1);
        explain(scratch, reason);
        let time = self.settings.utc(scratch.clock.tai());
        maps::report(time, || Denial {
            time,
            method: scratch.reader.head.method(),
            digest: scratch.digest,
            flow: scratch.segment.flow,
            interface: scratch.interface,
            service: scratch.service,
            reason: reason as u8,
            enforced: u8::from(enforced),
            reserved: [0; 6],
        });
        if enforced { Action::Drop } else { Action::Pass }
    }
}

/// Says where in the stream a denial came about. For debugging only: the verifier
/// takes it out unless it is asked for at load. No byte of the payload is told.
#[inline(never)]
fn explain(scratch: &Scratch, reason: Reason) {
    let Scratch {
        segment,
        known,
        service,
        allowed,
        ..
    } = scratch;
    debug!(
        scratch,
        "service {}: reason {} after {} allowed, in {} bytes at sequence {}, flags {:x}, in a known connection: {}",
        *service,
        reason as u8,
        *allowed,
        segment.len,
        segment.sequence,
        segment.flags,
        u8::from(!known.is_none())
    );
}
