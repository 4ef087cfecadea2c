//! Where services listen.

use bytemuck::{Pod, Zeroable};

use super::Address;

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

/// How many listeners on neighbouring ports are listed: where there are more, they are looked up.
const LISTED: usize = 4;

/// Who listens there.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
struct Listener {
    address: Address,
    port: u16,
    matching: u16,
    service: u32,
}

impl Listener {
    const NONE: Self = Self {
        address: Address::NONE,
        port: 0,
        matching: 0,
        service: 0,
    };

    #[inline(always)]
    const fn is_at(&self, server: &Address, port: u16) -> bool {
        const EXACT: u16 = Match::Exact as u16;
        const ANY_IPV4: u16 = Match::AnyIpv4 as u16;
        self.port == port
            && match self.matching {
                EXACT => self.address.is(server),
                ANY_IPV4 => server.is_ipv4(),
                _ => true,
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
    /// The listeners, the most specific first; some of them if there are more.
    listed: [Listener; LISTED],
    /// How many there are.
    count: u64,
}

impl Ports {
    /// How many of these cover all ports.
    pub const COUNT: u32 = 1024;

    /// Ports on which no service listens.
    pub const NONE: Self = Self {
        exact: 0,
        any_ipv4: 0,
        any: 0,
        listed: [Listener::NONE; LISTED],
        count: 0,
    };

    /// Which of them `port` (host order) is in.
    #[inline(always)]
    #[must_use]
    pub const fn index(port: u16) -> u32 {
        (port >> 6) as u32
    }

    /// Notes that a service listens there.
    pub fn insert(&mut self, matching: Match, address: Address, port: u16, service: u32) {
        let bit = 1 << (port & 63);
        match matching {
            Match::Exact => self.exact |= bit,
            Match::AnyIpv4 => self.any_ipv4 |= bit,
            Match::Any => self.any |= bit,
        }
        if let Some(last) = self.listed.get_mut(self.count as usize) {
            let matching = matching as u16;
            *last = Listener {
                address,
                port,
                matching,
                service,
            };
            self.listed[..=self.count as usize].sort_unstable_by_key(|listener| listener.matching);
        }
        self.count += 1;
    }

    /// Whether all listeners are listed, so that [`listed`](Self::listed) finds each.
    #[inline(always)]
    #[must_use]
    pub const fn lists_all(&self) -> bool {
        self.count <= LISTED as u64
    }

    /// The listed service that listens at `server` and `port`, by its most specific match.
    #[inline(always)]
    #[must_use]
    pub const fn listed(&self, server: &Address, port: u16) -> Option<u32> {
        let mut i = 0;
        while i < LISTED {
            let listener = &self.listed[i];
            if i as u64 >= self.count {
                break;
            }
            if listener.is_at(server, port) {
                return Some(listener.service);
            }
            i += 1;
        }
        None
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
