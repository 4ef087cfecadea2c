//! Issuing, listing, showing and revoking tokens.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::{Agent, AgentError, Engine};
use crate::{
    store::{Filter, NewToken, Revoked, StoreError, Token, TokenState},
    token::{FamilyId, Prefix, Secret, TokenId, format::credential_fault, lifetime},
    wire::{
        Actor, Event, IssueRequest, Issued, ListQuery, Listing, RevokeAnswer, RevokeRequest,
        SecretText, TokenDetail, TokenRecord,
    },
};

/// Above so many, a revocation is one event and not one for each token.
const MOST_EVENTS: usize = 256;

impl Agent {
    /// Issues a token. When this returns, the kernel lets it pass.
    ///
    /// # Errors
    /// [`AgentError`]; with [`AgentError::NotEnforced`] the token is stored, and its secret lost.
    pub async fn issue(
        self: &Arc<Self>,
        actor: Actor,
        request: IssueRequest,
    ) -> Result<Issued, AgentError> {
        for service in &request.services {
            self.service(service)?;
        }
        self.with_engine(move |agent, engine| {
            if !engine.reconciler.has_room_for(&request.services) {
                return Err(AgentError::TooManyAudiences);
            }
            let now = Timestamp::now();
            let secret = Secret::mint(&agent.config.tokens.prefix.parse::<Prefix>()?)?;
            let new = agent.new_token(request, &secret, now)?;
            let change = engine
                .store
                .insert(&new, agent.config.datapath.max_tokens)?;
            let followed = engine.follow(&change);
            let id = new.id;
            agent.events.publish(Event {
                id: Some(id),
                ..Event::control("issue", actor.clone(), now)
            });
            info!(%id, owner = %new.owner, by = %actor, "issued a token");
            followed?;
            let token = stored(engine, &id)?;
            Ok(Issued {
                token: SecretText(secret),
                record: TokenRecord::from(token),
            })
        })
        .await
    }

    /// The tokens that are asked for.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(self: &Arc<Self>, query: ListQuery) -> Result<Listing, AgentError> {
        if let Some(service) = &query.service {
            self.service(service)?;
        }
        self.with_engine(move |agent, engine| {
            let now = Timestamp::now();
            let filter = Filter {
                owner: query.owner,
                service: query.service,
                state: query.state,
                expiring_within: query.expiring.map(|span| span.0),
                limit: query.limit,
            };
            let key_id = agent.key.key_id();
            let tokens = engine.store.tokens(&filter, now)?;
            Ok(Listing {
                tokens: tokens
                    .into_iter()
                    .map(|token| TokenDetail::new(token, now, key_id))
                    .collect(),
            })
        })
        .await
    }

    /// The token with this id.
    ///
    /// # Errors
    /// [`AgentError::UnknownToken`], and the store's.
    pub async fn show(self: &Arc<Self>, id: TokenId) -> Result<TokenDetail, AgentError> {
        self.with_engine(move |agent, engine| {
            let token = stored(engine, &id)?;
            Ok(TokenDetail::new(
                token,
                Timestamp::now(),
                agent.key.key_id(),
            ))
        })
        .await
    }

    /// Revokes. When this returns, the kernel denies what was revoked, wherever the guard is on.
    ///
    /// # Errors
    /// [`AgentError`]; with [`AgentError::NotEnforced`] the revocation is stored.
    pub async fn revoke(
        self: &Arc<Self>,
        actor: Actor,
        request: RevokeRequest,
    ) -> Result<RevokeAnswer, AgentError> {
        let ways = [
            request.ids.is_some(),
            request.secrets.is_some(),
            request.all,
        ];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            return Err(AgentError::BadRequest(
                "exactly one of ids, secrets and all is to be given",
            ));
        }
        for (secret, number) in request.secrets.iter().flatten().zip(1..) {
            let own = &self.config.tokens.prefix;
            if let Some(why) = credential_fault(secret.0.expose(), own) {
                return Err(AgentError::NoCredential { number, why });
            }
        }
        self.with_engine(move |agent, engine| {
            let now = Timestamp::now();
            if request.dry_run {
                return agent.would_revoke(engine, &request, now);
            }
            let revoked = agent.store_revocation(engine, &request, now)?;
            // Enforced first, and told also if it is only stored.
            let followed = engine.follow(&revoked.change);
            agent.tell_revoked(&revoked, &actor, now);
            followed?;
            let (enforced, warnings) = agent.effect(engine, now);
            Ok(RevokeAnswer {
                count: revoked.ids.len() + revoked.foreign,
                ids: revoked.ids,
                already: revoked.already,
                foreign: revoked.foreign,
                revision: revoked.change.revision,
                enforced,
                durable: true,
                dry_run: false,
                warnings,
            })
        })
        .await
    }

    fn new_token(
        &self,
        request: IssueRequest,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<NewToken, AgentError> {
        let tokens = &self.config.tokens;
        Ok(NewToken {
            id: TokenId::random()?,
            family: FamilyId::random()?,
            digest: self.key.digest(secret.expose().as_bytes()),
            owner: request.owner,
            purpose: request.purpose,
            services: request.services,
            issued_at: now,
            lifetime: lifetime(
                now,
                request.ttl.map(|span| span.0),
                request.not_before,
                tokens.default_ttl,
                tokens.max_ttl,
            )?,
        })
    }

    fn store_revocation(
        &self,
        engine: &mut Engine,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<Revoked, AgentError> {
        let reason = request.reason.as_ref();
        let revoked = match (&request.ids, &request.secrets) {
            (Some(ids), _) => engine.store.revoke(ids, reason, now),
            (None, Some(secrets)) => {
                let digests: Vec<_> = secrets
                    .iter()
                    .map(|secret| self.key.digest(secret.0.expose().as_bytes()))
                    .collect();
                let ttl = SignedDuration::try_from(self.config.tokens.foreign_ttl)
                    .unwrap_or(SignedDuration::MAX);
                let keep_until = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
                let capacity = self.config.datapath.max_tokens;
                engine
                    .store
                    .revoke_digests(&digests, reason, now, keep_until, capacity)
            }
            (None, None) => engine.store.revoke_all(reason, now),
        };
        Ok(revoked?)
    }

    /// What [`Agent::store_revocation`] would do, without doing it.
    fn would_revoke(
        &self,
        engine: &Engine,
        request: &RevokeRequest,
        now: Timestamp,
    ) -> Result<RevokeAnswer, AgentError> {
        let mut found = Vec::new();
        let mut foreign = 0;
        match (&request.ids, &request.secrets) {
            (Some(ids), _) => {
                let mut unknown = Vec::new();
                for id in ids.iter().collect::<BTreeSet<_>>() {
                    match engine.store.token(id)? {
                        Some(token) => found.push(token),
                        None => unknown.push(*id),
                    }
                }
                if !unknown.is_empty() {
                    return Err(StoreError::UnknownTokens { ids: unknown }.into());
                }
            }
            (None, Some(secrets)) => {
                let digests: BTreeSet<_> = secrets
                    .iter()
                    .map(|secret| self.key.digest(secret.0.expose().as_bytes()))
                    .collect();
                for digest in digests {
                    match engine.store.token_by_digest(&digest)? {
                        Some(token) => found.push(token),
                        None => foreign += 1,
                    }
                }
            }
            (None, None) => {
                for state in [TokenState::Active, TokenState::Pending] {
                    let filter = Filter {
                        state: Some(state),
                        ..Filter::default()
                    };
                    found.extend(engine.store.tokens(&filter, now)?);
                }
            }
        }
        let (already, ids): (Vec<_>, Vec<_>) =
            found.iter().partition(|token| token.revoked_at.is_some());
        let id_of = |tokens: Vec<&Token>| tokens.into_iter().map(|token| token.id).collect();
        Ok(RevokeAnswer {
            count: ids.len() + foreign,
            ids: id_of(ids),
            already: id_of(already),
            foreign,
            revision: engine.store.revision()?,
            enforced: false,
            durable: false,
            dry_run: true,
            warnings: Vec::new(),
        })
    }

    fn tell_revoked(&self, revoked: &Revoked, actor: &Actor, now: Timestamp) {
        let count = revoked.ids.len() + revoked.foreign;
        if count == 0 {
            return;
        }
        info!(count, by = %actor, "revoked");
        let event = |id, count: usize| Event {
            id,
            count: u64::try_from(count).unwrap_or(u64::MAX),
            ..Event::control("revoke", actor.clone(), now)
        };
        if count > MOST_EVENTS {
            self.events.publish(event(None, count));
            return;
        }
        for id in &revoked.ids {
            self.events.publish(event(Some(*id), 1));
        }
        if revoked.foreign > 0 {
            self.events.publish(event(None, revoked.foreign));
        }
    }
}

fn stored(engine: &Engine, id: &TokenId) -> Result<Token, AgentError> {
    engine.store.token(id)?.ok_or(AgentError::UnknownToken(*id))
}
