//! The keys that are known and not supported yet: writing one is an error, for it would promise what does not happen.

use toml::de::DeValue;

use super::problem::{Invalid, quote};

/// How a key that no section reads is to be taken.
pub(super) enum Standing {
    /// It asks for exactly what happens anyway.
    Accepted,
    Refused(Invalid),
    Unknown,
}

/// What may be written for a key nevertheless, because it is what this version does.
#[derive(Clone, Copy)]
enum Only {
    Nothing,
    EmptyList,
    Text(&'static str),
}

/// By table and key; a whole table stands under the name of none.
const LATER: &[(&str, &str, Only)] = &[
    ("", "audit", Only::Nothing),
    ("", "oauth", Only::Nothing),
    ("", "owner", Only::Nothing),
    ("", "rotation", Only::Nothing),
    ("", "scope", Only::Nothing),
    ("", "source", Only::Nothing),
    ("", "test", Only::Nothing),
    ("agent", "drift_interval", Only::Nothing),
    ("agent", "usage_flush", Only::Nothing),
    ("control", "role", Only::Nothing),
    ("fleet", "credentials_file", Only::Nothing),
    ("fleet", "role", Only::Text("none")),
    ("fleet", "servers", Only::Nothing),
    ("fleet", "sign_key_file", Only::Nothing),
    ("fleet", "tls_ca", Only::Nothing),
    ("fleet", "trust_keys", Only::Nothing),
    ("hash_key", "file", Only::Text("")),
    ("service", "accept", Only::Text("any")),
    ("service", "client_address", Only::Nothing),
    ("service", "max_age", Only::Text("0s")),
    ("service", "max_staleness", Only::Text("0s")),
    ("service", "missing", Only::Text("deny")),
    ("service", "on_revoke", Only::Text("keep")),
    ("service", "on_stale", Only::Nothing),
    ("service", "problem", Only::Nothing),
    ("service", "realm", Only::Nothing),
    ("service", "route", Only::Nothing),
    ("service", "trusted_proxies", Only::Nothing),
    ("service", "unknown", Only::Text("deny")),
    ("service", "unmatched", Only::Text("token")),
    ("throttle", "burst", Only::Nothing),
    ("throttle", "cooldown", Only::Nothing),
    ("throttle", "exempt", Only::Nothing),
    ("throttle", "ipv4_prefix", Only::Nothing),
    ("throttle", "ipv6_prefix", Only::Nothing),
    ("throttle", "rate", Only::Text("0/s")),
    ("throttle", "spare_valid", Only::Nothing),
    ("tokens", "accept_prefixes", Only::EmptyList),
    ("tokens", "grace", Only::Nothing),
    ("tokens", "on_reuse", Only::Nothing),
];

pub(super) fn standing(table: &str, key: &str, value: &DeValue<'_>) -> Standing {
    let Some((_, _, only)) = LATER
        .iter()
        .find(|(in_table, name, _)| *in_table == table && *name == key)
    else {
        return Standing::Unknown;
    };
    let what = Invalid::new("known, but not supported by this version");
    match only {
        Only::Nothing => Standing::Refused(what.help("remove it")),
        Only::EmptyList if value.as_array().is_some_and(|list| list.is_empty()) => {
            Standing::Accepted
        }
        Only::EmptyList => Standing::Refused(what.help(format!("remove it, or write {key} = []"))),
        Only::Text(text) if value.as_str() == Some(text) => Standing::Accepted,
        Only::Text(text) => {
            Standing::Refused(what.help(format!("remove it, or write {key} = {}", quote(text))))
        }
    }
}

/// The keys of a table that may be written.
pub(super) fn accepted(table: &str) -> impl Iterator<Item = &'static str> {
    LATER
        .iter()
        .filter(move |(in_table, _, only)| *in_table == table && !matches!(only, Only::Nothing))
        .map(|(_, key, _)| *key)
}
