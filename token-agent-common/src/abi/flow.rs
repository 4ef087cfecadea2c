//! Connections, and what the agent asks about them.

use bytemuck::{Pod, Zeroable};

use super::Address;

/// Of how many connections it is remembered which slots they have.
pub const RECENT: u32 = 4096;

/// Key of the map of connections.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
#[expect(
    clippy::derived_hash_with_manual_eq,
    reason = "equal is what has equal fields, only told with fewer steps"
)]
pub struct FlowKey {
    /// Who connected.
    pub client: Address,
    /// The address connected to.
    pub server: Address,
    /// Host order.
    pub client_port: u16,
    /// Host order.
    pub server_port: u16,
    /// Tells connections apart whose addresses are the same: the index of the interface, where
    /// it faces the service or an address means something on it alone; else 0.
    pub zone: u32,
}

impl PartialEq for FlowKey {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let (words, others) = (self.words(), other.words());
        (words[0] ^ others[0])
            | (words[1] ^ others[1])
            | (words[2] ^ others[2])
            | (words[3] ^ others[3])
            | (words[4] ^ others[4])
            == 0
    }
}

impl FlowKey {
    #[inline(always)]
    fn words(&self) -> &[u64; 5] {
        bytemuck::cast_ref(self)
    }

    /// All of it in one word, another one if one of its fields is another.
    #[inline(always)]
    pub(crate) const fn folded(&self) -> u64 {
        let ports =
            self.client_port as u64 | (self.server_port as u64) << 16 | (self.zone as u64) << 32;
        let [client, server] = [self.client.words, self.server.words];
        client[0]
            ^ client[1].rotate_left(13)
            ^ server[0].rotate_left(26)
            ^ server[1].rotate_left(39)
            ^ ports.rotate_left(52)
    }

    /// Where the number of its slot may be remembered: below [`RECENT`].
    #[inline(always)]
    #[must_use]
    pub const fn place(&self) -> u32 {
        const GOLDEN: u32 = 0x9e37_79b1;
        let client = self.client.words[1] >> 32 ^ self.client.words[1] ^ self.client_port as u64;
        (client as u32).wrapping_mul(GOLDEN) >> (32 - RECENT.trailing_zeros())
    }

    /// No connection.
    pub const NONE: Self = Self {
        client: Address::NONE,
        server: Address::NONE,
        client_port: 0,
        server_port: 0,
        zone: 0,
    };
}

/// What the agent asks about a connection that one of this host's sockets has.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Question {
    /// Which one; its zone is found out by who answers.
    pub flow: FlowKey,
    /// 1 if the guard shall go on with it where it is not known yet.
    pub adopt: u32,
    reserved: u32,
}

impl Question {
    /// No question yet.
    pub const NONE: Self = Self {
        flow: FlowKey::NONE,
        adopt: 0,
        reserved: 0,
    };

    /// Asks whether the connection is known; with `adopt`, to go on with it if it is not.
    #[must_use]
    pub const fn new(flow: FlowKey, adopt: bool) -> Self {
        Self {
            flow,
            adopt: adopt as u32,
            reserved: 0,
        }
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Standing {
    /// The guard knows nothing of it, so nothing passes on it.
    Unknown = 0,
    /// It is being judged, or will be from its first byte on.
    Known = 1,
    /// The same, from now on.
    Adopted = 2,
}

impl Standing {
    /// The answer with this number.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Known,
            2 => Self::Adopted,
            _ => Self::Unknown,
        }
    }
}
