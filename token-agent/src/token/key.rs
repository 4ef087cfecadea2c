//! The deployment's hash key: it turns secrets into the digests the store and the kernel hold.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use token_agent_common::digest::Digest;
use zeroize::Zeroizing;

use super::random::{self, RandomError};
use crate::private_file::{self, PrivateFileError, io_error};

/// The key's file in the state directory: 32 raw bytes, mode 0600.
pub const FILE_NAME: &str = "hash.key";

const KEY_LEN: usize = 32;

/// 32 secret random bytes. Wiped on drop, never shown by `Debug`.
///
/// Boxed, so that moving the key leaves no copy of it behind.
pub struct HashKey(Box<Zeroizing<[u8; KEY_LEN]>>);

impl HashKey {
    /// Loads `hash.key` from `state_dir`, or creates it there.
    ///
    /// It is created only while the store holds no digests: those of another
    /// key can never match again. Created means complete and durable; two
    /// processes that race agree on one key.
    ///
    /// # Errors
    /// [`KeyError`]; an existing file is never changed.
    pub fn load_or_create(state_dir: &Path, store_has_tokens: bool) -> Result<Self, KeyError> {
        let path = state_dir.join(FILE_NAME);
        if let Some(key) = Self::load(&path)? {
            return Ok(key);
        }
        if store_has_tokens {
            return Err(KeyError::Lost { path });
        }
        Self::create(state_dir, &path)
    }

    /// Loads the key from `path`; `None` where there is no such file.
    ///
    /// # Errors
    /// A link, wrong owner, permissions wider than 0600 or a length other than 32 bytes.
    pub fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        let Some(file) = private_file::open(path)? else {
            return Ok(None);
        };
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        let found = read_up_to(file, bytes.as_mut_slice())
            .map_err(|source| io_error("read", path, source))?;
        if found.len == KEY_LEN && !found.more {
            return Ok(Some(Self(bytes)));
        }
        Err(KeyError::Length { path: path.into() })
    }

    /// The keyed BLAKE3 of `secret`, truncated to 128 bits: what the kernel computes of a credential.
    #[must_use]
    pub fn digest(&self, secret: &[u8]) -> Digest {
        let mut bytes = [0; Digest::LEN];
        bytes.copy_from_slice(&blake3::keyed_hash(&self.0, secret).as_bytes()[..Digest::LEN]);
        Digest::from_bytes(bytes)
    }

    /// The key's public name, the same wherever the key is.
    ///
    /// Safe to publish: it is the output of a one-way function over 256 random
    /// bits, so it gives neither the key nor a start to guess it, and the
    /// function's context keeps it apart from every digest made with the key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        // Part of the id's definition: another text would rename every key.
        const CONTEXT: &str = "token-agent 2025-11 hash key id v1";
        let derived = blake3::derive_key(CONTEXT, self.0.as_slice());
        let (id, _rest) = derived.split_at(ID_LEN);
        KeyId(id.try_into().expect("ID_LEN bytes"))
    }

    /// The key itself, for the kernel's map.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    fn create(state_dir: &Path, path: &Path) -> Result<Self, KeyError> {
        let mut bytes = Box::new(Zeroizing::new([0; KEY_LEN]));
        random::fill(bytes.as_mut_slice())?;
        // A name of its own, so that a racing process never writes into this file.
        let mut suffix = [0; 8];
        random::fill(&mut suffix)?;
        let new =
            Unlinked(state_dir.join(format!(".{FILE_NAME}.{:016x}", u64::from_le_bytes(suffix))));
        let mut file = private_file::create_new(&new.0)?;
        file.write_all(bytes.as_slice())
            .and_then(|()| file.sync_all())
            .map_err(|source| io_error("write", &new.0, source))?;
        // A hard link, unlike a rename, never replaces a key that came into being meanwhile.
        let linked = fs::hard_link(&new.0, path);
        drop(new);
        private_file::sync_directory(state_dir)?;
        match linked {
            Ok(()) => Ok(Self(bytes)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::load(path)?.ok_or_else(|| io_error("create", path, error).into())
            }
            Err(source) => Err(io_error("create", path, source).into()),
        }
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey({}, redacted)", self.key_id())
    }
}

/// Why there is no hash key to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or created, or may not be trusted.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file is not a key.
    #[error(
        "{} is not a hash key: that is exactly {KEY_LEN} raw bytes; restore it from a backup",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// The key is missing, though the store holds digests made with it.
    #[error(
        "the hash key {} is missing, but the store beside it holds tokens: their digests cannot be matched without the key they were made with; restore the key from a backup, or start with a new state directory and issue every token anew",
        path.display()
    )]
    Lost {
        /// Where the key should be.
        path: PathBuf,
    },
    /// No randomness to make a key of.
    #[error("cannot create a hash key")]
    Random(#[from] RandomError),
}

const ID_LEN: usize = 8;

/// The public name of a hash key: `k-` and 16 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; ID_LEN]);

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("k-").ok_or(KeyIdError)?.as_bytes();
        let digits: &[u8; 2 * ID_LEN] = digits.try_into().map_err(|_| KeyIdError)?;
        let mut id = [0; ID_LEN];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k-{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Not the id of a hash key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key id is `k-` and then 16 lower-case hexadecimal digits")]
pub struct KeyIdError;

fn hex(digit: u8) -> Result<u8, KeyIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _other => Err(KeyIdError),
    }
}

/// A file name that is removed at the end of its scope, whatever happens.
struct Unlinked(PathBuf);

impl Drop for Unlinked {
    fn drop(&mut self) {
        // Nothing depends on it: a leftover is a private file under a name never read.
        let _ = fs::remove_file(&self.0);
    }
}

struct Found {
    len: usize,
    more: bool,
}

/// Fills `bytes` as far as `file` goes and says whether it goes on.
fn read_up_to(mut file: File, bytes: &mut [u8]) -> io::Result<Found> {
    let mut len = 0;
    while len < bytes.len() {
        match file.read(&mut bytes[len..])? {
            0 => break,
            read => len += read,
        }
    }
    let more = file.read(&mut [0])? > 0;
    Ok(Found { len, more })
}

#[cfg(test)]
mod tests;
