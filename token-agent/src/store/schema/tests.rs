use rusqlite::ErrorCode;

use super::*;

fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection).unwrap();
    connection
}

fn schema(connection: &Connection) -> Vec<String> {
    connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[test]
fn an_empty_database_becomes_the_newest() {
    let connection = migrated();
    assert_eq!(version(&connection), Ok(VERSION));
    let id: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    assert_eq!(id, APPLICATION_ID);
    assert_eq!(id.to_be_bytes(), *b"tkag");
}

#[test]
fn migrating_again_changes_nothing() {
    let mut connection = migrated();
    connection.execute_batch(META).unwrap();
    let before = (schema(&connection), connection.total_changes());
    migrate(&mut connection).unwrap();
    assert_eq!((schema(&connection), connection.total_changes()), before);
}

#[test]
fn a_failed_migration_leaves_nothing() {
    let mut connection = Connection::open_in_memory().unwrap();
    // The last table of version 1: its first ones are created before the failure.
    connection
        .execute_batch("CREATE TABLE foreign_revocations (other)")
        .unwrap();
    let before = schema(&connection);
    migrate(&mut connection).unwrap_err();
    assert_eq!(schema(&connection), before);
    assert_eq!(version(&connection), Ok(0));
}

#[test]
fn every_table_is_strict() {
    let loose: i64 = migrated()
        .query_row(
            "SELECT count(*) FROM pragma_table_list
             WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND strict = 0",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(loose, 0);
}

const META: &str = "INSERT INTO meta (one, store_id, key_id, revision)
     VALUES (1, 's-0123456789abcdef', 'k-0123456789abcdef', 0)";

/// Columns and values of a good row; each case replaces one value.
const TOKEN: [(&str, &str); 12] = [
    ("id", "'t-0123456789abcdef'"),
    ("family", "'f-ghjkmnpqrstvwxyz'"),
    ("digest", "x'000102030405060708090a0b0c0d0e0f'"),
    ("owner", "'ci@example.org'"),
    ("purpose", "'deploys'"),
    ("services", "'[\"orders\"]'"),
    ("issued_at", "100"),
    ("not_before", "100"),
    ("expires_at", "101"),
    ("issued_revision", "1"),
    ("revoked_at", "NULL"),
    ("revoke_reason", "NULL"),
];

const FOREIGN: [(&str, &str); 4] = [
    ("digest", "x'000102030405060708090a0b0c0d0e0f'"),
    ("revoked_at", "100"),
    ("reason", "'leaked'"),
    ("keep_until", "101"),
];

fn insert(table: &str, row: &[(&str, &str)], changed: Option<(&str, &str)>) -> String {
    let columns: Vec<_> = row.iter().map(|(column, _)| *column).collect();
    let values: Vec<_> = row
        .iter()
        .map(|(column, value)| match changed {
            Some((name, other)) if name == *column => other,
            Some(_) | None => value,
        })
        .collect();
    format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        columns.join(", "),
        values.join(", ")
    )
}

fn assert_refused(connection: &Connection, sql: &str) {
    let error = connection.execute_batch(sql).expect_err(sql);
    assert_eq!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation),
        "{sql}: {error}"
    );
}

#[test]
fn bad_tokens_are_refused() {
    let connection = migrated();
    for changed in [
        ("id", "NULL"),
        ("id", "'f-0123456789abcdef'"),
        ("id", "'t-0123456789abcde'"),
        ("id", "'t-0123456789abcdef0'"),
        ("id", "'t-0123456789abcdeF'"),
        ("id", "'t-0123456789abcdei'"),
        ("id", "'t-0123456789abcdeu'"),
        ("family", "NULL"),
        ("family", "'t-0123456789abcdef'"),
        ("family", "'f-0123456789abcdel'"),
        ("family", "'f-'"),
        ("digest", "NULL"),
        ("digest", "x''"),
        ("digest", "x'000102030405060708090a0b0c0d0e'"),
        ("digest", "x'000102030405060708090a0b0c0d0e0f10'"),
        ("digest", "'0123456789abcdef'"),
        ("owner", "NULL"),
        ("owner", "''"),
        ("owner", "'-ci'"),
        ("owner", "'ci team'"),
        ("owner", "'ci' || char(10)"),
        ("owner", "'ä'"),
        ("owner", "replace(printf('%65d', 0), ' ', 'a')"),
        ("purpose", "NULL"),
        ("purpose", "''"),
        ("purpose", "' deploys'"),
        ("purpose", "replace(printf('%257d', 0), ' ', 'a')"),
        ("services", "NULL"),
        ("services", "'[\"orders\"'"),
        ("services", "'{}'"),
        ("services", "'null'"),
        ("issued_at", "NULL"),
        ("issued_at", "-1"),
        ("issued_at", "'soon'"),
        ("issued_at", "1.5"),
        ("not_before", "NULL"),
        ("not_before", "-1"),
        ("not_before", "101"),
        ("expires_at", "NULL"),
        ("expires_at", "100"),
        ("expires_at", "99"),
        ("issued_revision", "NULL"),
        ("issued_revision", "0"),
        ("revoked_at", "-1"),
        ("revoke_reason", "'leaked'"),
    ] {
        assert_refused(&connection, &insert("tokens", &TOKEN, Some(changed)));
    }
    let revoked = TOKEN.map(|(column, value)| match column {
        "revoked_at" => (column, "0"),
        _ => (column, value),
    });
    for changed in [
        ("revoke_reason", "''"),
        ("revoke_reason", "replace(printf('%257d', 0), ' ', 'a')"),
    ] {
        assert_refused(&connection, &insert("tokens", &revoked, Some(changed)));
    }

    let good = insert("tokens", &revoked, Some(("revoke_reason", "'leaked'")));
    connection.execute_batch(&good).unwrap();
    for (column, value) in [
        ("id", "'t-0000000000000000'"),
        ("digest", "x'00000000000000000000000000000000'"),
    ] {
        // Taken: the other of the two unique columns.
        assert_refused(
            &connection,
            &insert("tokens", &TOKEN, Some((column, value))),
        );
    }
    assert_refused(&connection, "UPDATE tokens SET revoked_at = NULL");
}

#[test]
fn good_tokens_are_taken() {
    for changed in [
        ("services", "'[]'"),
        ("owner", "replace(printf('%64d', 0), ' ', 'a')"),
        ("purpose", "replace(printf('%256d', 0), ' ', 'ü')"),
        ("revoked_at", "99"),
    ] {
        let sql = insert("tokens", &TOKEN, Some(changed));
        migrated().execute_batch(&sql).expect(&sql);
    }
}

#[test]
fn bad_foreign_revocations_are_refused() {
    let connection = migrated();
    for changed in [
        ("digest", "NULL"),
        ("digest", "x'00'"),
        ("digest", "'0123456789abcdef'"),
        ("revoked_at", "NULL"),
        ("revoked_at", "-1"),
        ("reason", "''"),
        ("reason", "replace(printf('%257d', 0), ' ', 'a')"),
        ("keep_until", "NULL"),
        ("keep_until", "100"),
    ] {
        assert_refused(
            &connection,
            &insert("foreign_revocations", &FOREIGN, Some(changed)),
        );
    }
    let good = insert("foreign_revocations", &FOREIGN, Some(("reason", "NULL")));
    connection.execute_batch(&good).unwrap();
    assert_refused(&connection, &good);
}

#[test]
fn there_is_one_good_meta_row() {
    let connection = migrated();
    for (from, to) in [
        ("(1,", "(2,"),
        ("'s-", "'t-"),
        ("0123456789abcdef', 'k", "0123456789abcdeo', 'k"),
        ("'s-0123456789abcdef'", "NULL"),
        ("'k-", "'s-"),
        ("'k-0123456789abcdef'", "'k-0123456789abcdeg'"),
        ("'k-0123456789abcdef'", "'k-0123'"),
        (", 0)", ", -1)"),
        (", 0)", ", NULL)"),
    ] {
        let sql = META.replacen(from, to, 1);
        assert_ne!(sql, META);
        assert_refused(&connection, &sql);
    }
    connection.execute_batch(META).unwrap();
    assert_refused(&connection, META);
}
