//! What kernel and agent share: keys and values of the maps, and events.
//!
//! All of it is plain data without padding (the derive of `Pod` refuses any),
//! and every size is pinned below: a change here is a change of layout.

use bytemuck::{Pod, Zeroable};

use crate::{
    digest::{Digest, KeyWords},
    http1::CredentialRule,
    reason::Reason,
    verdict::TokenEntry,
};

/// An IPv6 address; IPv4 as `::ffff:a.b.c.d` (RFC 4291, section 2.5.5.2).
///
/// In memory its sixteen bytes are in network order; as two words they are
/// copied and compared in two steps.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, Pod, PartialEq, PartialOrd, Zeroable)]
#[repr(C)]
pub struct Address {
    words: [u64; 2],
}

impl Address {
    /// All zero.
    pub const NONE: Self = Self { words: [0; 2] };

    /// The second word of an IPv4 address has these four bytes first.
    const MAPPED: u64 = u64::from_ne_bytes([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    const MAPPED_MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

    /// The address with these bytes, in network order.
    #[must_use]
    pub fn new(octets: [u8; 16]) -> Self {
        bytemuck::cast(octets)
    }

    /// Its bytes, in network order.
    #[must_use]
    pub fn octets(self) -> [u8; 16] {
        bytemuck::cast(self)
    }

    /// The address whose memory holds these two words.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The IPv4 address whose four bytes are, in memory, those of `word`.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4(word: u32) -> Self {
        let word = if cfg!(target_endian = "little") {
            (word as u64) << 32
        } else {
            word as u64
        };
        Self {
            words: [0, Self::MAPPED | word],
        }
    }

    #[inline(always)]
    const fn is(&self, other: &Self) -> bool {
        self.words[0] == other.words[0] && self.words[1] == other.words[1]
    }

    /// Whether it means something on its own link alone (RFC 4291, section 2.5.6): `fe80::/10`.
    #[inline(always)]
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        self.words[0].to_le() as u16 & u16::from_le_bytes([0xff, 0xc0])
            == u16::from_le_bytes([0xfe, 0x80])
    }

    /// Whose connections are counted together: an IPv4 address, or the 64 bits of an IPv6
    /// address that tell a network (RFC 4291, section 2.5.4), since one host has all of it.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> Self {
        if self.is_ipv4() {
            *self
        } else {
            Self {
                words: [self.words[0], 0],
            }
        }
    }

    /// Its bytes as four numbers, each as it is in memory.
    #[inline(always)]
    #[must_use]
    pub const fn quarters(&self) -> [u32; 4] {
        let [first, last] = self.words;
        if cfg!(target_endian = "little") {
            [
                first as u32,
                (first >> 32) as u32,
                last as u32,
                (last >> 32) as u32,
            ]
        } else {
            [
                (first >> 32) as u32,
                first as u32,
                (last >> 32) as u32,
                last as u32,
            ]
        }
    }

    /// Whether it is an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn is_ipv4(&self) -> bool {
        self.words[0] == 0 && self.words[1] & Self::MAPPED_MASK == Self::MAPPED
    }
}

/// How a service's listening address is matched.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u16)]
pub enum Match {
    /// This very address.
    Exact = 0,
    /// Every IPv4 address; the key's address is all zero.
    AnyIpv4 = 1,
    /// Every address of both families; the key's address is all zero.
    Any = 2,
}

/// Key of the map from listening address to service number. Port 0 stands for
/// "any port": it tells that some service listens at the address.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct ListenKey {
    address: Address,
    port: u16,
    matching: u16,
    reserved: u32,
}

impl ListenKey {
    /// The key of a listener; `port` in host order.
    #[inline(always)]
    #[must_use]
    pub const fn new(matching: Match, address: Address, port: u16) -> Self {
        let address = match matching {
            Match::Exact => address,
            Match::AnyIpv4 | Match::Any => Address::NONE,
        };
        Self {
            address,
            port,
            matching: matching as u16,
            reserved: 0,
        }
    }
}

/// 64 neighbouring ports: which of them some service listens on, by kind of
/// match. Looked at before any hash, so that other traffic costs next to nothing.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Ports {
    exact: u64,
    any_ipv4: u64,
    any: u64,
    /// The first listener noted.
    first: ListenKey,
    /// Its service.
    service: u32,
    listeners: u32,
}

impl Ports {
    /// How many of these cover all ports.
    pub const COUNT: u32 = 1024;

    /// Ports on which no service listens.
    pub const NONE: Self = Self {
        exact: 0,
        any_ipv4: 0,
        any: 0,
        first: ListenKey::new(Match::Exact, Address::NONE, 0),
        service: 0,
        listeners: 0,
    };

    /// Which of them `port` (host order) is in.
    #[inline(always)]
    #[must_use]
    pub const fn index(port: u16) -> u32 {
        (port >> 6) as u32
    }

    /// Notes that a service listens there.
    pub const fn insert(&mut self, matching: Match, address: Address, port: u16, service: u32) {
        let bit = 1 << (port & 63);
        match matching {
            Match::Exact => self.exact |= bit,
            Match::AnyIpv4 => self.any_ipv4 |= bit,
            Match::Any => self.any |= bit,
        }
        if self.listeners == 0 {
            self.first = ListenKey::new(matching, address, port);
            self.service = service;
        }
        self.listeners += 1;
    }

    /// The service that listens at `server` and `port`, if it is the only listener on these ports.
    #[inline(always)]
    #[must_use]
    pub const fn only(&self, server: &Address, port: u16) -> Option<u32> {
        const EXACT: u16 = Match::Exact as u16;
        const ANY_IPV4: u16 = Match::AnyIpv4 as u16;
        if self.listeners != 1 || self.first.port != port {
            return None;
        }
        let fits = match self.first.matching {
            EXACT => self.first.address.is(server),
            ANY_IPV4 => server.is_ipv4(),
            _ => true,
        };
        if fits { Some(self.service) } else { None }
    }

    /// Whether any service listens on `port`.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, port: u16) -> bool {
        ((self.exact | self.any_ipv4 | self.any) >> (port & 63)) & 1 == 1
    }

    /// Whether a service listens on `port` with this kind of match.
    #[inline(always)]
    #[must_use]
    pub const fn contains(&self, matching: Match, port: u16) -> bool {
        let bits = match matching {
            Match::Exact => self.exact,
            Match::AnyIpv4 => self.any_ipv4,
            Match::Any => self.any,
        };
        (bits >> (port & 63)) & 1 == 1
    }
}

/// How many interfaces may face a service.
pub const ZONES: u32 = 4_096;

/// Whether a service's verdicts are carried out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u32)]
pub enum Mode {
    /// Denied requests are dropped.
    Enforce = 0,
    /// Everything passes; what would have been denied is counted and reported.
    Monitor = 1,
}

/// What a service asks for.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct ServicePolicy {
    credential: CredentialRule,
    /// Until when `override_mode` holds: nanoseconds since the Unix epoch, 0 for not at all.
    override_until: u64,
    mode: u32,
    override_mode: u32,
    options: u32,
    reserved: u32,
}

impl ServicePolicy {
    /// A policy without an override; `options` are bits of [`option`](crate::http1::option).
    #[must_use]
    pub const fn new(credential: CredentialRule, mode: Mode, options: u32) -> Self {
        Self {
            credential,
            override_until: 0,
            mode: mode as u32,
            override_mode: 0,
            options,
            reserved: 0,
        }
    }

    /// The same with `mode` in force until `until` (nanoseconds since the Unix
    /// epoch; `u64::MAX` for good).
    #[must_use]
    pub const fn overridden(mut self, mode: Mode, until: u64) -> Self {
        self.override_mode = mode as u32;
        self.override_until = until;
        self
    }

    /// Where the credential is.
    #[inline(always)]
    #[must_use]
    pub const fn credential(&self) -> &CredentialRule {
        &self.credential
    }

    /// Bits of [`option`](crate::http1::option).
    #[inline(always)]
    #[must_use]
    pub const fn options(&self) -> u32 {
        self.options
    }

    /// Whether the time decides which mode is in force.
    #[inline(always)]
    #[must_use]
    pub const fn is_overridden(&self) -> bool {
        self.override_until != 0
    }

    /// Whether verdicts are carried out at `now`, in nanoseconds since the Unix
    /// epoch. Without an override `now` does not matter.
    #[inline(always)]
    #[must_use]
    pub const fn enforces(&self, now: u64) -> bool {
        let mode = if now < self.override_until {
            self.override_mode
        } else {
            self.mode
        };
        mode != Mode::Monitor as u32
    }
}

/// What holds for every service: the one value of the settings map.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Settings {
    key: KeyWords,
    /// What to add to the kernel's TAI clock to have UTC, in nanoseconds (wrapping).
    tai_to_utc: u64,
    /// How many connections one source may have.
    quota: u64,
    /// 1 if some interface faces a service.
    is_zoned: u64,
    /// 1 if data of connections that do not exist is answered.
    answers: u64,
}

impl Settings {
    /// The hash key; how far TAI is ahead of UTC on this host, in seconds
    /// (`adjtimex(2)`: 0 unless a time daemon set it); how many connections one source may have.
    #[must_use]
    pub const fn new(key: KeyWords, tai_offset: i32, quota: u32) -> Self {
        Self {
            key,
            tai_to_utc: (-(tai_offset as i64) * 1_000_000_000) as u64,
            quota: quota as u64,
            is_zoned: 0,
            answers: 0,
        }
    }

    /// The same with interfaces that face a service: the map of zones tells which.
    #[must_use]
    pub const fn zoned(mut self) -> Self {
        self.is_zoned = 1;
        self
    }

    /// The same with data of connections that do not exist answered by a RST: once what is older than
    /// the guard was seen to, until when it may yet turn out to exist.
    #[must_use]
    pub const fn answering(mut self) -> Self {
        self.answers = 1;
        self
    }

    /// Whether data of connections that do not exist is answered.
    #[inline(always)]
    #[must_use]
    pub const fn answers(&self) -> bool {
        self.answers != 0
    }

    /// Whether some interface faces a service.
    #[inline(always)]
    #[must_use]
    pub const fn is_zoned(&self) -> bool {
        self.is_zoned != 0
    }

    /// How many connections one source may have.
    #[inline(always)]
    #[must_use]
    pub const fn quota(&self) -> u64 {
        self.quota
    }

    /// The hash key.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self) -> &KeyWords {
        &self.key
    }

    /// Nanoseconds since the Unix epoch, from the kernel's TAI clock.
    #[inline(always)]
    #[must_use]
    pub const fn utc(&self, tai: u64) -> u64 {
        tai.wrapping_add(self.tai_to_utc)
    }
}

/// Key of the set of (audience, service) pairs: there for each service of each audience.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct AudienceKey {
    /// [`crate::verdict::Audience::number`].
    pub audience: u32,
    /// The service's number.
    pub service: u32,
}

/// Of how many connections it is remembered which slots they have.
pub const RECENT: u32 = 4096;

/// Key of the map of connections.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, PartialEq, Zeroable)]
#[repr(C)]
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

impl FlowKey {
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

/// What is counted of the tables of connections, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Usage {
    /// Slots that some connection has.
    Slots = 0,
    /// Slots that were ever used.
    SlotsEver = 1,
    /// Buffers that some connection has.
    Buffers = 2,
    /// Buffers that were ever used.
    BuffersEver = 3,
    /// How many slots were looked at whether they can be given back.
    Swept = 4,
    /// Pages that some buffer has.
    Pages = 5,
    /// Pages that were ever used.
    PagesEver = 6,
}

impl Usage {
    /// How many counts there are.
    pub const COUNT: u32 = 7;
}

/// Where a counter stands in the per-CPU array of counters.
///
/// A row for each service and way of enforcement; a column for each reason.
/// Row 0 is for packets that belong to no one service.
#[inline(always)]
#[must_use]
pub const fn counter_index(service: u32, enforced: bool, reason: Reason) -> u32 {
    (service * 2 + enforced as u32) * Reason::COUNT as u32 + reason as u32
}

/// How many counters `services` services (numbered from 1) need.
#[must_use]
pub const fn counters(services: u32) -> u32 {
    (services + 1) * 2 * Reason::COUNT as u32
}

/// A denial, as the kernel reports it through the ring buffer.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Denial {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The method's first eight bytes, zero-padded; zero if none was read.
    pub method: [u8; 8],
    /// The credential's digest; all zero if there was none.
    pub digest: Digest,
    /// The client, the server and their ports.
    pub flow: FlowKey,
    /// The interface the packet arrived on.
    pub interface: u32,
    /// The service's number, 0 for none.
    pub service: u32,
    /// [`Reason`] as a number.
    pub reason: u8,
    /// 1 if the packet was dropped, 0 if the service is only monitored.
    pub enforced: u8,
    /// Zero.
    pub reserved: [u8; 6],
}

/// The kernel wakes the agent for denials at most that often, in nanoseconds.
/// For longer than that after it was woken, the agent looks again by itself.
pub const WAKE_INTERVAL: u64 = 20_000_000;

/// What a CPU keeps about reporting.
#[derive(Clone, Copy, Debug, Default, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct Reporting {
    /// Denials that did not fit in the ring buffer.
    pub lost: u64,
    /// When the agent was last woken, in nanoseconds since the Unix epoch.
    pub woken: u64,
}

const _: () = {
    assert!(size_of::<TokenEntry>() == 32);
    assert!(size_of::<ListenKey>() == 24);
    assert!(size_of::<Ports>() == 56);
    assert!(size_of::<ServicePolicy>() == 112);
    assert!(size_of::<Settings>() == 64);
    assert!(size_of::<AudienceKey>() == 8);
    assert!(size_of::<FlowKey>() == 40);
    assert!(size_of::<Question>() == 48);
    assert!(size_of::<Denial>() == 88);
    assert!(size_of::<Reporting>() == 16);
};

#[cfg(test)]
mod tests;
