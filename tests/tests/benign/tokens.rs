//! Tokens longer than the agent issues: as somebody else's would be.

use std::fs;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use token_agent::{
    store::{NewToken, Store},
    token::{FamilyId, Lifetime, TokenId, key::HashKey},
};
use token_agent_tests::host::Agent;

/// As long as a credential may be, and half of that.
pub(crate) const LENGTHS: [usize; 2] = [4_096, 8_192];

/// Puts valid tokens of these lengths into the store of an agent that does not run yet.
pub(crate) fn have_long(agent: &Agent<'_>) -> Result<[String; 2]> {
    let dir = agent.state_dir();
    fs::create_dir(&dir)?;
    let mut store = Store::open(&dir)?;
    let key = HashKey::load_or_create(&dir, false)?;
    store.bind_key(key.key_id())?;
    let tokens = LENGTHS.map(|length| {
        let words = (0_u64..).map(|at| blake3::hash(&at.to_le_bytes()).to_hex());
        let text: String = words
            .take(length / 64)
            .map(|word| word.to_string())
            .collect();
        text
    });
    let now = Timestamp::now();
    for token in &tokens {
        let new = NewToken {
            id: TokenId::random()?,
            family: FamilyId::random()?,
            digest: key.digest(token.as_bytes()),
            owner: "test".parse()?,
            purpose: "a long token".parse()?,
            services: Vec::new(),
            issued_at: now,
            lifetime: Lifetime::between(now, now + SignedDuration::from_hours(1))?,
        };
        store.insert(&new, 65_536)?;
    }
    Ok(tokens)
}
