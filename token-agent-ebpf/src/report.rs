//! What became of a packet: counters, and for denials an event.

use aya_log_ebpf::debug;
use token_agent_common::{
    abi::{Denial, ServicePolicy, Settings, counter_index},
    guard::Work,
    reason::Reason,
};

use crate::{
    clock,
    guard::fate,
    maps::{self, About},
};

/// For whom a packet is judged.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) policy: &'a ServicePolicy,
}

impl Case<'_> {
    /// The case of a packet to a service, 0 if it belongs to no one. `None` cannot be.
    #[inline(always)]
    pub(crate) fn of(service: u32) -> Option<Self> {
        Some(Self {
            settings: maps::settings()?,
            policy: maps::service(service)?,
        })
    }

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
    pub(crate) fn count(&self, about: &About, reason: Reason, by: u32) {
        maps::count(
            counter_index(about.service, self.enforces(), reason),
            u64::from(by),
        );
    }

    /// Counts a denial of what `work` holds, reports it unless that is a RST, and says what follows from it.
    ///
    /// A function of its own in the kernel too: many places deny, and the stack is small.
    #[inline(never)]
    pub(crate) fn deny(&self, about: &mut About, work: &Work, reason: Reason) -> u32 {
        let enforced = self.enforces();
        maps::count(counter_index(about.service, enforced, reason), 1);
        explain(about, work, reason);
        // Who resets a connection asks for nothing: as clients do that were denied, each time.
        if !work.segment.resets() {
            let time = self.settings.utc(about.clock.tai());
            maps::report(time, || Denial {
                time,
                method: work.reader.head.method(),
                digest: work.digest,
                flow: work.segment.flow,
                interface: about.interface,
                service: about.service,
                reason: reason as u8,
                enforced: u8::from(enforced),
                reserved: [0; 6],
            });
        }
        if enforced { fate::DROP } else { fate::PASS }
    }
}

/// Says where in the stream a denial came about. For debugging only: the verifier
/// takes it out unless it is asked for at load. No byte of the payload is told.
#[inline(always)]
fn explain(about: &About, work: &Work, reason: Reason) {
    let Work {
        segment,
        connection,
        allowed,
        ..
    } = work;
    debug!(
        work,
        "service {}: reason {} after {} allowed, in {} bytes at sequence {}, flags {:x}; the stream has come to {}",
        about.service,
        reason as u8,
        *allowed,
        segment.len,
        segment.sequence,
        segment.flags,
        connection.next()
    );
}
