//! Who asked for something.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The user at the other end of the control socket, as the kernel names it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Actor {
    pub uid: u32,
    /// The user's name, if the host knows one.
    pub user: Option<String>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => f.write_str(user),
            None => write!(f, "uid {}", self.uid),
        }
    }
}
