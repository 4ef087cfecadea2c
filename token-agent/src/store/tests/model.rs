//! Random sequences of operations, compared with the plainest possible store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Small, so that it is often reached.
const CAPACITY: u32 = 8;

#[derive(Clone, Debug)]
enum Operation {
    Insert {
        id: u8,
        secret: u8,
        services: Vec<u8>,
        start: i64,
        length: i64,
    },
    Pass(i64),
    Prune {
        retain: u64,
    },
    Reopen,
    Revoke(Vec<u8>),
    RevokeAll,
    RevokeSecrets {
        secrets: Vec<u8>,
        keep: i64,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let services = proptest::collection::vec(0..3_u8, 0..4);
    let several = || proptest::collection::vec(0..12_u8, 0..4);
    prop_oneof![
        8 => (0..12_u8, 0..16_u8, services, 0..40_i64, 1..100_i64).prop_map(
            |(id, secret, services, start, length)| Operation::Insert {
                id,
                secret,
                services,
                start,
                length,
            }
        ),
        3 => (0..60_i64).prop_map(Operation::Pass),
        2 => (0..60_u64).prop_map(|retain| Operation::Prune { retain }),
        1 => Just(Operation::Reopen),
        4 => several().prop_map(Operation::Revoke),
        1 => Just(Operation::RevokeAll),
        3 => (several(), 0..80_i64)
            .prop_map(|(secrets, keep)| Operation::RevokeSecrets { secrets, keep }),
    ]
}

/// Why an operation changed nothing.
#[derive(Debug, Eq, PartialEq)]
enum Refusal {
    DuplicateDigest,
    DuplicateId,
    Full,
    KeepUntil,
    Unknown(BTreeSet<TokenId>),
}

/// What an operation did, as far as it can be told from outside.
#[derive(Debug, Default, Eq, PartialEq)]
struct Effect {
    revoked: BTreeSet<TokenId>,
    already: BTreeSet<TokenId>,
    foreign: usize,
}

#[derive(Clone, Default)]
struct Model {
    tokens: BTreeMap<TokenId, Token>,
    /// By digest: when revoked, until when kept.
    foreign: BTreeMap<Digest, (Timestamp, Timestamp)>,
    revision: u64,
}

impl Model {
    fn insert(&mut self, new: &NewToken) -> Result<Effect, Refusal> {
        let known = self.tokens.values().any(|token| token.digest == new.digest);
        if known || self.foreign.contains_key(&new.digest) {
            return Err(Refusal::DuplicateDigest);
        }
        if self.tokens.contains_key(&new.id) {
            return Err(Refusal::DuplicateId);
        }
        if self.entries() >= CAPACITY as usize {
            return Err(Refusal::Full);
        }
        self.revision += 1;
        let mut services = Vec::new();
        for name in &new.services {
            if !services.contains(name) {
                services.push(name.clone());
            }
        }
        let token = Token {
            id: new.id,
            family: new.family,
            digest: new.digest,
            owner: new.owner.clone(),
            purpose: new.purpose.clone(),
            services,
            issued_at: new.issued_at,
            not_before: new.lifetime.not_before(),
            expires_at: new.lifetime.expires_at(),
            issued_revision: Revision(self.revision),
            revoked_at: None,
            revoke_reason: None,
        };
        self.tokens.insert(new.id, token);
        Ok(Effect::default())
    }

    fn revoke(&mut self, ids: &[TokenId], now: Timestamp) -> Result<Effect, Refusal> {
        let known = |id: &&TokenId| self.tokens.contains_key(id);
        let unknown: BTreeSet<_> = ids.iter().filter(|id| !known(id)).copied().collect();
        if !unknown.is_empty() {
            return Err(Refusal::Unknown(unknown));
        }
        let mut effect = Effect::default();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            let token = self.tokens.get_mut(id).unwrap();
            if token.revoked_at.is_some() {
                effect.already.insert(*id);
            } else {
                token.revoked_at = Some(now);
                effect.revoked.insert(*id);
            }
        }
        self.revision += u64::from(!effect.revoked.is_empty());
        Ok(effect)
    }

    fn revoke_secrets(
        &mut self,
        secrets: &[Digest],
        now: Timestamp,
        keep_until: Timestamp,
    ) -> Result<Effect, Refusal> {
        if keep_until <= now {
            return Err(Refusal::KeepUntil);
        }
        let secrets: BTreeSet<_> = secrets.iter().copied().collect();
        let mut after = self.clone();
        let own: Vec<_> = self
            .tokens
            .values()
            .filter(|token| secrets.contains(&token.digest))
            .map(|token| token.id)
            .collect();
        let mut effect = after.revoke(&own, now)?;
        let mut changed = !effect.revoked.is_empty();
        for secret in secrets {
            if self.tokens.values().any(|token| token.digest == secret) {
                continue;
            }
            match after.foreign.get_mut(&secret) {
                Some((_, held)) if *held < keep_until => {
                    *held = keep_until;
                    changed = true;
                }
                Some(_) => {}
                None => {
                    after.foreign.insert(secret, (now, keep_until));
                    effect.foreign += 1;
                    changed = true;
                }
            }
        }
        if effect.foreign > 0 && after.entries() > CAPACITY as usize {
            return Err(Refusal::Full);
        }
        after.revision = self.revision + u64::from(changed);
        *self = after;
        Ok(effect)
    }

    fn revoke_all(&mut self, now: Timestamp) -> Effect {
        let alive: Vec<_> = self
            .tokens
            .values()
            .filter(|token| matches!(token.state(now), TokenState::Active | TokenState::Pending))
            .map(|token| token.id)
            .collect();
        self.revoke(&alive, now).unwrap()
    }

    fn prune(&mut self, now: Timestamp, retain: Duration) -> Effect {
        let before = self.entries();
        self.tokens.retain(|_, token| {
            let ends = [Some(token.expires_at), token.revoked_at];
            let died = ends.into_iter().flatten().min().unwrap();
            died + retain >= now
        });
        self.foreign.retain(|_, (_, keep_until)| *keep_until > now);
        self.revision += u64::from(self.entries() < before);
        Effect::default()
    }

    fn entries(&self) -> usize {
        self.tokens.len() + self.foreign.len()
    }

    fn enforced(&self) -> BTreeMap<Digest, Enforced> {
        let tokens = self.tokens.values().map(|token| Enforced {
            digest: token.digest,
            not_before: token.not_before,
            expires_at: token.expires_at,
            revoked: token.revoked_at.is_some(),
            services: token.services.clone(),
        });
        let foreign = self.foreign.iter().map(|(digest, held)| Enforced {
            digest: *digest,
            not_before: held.0,
            expires_at: held.1,
            revoked: true,
            services: Vec::new(),
        });
        let entries = tokens.chain(foreign);
        entries.map(|entry| (entry.digest, entry)).collect()
    }

    fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts::default();
        for token in self.tokens.values() {
            *match token.state(now) {
                TokenState::Active => &mut counts.active,
                TokenState::Expired => &mut counts.expired,
                TokenState::Pending => &mut counts.pending,
                TokenState::Revoked => &mut counts.revoked,
            } += 1;
        }
        counts
    }
}

/// The store, the model, and a follower that only hears of changes, as the kernel's side does.
struct World {
    directory: TempDir,
    store: Option<Store>,
    model: Model,
    followed: BTreeMap<Digest, Enforced>,
    now: i64,
}

impl World {
    fn new() -> Self {
        let directory = directory();
        Self {
            store: Some(open(&directory)),
            directory,
            model: Model::default(),
            followed: BTreeMap::new(),
            now: 0,
        }
    }

    fn apply(&mut self, operation: &Operation) {
        let now = at(self.now);
        let before = self.store().revision().unwrap();
        let (got, expected) = match operation {
            Operation::Insert {
                id,
                secret,
                services,
                start,
                length,
            } => {
                let start = self.now + start;
                let new = NewToken {
                    digest: digest(*secret),
                    services: services.iter().map(|name| format!("s{name}")).collect(),
                    issued_at: now,
                    lifetime: Lifetime::between(at(start), at(start + length)).unwrap(),
                    ..new_token(*id)
                };
                let got = self.store().insert(&new, CAPACITY).map(unrevoked);
                (got, self.model.insert(&new))
            }
            Operation::Revoke(numbers) => {
                let ids: Vec<_> = numbers.iter().copied().map(id).collect();
                let got = self.store().revoke(&ids, None, now);
                (got, self.model.revoke(&ids, now))
            }
            Operation::RevokeSecrets { secrets, keep } => {
                let secrets: Vec<_> = secrets.iter().copied().map(digest).collect();
                let until = at(self.now + keep);
                let got = self
                    .store()
                    .revoke_digests(&secrets, None, now, until, CAPACITY);
                (got, self.model.revoke_secrets(&secrets, now, until))
            }
            Operation::RevokeAll => {
                let got = self.store().revoke_all(None, now);
                (got, Ok(self.model.revoke_all(now)))
            }
            Operation::Prune { retain } => {
                let retain = Duration::from_secs(*retain);
                let got = self.store().prune(now, retain).map(unrevoked);
                (got, Ok(self.model.prune(now, retain)))
            }
            Operation::Pass(seconds) => {
                self.now += seconds;
                return;
            }
            Operation::Reopen => {
                self.store = None;
                self.store = Some(open(&self.directory));
                return;
            }
        };
        let after = self.store().revision().unwrap();
        let got = got.map_err(refusal).map(|revoked| {
            assert_eq!(revoked.change.revision, after);
            let changed = !revoked.change.upserts.is_empty() || !revoked.change.removals.is_empty();
            assert_eq!(after.0, before.0 + u64::from(changed));
            self.follow(&revoked.change);
            Effect {
                revoked: revoked.ids.into_iter().collect(),
                already: revoked.already.into_iter().collect(),
                foreign: revoked.foreign,
            }
        });
        assert_eq!(got, expected);
    }

    fn follow(&mut self, change: &Change) {
        for digest in &change.removals {
            assert!(self.followed.remove(digest).is_some());
        }
        for entry in &change.upserts {
            self.followed.insert(entry.digest, entry.clone());
        }
    }

    fn check(&mut self) {
        let now = at(self.now);
        let store = self.store.as_ref().unwrap();
        assert_eq!(store.revision().unwrap(), Revision(self.model.revision));
        let enforced = store.enforced().unwrap();
        assert!(enforced.is_sorted_by(|a, b| a.digest < b.digest));
        let enforced: BTreeMap<_, _> = enforced
            .into_iter()
            .map(|entry| (entry.digest, entry))
            .collect();
        assert_eq!(enforced, self.model.enforced());
        assert_eq!(enforced, self.followed);
        assert_eq!(store.holds_digests().unwrap(), !enforced.is_empty());
        assert_eq!(store.count_by_state(now).unwrap(), self.model.counts(now));
        let listed = store.tokens(&Filter::default(), now).unwrap();
        let listed: BTreeMap<_, _> = listed.into_iter().map(|token| (token.id, token)).collect();
        assert_eq!(listed, self.model.tokens);
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().unwrap()
    }
}

fn unrevoked(change: Change) -> Revoked {
    Revoked {
        ids: Vec::new(),
        already: Vec::new(),
        foreign: 0,
        change,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other error is a failure of the test"
)]
fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::DuplicateDigest => Refusal::DuplicateDigest,
        StoreError::DuplicateId { .. } => Refusal::DuplicateId,
        StoreError::Full { .. } => Refusal::Full,
        StoreError::KeepUntil { .. } => Refusal::KeepUntil,
        StoreError::UnknownTokens { ids } => Refusal::Unknown(ids.into_iter().collect()),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_the_model(operations in proptest::collection::vec(operation(), 1..40)) {
        let mut world = World::new();
        for operation in &operations {
            world.apply(operation);
            world.check();
        }
    }
}
