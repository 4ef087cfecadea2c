//! What to change so that the kernel holds what is wanted.

use std::collections::BTreeMap;

use token_agent_common::{digest::Digest, verdict::TokenEntry};

/// Changes to the kernel's map of tokens.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Plan {
    pub(super) removals: Vec<Digest>,
    pub(super) puts: BTreeMap<Digest, TokenEntry>,
}

impl Plan {
    /// From `actual` to `wanted`.
    pub(super) fn between(
        wanted: &BTreeMap<Digest, TokenEntry>,
        actual: &BTreeMap<Digest, TokenEntry>,
    ) -> Self {
        Self {
            removals: actual
                .keys()
                .filter(|digest| !wanted.contains_key(digest))
                .copied()
                .collect(),
            puts: wanted
                .iter()
                .filter(|(digest, entry)| actual.get(digest) != Some(entry))
                .map(|(digest, entry)| (*digest, *entry))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use token_agent_common::verdict::{Audience, TokenState};

    use super::*;

    fn entries() -> impl Strategy<Value = BTreeMap<Digest, TokenEntry>> {
        prop::collection::btree_map(0u8..20, (0u64..3, any::<bool>()), 0..15).prop_map(|map| {
            map.into_iter()
                .map(|(digest, (expires_at, revoked))| {
                    let state = if revoked {
                        TokenState::Revoked
                    } else {
                        TokenState::Active
                    };
                    let entry = TokenEntry::new(0, expires_at, Audience::EVERY, state);
                    (Digest::from_bytes([digest; 16]), entry)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn carried_out_it_gives_what_is_wanted_and_no_more_is_done(
            wanted in entries(),
            actual in entries(),
        ) {
            let plan = Plan::between(&wanted, &actual);
            let mut result = actual.clone();
            for digest in &plan.removals {
                prop_assert!(result.remove(digest).is_some());
            }
            for (digest, entry) in &plan.puts {
                prop_assert_ne!(result.insert(*digest, *entry), Some(*entry));
            }
            prop_assert_eq!(&result, &wanted);
            prop_assert_eq!(Plan::between(&wanted, &result), Plan::default());
        }
    }
}
