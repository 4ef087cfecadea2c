//! Taking in a new token.

use std::collections::HashSet;

use rusqlite::{Connection, named_params};

use super::error::{Failure, StoreError};
use super::record::{Change, Enforced, NewToken, Revision};
use super::{Store, meta};

impl Store {
    /// Adds a token. `capacity` is how many entries the kernel's map holds, dead and foreign ones included.
    ///
    /// # Errors
    /// [`StoreError::DuplicateDigest`] also where the secret was revoked as a
    /// foreign one, [`StoreError::DuplicateId`], [`StoreError::Full`], [`StoreError::Sql`].
    pub fn insert(&mut self, new: &NewToken, capacity: u32) -> Result<Change, StoreError> {
        self.transact("add a token", |transaction| {
            refuse_duplicates(transaction, new)?;
            let revision = meta::next_revision(transaction)?;
            let services = distinct(&new.services);
            write(transaction, new, &services, revision)?;
            check_room(transaction, capacity)?;
            Ok(Change {
                revision,
                upserts: vec![Enforced {
                    digest: new.digest,
                    not_before: new.lifetime.not_before(),
                    expires_at: new.lifetime.expires_at(),
                    revoked: false,
                    services,
                }],
                removals: Vec::new(),
            })
        })
    }
}

/// Refuses a change that leaves more entries than the kernel's map holds.
pub(super) fn check_room(connection: &Connection, capacity: u32) -> Result<(), Failure> {
    let entries: u64 = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM tokens) + (SELECT count(*) FROM foreign_revocations)",
        )?
        .query_row([], |row| row.get(0))?;
    if entries > u64::from(capacity) {
        return Err(StoreError::Full { capacity }.into());
    }
    Ok(())
}

fn refuse_duplicates(connection: &Connection, new: &NewToken) -> Result<(), Failure> {
    // A secret revoked as a foreign one counts as well: issuing it would make it valid.
    let same_secret = connection
        .prepare_cached(
            "SELECT 1 FROM tokens WHERE digest = ?1
             UNION ALL SELECT 1 FROM foreign_revocations WHERE digest = ?1",
        )?
        .exists([new.digest.as_bytes()])?;
    if same_secret {
        return Err(StoreError::DuplicateDigest.into());
    }
    let same_id = connection
        .prepare_cached("SELECT 1 FROM tokens WHERE id = ?1")?
        .exists([new.id.to_string()])?;
    if same_id {
        return Err(StoreError::DuplicateId { id: new.id }.into());
    }
    Ok(())
}

fn write(
    connection: &Connection,
    new: &NewToken,
    services: &[String],
    revision: Revision,
) -> rusqlite::Result<()> {
    let services = serde_json::to_string(services)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT INTO tokens (id, family, digest, owner, purpose, services, issued_at,
                 not_before, expires_at, issued_revision)
             VALUES (:id, :family, :digest, :owner, :purpose, :services, :issued_at,
                 :not_before, :expires_at, :issued_revision)",
        )?
        .execute(named_params! {
            ":id": new.id.to_string(),
            ":family": new.family.to_string(),
            ":digest": new.digest.as_bytes(),
            ":owner": new.owner.as_str(),
            ":purpose": new.purpose.as_str(),
            ":services": services,
            ":issued_at": new.issued_at.as_second(),
            ":not_before": new.lifetime.not_before().as_second(),
            ":expires_at": new.lifetime.expires_at().as_second(),
            ":issued_revision": revision.0,
        })
        .map(drop)
}

/// `names` without repetitions, in the order of their first.
fn distinct(names: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    names
        .iter()
        .filter(|name| seen.insert(name.as_str()))
        .cloned()
        .collect()
}
