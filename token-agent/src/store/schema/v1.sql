-- Times are whole seconds since 1970-01-01T00:00:00Z.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store_id TEXT NOT NULL
        CHECK (store_id GLOB 's-*' AND length(store_id) = 18
            AND substr(store_id, 3) NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'),
    key_id TEXT
        CHECK (key_id GLOB 'k-*' AND length(key_id) = 18
            AND substr(key_id, 3) NOT GLOB '*[^0-9a-f]*'),
    revision INTEGER NOT NULL CHECK (revision >= 0)
) STRICT;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL
        CHECK (id GLOB 't-*' AND length(id) = 18
            AND substr(id, 3) NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'),
    family TEXT NOT NULL
        CHECK (family GLOB 'f-*' AND length(family) = 18
            AND substr(family, 3) NOT GLOB '*[^0-9a-hjkmnp-tv-z]*'),
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 16),
    owner TEXT NOT NULL
        CHECK (length(owner) BETWEEN 1 AND 64 AND owner GLOB '[A-Za-z0-9]*'
            AND owner NOT GLOB '*[^A-Za-z0-9._@-]*'),
    purpose TEXT NOT NULL
        CHECK (length(purpose) BETWEEN 1 AND 256 AND trim(purpose) = purpose),
    -- A JSON array of names, empty for every service. In the row itself: names
    -- in rows of their own, once lost, would turn a bounded token into one for all.
    services TEXT NOT NULL
        CHECK (json_valid(services) AND json_type(services) = 'array'),
    issued_at INTEGER NOT NULL CHECK (issued_at >= 0),
    not_before INTEGER NOT NULL CHECK (not_before >= 0),
    expires_at INTEGER NOT NULL CHECK (expires_at > not_before),
    issued_revision INTEGER NOT NULL CHECK (issued_revision > 0),
    -- May lie before issued_at: a clock set back must not prevent a revocation.
    revoked_at INTEGER CHECK (revoked_at >= 0),
    revoke_reason TEXT CHECK (length(revoke_reason) BETWEEN 1 AND 256),
    CHECK (revoke_reason IS NULL OR revoked_at IS NOT NULL)
) STRICT;

-- Secrets that were never issued here, but were revoked here.
CREATE TABLE foreign_revocations (
    digest BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 16),
    revoked_at INTEGER NOT NULL CHECK (revoked_at >= 0),
    reason TEXT CHECK (length(reason) BETWEEN 1 AND 256),
    keep_until INTEGER NOT NULL CHECK (keep_until > revoked_at)
) STRICT, WITHOUT ROWID;
