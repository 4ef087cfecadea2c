//! What can be seen of a connection from outside, by those who try out what it does.

use super::{Connection, NONE, flag};

impl Connection {
    /// Whether deciding bytes are on their way that were not kept.
    #[must_use]
    pub const fn has_unkept(&self) -> bool {
        self.unkept_from != NONE
    }

    /// Whether the client's stream has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.fin != NONE
    }

    /// Whether the first request asked for an upgrade, and the server has not answered that.
    #[must_use]
    pub const fn awaits_upgrade(&self) -> bool {
        self.flags & flag::UPGRADE != 0
    }

    /// Whether something has passed behind that request.
    #[must_use]
    pub const fn has_spoken(&self) -> bool {
        self.flags & flag::SPOKE != 0
    }

    /// Whether an announced body may wait to be asked for.
    #[must_use]
    pub const fn expects(&self) -> bool {
        self.flags & flag::EXPECT != 0
    }

    /// Up to where the server must have acknowledged first.
    #[must_use]
    pub const fn due(&self) -> u64 {
        self.due
    }
}
