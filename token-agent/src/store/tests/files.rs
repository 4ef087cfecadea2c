//! Opening, and what is on the disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rusqlite::config::DbConfig;

use super::*;

/// Every file but the lock, with its bytes.
fn contents(directory: &TempDir) -> BTreeMap<OsString, Vec<u8>> {
    fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "lock")
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Opens a store that cannot be opened, and checks that it stays as it was.
fn refusal(directory: &TempDir) -> StoreError {
    let before = contents(directory);
    let error = Store::open(directory.path()).unwrap_err();
    assert_eq!(contents(directory), before, "{error}");
    error
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn raw(store: &Path) -> Connection {
    Connection::open(store).unwrap()
}

/// A closed store with two tokens; its file.
fn filled(directory: &TempDir) -> PathBuf {
    let mut store = open(directory);
    issue(&mut store, [1, 2]);
    store.path().to_owned()
}

#[test]
fn a_new_store_is_private_and_empty() {
    let directory = directory();
    let state_dir = directory.path().join("a/b");
    let mut store = Store::open(&state_dir).unwrap();
    issue(&mut store, [1]);
    assert_eq!(mode(&state_dir), 0o700);
    assert_eq!(mode(&directory.path().join("a")), 0o700);
    let mut names: Vec<_> = fs::read_dir(&state_dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
            entry.file_name().into_string().unwrap()
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["lock", "tokens.db", "tokens.db-shm", "tokens.db-wal"]
    );
}

#[test]
fn the_connection_is_set_up_as_promised() {
    let directory = directory();
    let store = open(&directory);
    let pragma = |name: &str| -> String {
        store
            .connection
            .query_row(
                &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2", "FULL");
    assert_eq!(pragma("foreign_keys"), "1");
    assert_eq!(pragma("trusted_schema"), "0");
    assert_eq!(pragma("user_version"), schema::VERSION.to_string());
    let timeout: i64 = store
        .connection
        .query_row("SELECT timeout FROM pragma_busy_timeout", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(timeout, 5_000);
}

#[test]
fn what_was_issued_is_there_after_reopening() {
    let directory = directory();
    let (store_id, token) = {
        let mut store = open(&directory);
        issue(&mut store, [1]);
        (store.store_id().unwrap(), store.token(&id(1)).unwrap())
    };
    assert!(token.is_some());
    let store = open(&directory);
    assert_eq!(store.store_id().unwrap(), store_id);
    assert_eq!(store.token(&id(1)).unwrap(), token);
    assert_eq!(store.revision().unwrap(), Revision(1));
}

#[test]
fn what_was_issued_survives_a_crash() {
    let crashed = directory();
    let directory = directory();
    let mut store = open(&directory);
    issue(&mut store, [1, 2]);
    // The files as a killed process leaves them: the log is not merged.
    for name in ["tokens.db", "tokens.db-wal"] {
        fs::copy(directory.path().join(name), crashed.path().join(name)).unwrap();
    }
    let revived = open(&crashed);
    assert_eq!(revived.enforced().unwrap(), store.enforced().unwrap());
    assert_eq!(revived.revision().unwrap(), Revision(2));
}

#[test]
fn a_store_is_open_once() {
    let directory = directory();
    let store = open(&directory);
    let error = Store::open(directory.path()).unwrap_err();
    let StoreError::Locked { path } = &error else {
        panic!("{error}");
    };
    assert_eq!(path, &directory.path().join("lock"));
    drop(store);
    open(&directory);
}

#[test]
fn a_newer_store_is_left_alone() {
    let directory = directory();
    let path = filled(&directory);
    raw(&path).pragma_update(None, "user_version", 99).unwrap();
    let error = refusal(&directory);
    let StoreError::Newer {
        found: 99,
        supported,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(supported, schema::VERSION);
}

#[test]
fn a_newer_store_is_known_by_its_log_too() {
    let directory = directory();
    let path = filled(&directory);
    {
        let newer = raw(&path);
        newer
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
    }
    let log = directory.path().join("tokens.db-wal");
    assert!(fs::metadata(log).unwrap().len() > 0);
    let error = refusal(&directory);
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn another_programs_database_is_left_alone() {
    for application_id in [0, 0x1234_5678] {
        let directory = directory();
        let path = directory.path().join("tokens.db");
        let other = raw(&path);
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        other
            .pragma_update(None, "application_id", application_id)
            .unwrap();
        drop(other);
        set_mode(&path, 0o600);
        let error = refusal(&directory);
        let StoreError::Foreign { found, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(i64::from(found), i64::from(application_id));
    }
}

#[test]
fn other_files_are_left_alone() {
    let texts: [&[u8]; 4] = [
        b"",
        b"not a database",
        &[0; 4096],
        b"SQLite format 3\0short",
    ];
    for text in texts {
        let directory = directory();
        let path = directory.path().join("tokens.db");
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        let error = refusal(&directory);
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
}

#[test]
fn damage_is_found_and_left_alone() {
    let directory = directory();
    let path = filled(&directory);
    let good = fs::read(&path).unwrap();
    let page = 4096;
    let mut cases = Vec::new();
    for number in 1..good.len() / page {
        let mut damaged = good.clone();
        damaged[number * page..(number + 1) * page].fill(0xa5);
        cases.push(damaged);
    }
    cases.push(good[..good.len() - page].to_vec());
    cases.push(good[..page + 100].to_vec());
    let mut schema_gone = good.clone();
    schema_gone[100..page].fill(0);
    cases.push(schema_gone);
    let mut no_version = good.clone();
    no_version[60..64].fill(0);
    cases.push(no_version);
    for damaged in cases {
        fs::write(&path, &damaged).unwrap();
        let error = refusal(&directory);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    }
    fs::write(&path, good).unwrap();
    open(&directory);
}

#[test]
fn a_row_that_breaks_a_rule_is_damage() {
    let directory = directory();
    let path = filled(&directory);
    let meddler = raw(&path);
    meddler
        .pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    meddler
        .execute_batch("UPDATE tokens SET expires_at = 0")
        .unwrap();
    drop(meddler);
    let error = refusal(&directory);
    assert!(
        error
            .to_string()
            .contains("CHECK constraint failed in tokens"),
        "{error}"
    );
}

#[test]
fn a_log_without_its_database_is_not_applied() {
    for name in ["tokens.db-wal", "tokens.db-journal"] {
        let directory = directory();
        fs::write(directory.path().join(name), b"x").unwrap();
        let error = refusal(&directory);
        assert!(matches!(error, StoreError::Orphan { .. }), "{error}");
    }
}

#[test]
fn a_creation_cut_short_begins_again() {
    let directory = directory();
    for name in ["tokens.db.new", "tokens.db.new-journal"] {
        fs::write(directory.path().join(name), b"half").unwrap();
    }
    drop(open(&directory));
    let names: Vec<_> = contents(&directory).into_keys().collect();
    assert_eq!(names, ["tokens.db"]);
}

#[test]
fn files_others_may_touch_are_refused_with_the_remedy() {
    let directory = directory();
    let path = filled(&directory);
    set_mode(&path, 0o640);
    assert!(refusal(&directory).to_string().contains("`chmod 0600 "));
    set_mode(&path, 0o600);

    set_mode(directory.path(), 0o775);
    assert!(refusal(&directory).to_string().contains("`chmod go-w "));
    set_mode(directory.path(), 0o755);

    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(refusal(&directory).to_string().contains("symbolic link"));
}

#[test]
fn a_state_directory_must_be_one() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(Store::open(&file), Err(StoreError::File(_))));
}

#[test]
fn any_path_will_do() {
    let directory = directory();
    let state_dir = directory.path().join("50%? #1 ü/?immutable=1");
    for revision in 0..2 {
        let mut store = Store::open(&state_dir).unwrap();
        assert_eq!(store.revision().unwrap(), Revision(revision));
        issue(&mut store, [revision as u8]);
    }
}
