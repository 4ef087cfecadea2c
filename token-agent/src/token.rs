//! What a token is: its format, its ids, the key that hashes it, and how long it may live.
//!
//! Nothing here knows a clock or a database: time is an argument. Only [`key`]
//! touches a file, and only [`Secret::mint`], [`Id::random`] and the creation
//! of a key ask the operating system for randomness.

pub mod format;
pub mod id;
pub mod key;
pub mod label;
pub mod policy;
mod random;

pub use format::{Prefix, Secret, recognise};
pub use id::{FamilyId, Id, TokenId};
pub use key::{HashKey, KeyId};
pub use label::{OwnerName, Purpose, RevokeReason};
pub use policy::{Lifetime, lifetime};
pub use random::RandomError;
