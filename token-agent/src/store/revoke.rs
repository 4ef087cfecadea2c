//! Revocation: of tokens by id, of secrets by digest, of everything.

use std::collections::HashSet;
use std::hash::Hash;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use token_agent_common::digest::Digest;

use super::columns::{self, parsed};
use super::error::{Failure, StoreError};
use super::insert::check_room;
use super::record::{Change, Enforced, Revoked};
use super::{Store, meta};
use crate::token::{RevokeReason, TokenId};

impl Store {
    /// Revokes tokens. Those revoked before stay as they are; repeating changes nothing.
    ///
    /// # Errors
    /// [`StoreError::UnknownTokens`] with every id that is no token's, [`StoreError::Sql`].
    pub fn revoke(
        &mut self,
        ids: &[TokenId],
        reason: Option<&RevokeReason>,
        at: Timestamp,
    ) -> Result<Revoked, StoreError> {
        self.transact("revoke tokens", |transaction| {
            let mut tally = Tally::default();
            let mut unknown = Vec::new();
            for id in distinct(ids) {
                match is_revoked(transaction, &id)? {
                    None => unknown.push(id),
                    Some(true) => tally.already.push(id),
                    Some(false) => {
                        let entry = mark(transaction, &id, reason, at)?;
                        tally.revoked(id, entry);
                    }
                }
            }
            if !unknown.is_empty() {
                return Err(StoreError::UnknownTokens { ids: unknown }.into());
            }
            tally.finish(transaction)
        })
    }

    /// Revokes secrets, be they tokens of this store or not.
    ///
    /// Those never issued here are held until `keep_foreign_until`; naming one
    /// again can only make that later. `capacity` is how many entries the
    /// kernel's map holds; revoking a token of this store needs no room.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::KeepUntil`] unless `keep_foreign_until` is later than `at`, [`StoreError::Sql`].
    pub fn revoke_digests(
        &mut self,
        digests: &[Digest],
        reason: Option<&RevokeReason>,
        at: Timestamp,
        keep_foreign_until: Timestamp,
        capacity: u32,
    ) -> Result<Revoked, StoreError> {
        if keep_foreign_until.as_second() <= at.as_second() {
            return Err(StoreError::KeepUntil {
                at,
                keep_until: keep_foreign_until,
            });
        }
        self.transact("revoke secrets", |transaction| {
            let mut tally = Tally::default();
            for digest in distinct(digests) {
                match token_of(transaction, &digest)? {
                    Some((id, true)) => tally.already.push(id),
                    Some((id, false)) => {
                        let entry = mark(transaction, &id, reason, at)?;
                        tally.revoked(id, entry);
                    }
                    None => match keep_longer(transaction, &digest, keep_foreign_until)? {
                        Foreign::Absent => {
                            let entry =
                                add_foreign(transaction, &digest, reason, at, keep_foreign_until)?;
                            tally.foreign += 1;
                            tally.upserts.push(entry);
                        }
                        Foreign::Extended(entry) => tally.upserts.push(entry),
                        Foreign::Held => {}
                    },
                }
            }
            if tally.foreign > 0 {
                check_room(transaction, capacity)?;
            }
            tally.finish(transaction)
        })
    }

    /// Revokes every token that is neither expired nor revoked at `at`.
    ///
    /// # Errors
    /// [`StoreError::Sql`].
    pub fn revoke_all(
        &mut self,
        reason: Option<&RevokeReason>,
        at: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let sql = format!(
            "UPDATE tokens SET revoked_at = ?1, revoke_reason = ?2
             WHERE revoked_at IS NULL AND expires_at > ?1
             RETURNING id, {}",
            columns::ENFORCED
        );
        self.transact("revoke all tokens", |transaction| {
            let mut tally = Tally::default();
            let mut statement = transaction.prepare_cached(&sql)?;
            let rows = statement
                .query_map((at.as_second(), reason.map(RevokeReason::as_str)), |row| {
                    Ok((parsed(row, "id")?, columns::enforced(row)?))
                })?;
            for row in rows {
                let (id, entry) = row?;
                tally.revoked(id, entry);
            }
            tally.finish(transaction)
        })
    }
}

/// What a revocation has done so far.
#[derive(Default)]
struct Tally {
    ids: Vec<TokenId>,
    already: Vec<TokenId>,
    foreign: usize,
    upserts: Vec<Enforced>,
}

impl Tally {
    fn revoked(&mut self, id: TokenId, entry: Enforced) {
        self.ids.push(id);
        self.upserts.push(entry);
    }

    /// Counts the revision up if there was anything to do.
    fn finish(self, connection: &Connection) -> Result<Revoked, Failure> {
        let revision = if self.upserts.is_empty() {
            meta::revision(connection)?
        } else {
            meta::next_revision(connection)?
        };
        Ok(Revoked {
            ids: self.ids,
            already: self.already,
            foreign: self.foreign,
            change: Change {
                revision,
                upserts: self.upserts,
                removals: Vec::new(),
            },
        })
    }
}

/// What was found, and done, about a secret that is no token's.
enum Foreign {
    Absent,
    Extended(Enforced),
    Held,
}

/// Whether the token is revoked; `None` where there is no such token.
fn is_revoked(connection: &Connection, id: &TokenId) -> rusqlite::Result<Option<bool>> {
    connection
        .prepare_cached("SELECT revoked_at IS NOT NULL FROM tokens WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()
}

/// The token with this digest and whether it is revoked.
fn token_of(connection: &Connection, digest: &Digest) -> rusqlite::Result<Option<(TokenId, bool)>> {
    connection
        .prepare_cached("SELECT id, revoked_at IS NOT NULL FROM tokens WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| {
            Ok((parsed(row, "id")?, row.get(1)?))
        })
        .optional()
}

fn mark(
    connection: &Connection,
    id: &TokenId,
    reason: Option<&RevokeReason>,
    at: Timestamp,
) -> rusqlite::Result<Enforced> {
    connection
        .prepare_cached(&format!(
            "UPDATE tokens SET revoked_at = ?2, revoke_reason = ?3 WHERE id = ?1 RETURNING {}",
            columns::ENFORCED
        ))?
        .query_one(
            (
                id.to_string(),
                at.as_second(),
                reason.map(RevokeReason::as_str),
            ),
            columns::enforced,
        )
}

fn keep_longer(
    connection: &Connection,
    digest: &Digest,
    keep_until: Timestamp,
) -> rusqlite::Result<Foreign> {
    let held_until: Option<i64> = connection
        .prepare_cached("SELECT keep_until FROM foreign_revocations WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()?;
    match held_until {
        None => Ok(Foreign::Absent),
        Some(held) if held >= keep_until.as_second() => Ok(Foreign::Held),
        Some(_) => connection
            .prepare_cached(&format!(
                "UPDATE foreign_revocations SET keep_until = ?2 WHERE digest = ?1 RETURNING {}",
                columns::ENFORCED_FOREIGN
            ))?
            .query_one(
                (digest.as_bytes(), keep_until.as_second()),
                columns::enforced,
            )
            .map(Foreign::Extended),
    }
}

fn add_foreign(
    connection: &Connection,
    digest: &Digest,
    reason: Option<&RevokeReason>,
    at: Timestamp,
    keep_until: Timestamp,
) -> rusqlite::Result<Enforced> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO foreign_revocations (digest, revoked_at, reason, keep_until)
             VALUES (?1, ?2, ?3, ?4) RETURNING {}",
            columns::ENFORCED_FOREIGN
        ))?
        .query_one(
            (
                digest.as_bytes(),
                at.as_second(),
                reason.map(RevokeReason::as_str),
                keep_until.as_second(),
            ),
            columns::enforced,
        )
}

/// `items` without repetitions, in the order of their first.
fn distinct<T: Copy + Eq + Hash>(items: &[T]) -> impl Iterator<Item = T> {
    let mut seen = HashSet::new();
    items.iter().copied().filter(move |item| seen.insert(*item))
}
