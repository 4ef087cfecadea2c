//! From what the store wants enforced to what the kernel holds.
//!
//! The planner is pure: wanted and actual entries go in, a [`Plan`] comes out.
//! The executor carries it to the kernel and stops at nothing it can still do.

mod audience;
mod plan;

use std::collections::BTreeMap;

use token_agent_common::{
    digest::Digest,
    reason::Reason,
    verdict::{TokenEntry, TokenState},
};

use self::{audience::Audiences, plan::Plan};
use crate::{
    config::Service,
    datapath::{Datapath, DatapathError, MAX_AUDIENCES},
    store::{Change, Enforced},
};

/// Keeps the kernel's maps equal to the store.
#[derive(Debug)]
pub struct Reconciler {
    audiences: Audiences,
}

/// What a reconciliation changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Entries added or changed.
    pub put: usize,
    /// Entries removed.
    pub removed: usize,
}

impl Reconciler {
    /// A reconciler for these services, in the order of the configuration.
    #[must_use]
    pub fn new(services: &[Service]) -> Self {
        Self {
            audiences: Audiences::new(services.iter().map(|service| service.name.as_str())),
        }
    }

    /// Makes the kernel hold exactly `wanted`.
    ///
    /// # Errors
    /// The first of the kernel's; what could be done was done.
    pub fn reconcile(
        &mut self,
        kernel: &mut Datapath,
        wanted: &[Enforced],
    ) -> Result<Outcome, DatapathError> {
        let actual = kernel.tokens()?;
        let wanted = wanted
            .iter()
            .map(|enforced| (enforced.digest, self.entry(enforced)))
            .collect();
        self.execute(kernel, Plan::between(&wanted, &actual))
    }

    /// Carries one change over. When this returns, the next packet is judged by it.
    ///
    /// # Errors
    /// The first of the kernel's; what could be done was done.
    pub fn apply(
        &mut self,
        kernel: &mut Datapath,
        change: &Change,
    ) -> Result<Outcome, DatapathError> {
        let puts: BTreeMap<Digest, TokenEntry> = change
            .upserts
            .iter()
            .map(|enforced| (enforced.digest, self.entry(enforced)))
            .collect();
        self.execute(
            kernel,
            Plan {
                removals: change.removals.clone(),
                puts,
            },
        )
    }

    /// Whether the kernel has room for the audience of a token for these services.
    #[must_use]
    pub fn has_room_for(&self, services: &[String]) -> bool {
        services.is_empty()
            || self
                .audiences
                .has_room_for(services, MAX_AUDIENCES as usize)
    }

    /// The verdict on `wanted`'s token at `service`, at `now` in nanoseconds
    /// since the Unix epoch: the kernel's own code on the entry it would hold.
    #[must_use]
    pub fn judge(&self, wanted: &Enforced, service: &str, now: u64) -> Reason {
        let mut audiences = self.audiences.clone();
        let audience = audiences.intern(&wanted.services);
        entry(wanted, audience).judge(now, audiences.contains(audience, service))
    }

    fn entry(&mut self, wanted: &Enforced) -> TokenEntry {
        entry(wanted, self.audiences.intern(&wanted.services))
    }

    fn execute(&mut self, kernel: &mut Datapath, plan: Plan) -> Result<Outcome, DatapathError> {
        let mut outcome = Outcome::default();
        let mut first_error = Ok(());
        // An audience is known before a token refers to it. One that is not keeps its tokens
        // out, and must not keep what else there is to do.
        while let Some((audience, service)) = self.audiences.unannounced() {
            if let Err(error) = kernel.put_audience(audience, service) {
                first_error = Err(error);
                break;
            }
            self.audiences.announced();
        }
        // Removals make room.
        for digest in &plan.removals {
            match kernel.remove_token(digest) {
                Ok(()) => outcome.removed += 1,
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        for (digest, entry) in &plan.puts {
            match kernel.put_token(digest, entry) {
                Ok(()) => outcome.put += 1,
                Err(error) => first_error = first_error.and(Err(error)),
            }
        }
        first_error.map(|()| outcome)
    }
}

fn entry(wanted: &Enforced, audience: token_agent_common::verdict::Audience) -> TokenEntry {
    let state = if wanted.revoked {
        TokenState::Revoked
    } else {
        TokenState::Active
    };
    TokenEntry::new(
        nanoseconds(wanted.not_before),
        nanoseconds(wanted.expires_at),
        audience,
        state,
    )
}

fn nanoseconds(time: jiff::Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(if time.as_nanosecond() < 0 {
        0
    } else {
        u64::MAX
    })
}
