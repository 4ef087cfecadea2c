use jiff::Timestamp;
use tempfile::TempDir;
use token_agent_common::digest::Digest;

use super::*;
use crate::token::{KeyId, Lifetime, RevokeReason, TokenId};

mod files;
mod model;
mod operations;

const ROOM: u32 = 1_000;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(directory: &TempDir) -> Store {
    Store::open(directory.path()).unwrap()
}

/// Seconds after some moment.
fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn id(number: u8) -> TokenId {
    format!("t-00000000000000{number:02x}").parse().unwrap()
}

fn digest(number: u8) -> Digest {
    Digest::from_bytes([number; Digest::LEN])
}

fn key(number: u8) -> KeyId {
    format!("k-{number:016x}").parse().unwrap()
}

fn reason(text: &str) -> RevokeReason {
    text.parse().unwrap()
}

/// A token with id and digest of this number, issued at 0, valid from 10 until 100.
fn new_token(number: u8) -> NewToken {
    NewToken {
        id: id(number),
        family: "f-0000000000000000".parse().unwrap(),
        digest: digest(number),
        owner: "orders".parse().unwrap(),
        purpose: "ci".parse().unwrap(),
        services: Vec::new(),
        issued_at: at(0),
        lifetime: Lifetime::between(at(10), at(100)).unwrap(),
    }
}

/// Issues the tokens of these numbers.
fn issue(store: &mut Store, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        store.insert(&new_token(number), ROOM).unwrap();
    }
}
