//! What a complete request asks for beyond a plain answer, and whether it may.

use super::{Head, option, seen};
use crate::{reason::Reason, swar};

const CONNECT: u64 = u64::from_le_bytes(*b"CONNECT\0");
/// In lower case, padding included.
const GET: u64 = u64::from_le_bytes(*b"get     ");
const HEAD: u64 = u64::from_le_bytes(*b"head    ");

impl Head {
    /// Judges by `options` what was read whole; behind trailers stands the next request.
    #[inline(always)]
    pub(super) fn complete(&mut self, options: u32) -> Result<(), Reason> {
        if self.place.seen & seen::TRAILERS != 0 {
            self.reset();
            return Ok(());
        }
        if self.has_body() && self.forbids_body(options) {
            return Err(Reason::Malformed);
        }
        let mut refused = self.is_connect() && options & option::CONNECT == 0;
        if self.place.seen & seen::UPGRADE != 0 {
            const UNFIT: u32 = seen::OTHER_UPGRADE | seen::VERSION_10;
            refused |= options & option::WEBSOCKET == 0
                || self.place.seen & UNFIT != 0
                || self.has_body()
                || self.is_connect();
        }
        if refused {
            self.place.seen |= seen::REFUSED;
        }
        Ok(())
    }

    /// Whether servers differ on what follows such a request if it has a body: a `CONNECT`
    /// has none (RFC 9110, section 9.3.6), and there are applications that do not read that of
    /// a GET. Some take a method in any case for a GET.
    #[inline(always)]
    const fn forbids_body(&self, options: u32) -> bool {
        let method = self.method | swar::LOWER;
        self.is_connect()
            || options & option::NO_BODY_ON_GET != 0 && (method == GET || method == HEAD)
    }

    #[inline(always)]
    const fn has_body(&self) -> bool {
        self.content_length() > 0 || self.is_chunked()
    }

    /// Whether this is a `CONNECT`. Valid once complete.
    #[inline(always)]
    #[must_use]
    pub const fn is_connect(&self) -> bool {
        // All of it, since what is longer has another eighth byte.
        self.method == CONNECT
    }

    /// Whether the request may have the connection become a WebSocket (RFC 6455,
    /// section 4.2.1). Valid once complete.
    #[inline(always)]
    #[must_use]
    pub const fn wants_upgrade(&self) -> bool {
        self.place.seen & (seen::UPGRADE | seen::REFUSED) == seen::UPGRADE
    }

    /// Whether its sender may wait for a `100 Continue` before it sends the body (RFC 9110,
    /// section 10.1.1). Valid once complete.
    #[inline(always)]
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.place.seen & seen::EXPECT != 0 && self.has_body()
    }
}
