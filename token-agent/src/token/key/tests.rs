use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(directory: &TempDir, bytes: &[u8], mode: u32) -> PathBuf {
    let path = directory.path().join(FILE_NAME);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn refusal(directory: &TempDir) -> String {
    HashKey::load_or_create(directory.path(), false)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_key_is_created_once_and_then_loaded() {
    let directory = directory();
    let created = HashKey::load_or_create(directory.path(), false).unwrap();
    let loaded = HashKey::load_or_create(directory.path(), true).unwrap();
    assert_eq!(created.expose(), loaded.expose());
    assert_ne!(created.expose(), &[0; 32]);

    let path = directory.path().join(FILE_NAME);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read(path).unwrap(), created.expose());
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn racing_creators_agree() {
    let directory = directory();
    let ids: Vec<_> = std::thread::scope(|scope| {
        let create = || {
            HashKey::load_or_create(directory.path(), false)
                .unwrap()
                .key_id()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_lost_key_is_not_replaced() {
    let directory = directory();
    let error = HashKey::load_or_create(directory.path(), true).unwrap_err();
    assert!(matches!(error, KeyError::Lost { .. }));
    assert!(error.to_string().contains("restore the key from a backup"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn only_32_bytes_are_a_key() {
    for length in [0, 31, 33, 64] {
        let directory = directory();
        let path = write(&directory, &vec![7; length], 0o600);
        assert!(refusal(&directory).contains("exactly 32 raw bytes"));
        assert_eq!(fs::read(path).unwrap(), vec![7; length], "left as it was");
    }
}

#[test]
fn wide_permissions_are_refused_with_the_remedy() {
    for mode in [0o640, 0o604, 0o620, 0o700, 0o4600] {
        let directory = directory();
        let path = write(&directory, &[7; 32], mode);
        let remedy = format!("`chmod 0600 {}`", path.display());
        assert!(refusal(&directory).contains(&remedy), "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        let directory = directory();
        write(&directory, &[7; 32], mode);
        assert!(
            HashKey::load_or_create(directory.path(), true).is_ok(),
            "{mode:o}"
        );
    }
}

#[test]
fn another_owner_is_refused_with_the_remedy() {
    let directory = directory();
    let path = write(&directory, &[7; 32], 0o600);
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        // Only root can give a file away; the refusal is the same code for every user.
        return;
    }
    assert!(refusal(&directory).contains("`chown 0 "));
}

#[test]
fn links_and_other_kinds_are_refused() {
    let directory = directory();
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, [7; 32]).unwrap();
    let path = directory.path().join(FILE_NAME);
    symlink(&elsewhere, &path).unwrap();
    assert!(refusal(&directory).contains("symbolic link"));

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(refusal(&directory).contains("not a regular file"));

    fs::remove_dir(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    assert!(refusal(&directory).contains("not a regular file"));

    // Dangling: must not create a key where it points.
    fs::remove_file(&path).unwrap();
    symlink(directory.path().join("nowhere"), &path).unwrap();
    assert!(refusal(&directory).contains("symbolic link"));
}

#[test]
fn the_digest_is_truncated_keyed_blake3() {
    // The first test vector's key, from BLAKE3's published vectors: no input.
    let key = HashKey(Box::new(Zeroizing::new(
        *b"whats the Elvish word for friend",
    )));
    let expected = [
        0x92, 0xb2, 0xb7, 0x56, 0x04, 0xed, 0x3c, 0x76, 0x1f, 0x9d, 0x6f, 0x62, 0x39, 0x2c, 0x8a,
        0x92,
    ];
    assert_eq!(key.digest(b"").as_bytes(), &expected);
}

#[test]
fn ids_name_keys_and_nothing_else() {
    let key = |byte| HashKey(Box::new(Zeroizing::new([byte; 32])));
    let id = key(1).key_id();
    assert_eq!(id, key(1).key_id());
    assert_ne!(id, key(2).key_id());
    let text = id.to_string();
    assert_eq!(text, "k-f6abcbc1b9b2aae4", "a published id never changes");
    assert_eq!(text.parse(), Ok(id));
    for bad in [
        "",
        "k-",
        "k-0123456789abcde",
        "k-0123456789abcdef0",
        "k-0123456789ABCDEF",
        "t-0123456789abcdef",
        "k-0123456789abcdeg",
    ] {
        assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad}");
    }
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    assert_eq!(
        format!("{:?}", key(1)),
        format!("HashKey({text}, redacted)")
    );
}
