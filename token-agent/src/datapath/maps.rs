//! Typed handles on the kernel's maps.

use std::{collections::BTreeMap, net::IpAddr};

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use bytemuck::{Pod, Zeroable};
use nix::errno::Errno;
use token_agent_common::{
    abi::{
        Address, AudienceKey, Facing, ListenKey, Match, Mode, Ports, Reporting, ServicePolicy,
        Settings, counter_index, counters,
    },
    digest::{Digest, KeyWords},
    http1::{Charset, CredentialRule, option},
    name::Name,
    reason::Reason,
    verdict::{Audience, TokenEntry},
};

use super::{
    Counter, MapUse, ServiceNumber,
    error::{DatapathError, errno},
    object::MAX_AUDIENCES,
};
use crate::{
    config::{self, Config, Listen, ListenAddress, Service},
    token::key::HashKey,
};

/// A value as the kernel holds it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Raw<T>(pub(super) T);

// SAFETY: `T` is plain data without padding or invalid bit patterns (bytemuck's
// derive checked that), which is what aya's `Pod` asks for; `Raw` adds nothing.
#[expect(unsafe_code, reason = "aya's marker for values that may go into a map")]
unsafe impl<T: Pod> aya::Pod for Raw<T> {}

pub(super) struct Maps {
    settings: Array<MapData, Raw<Settings>>,
    services: Array<MapData, Raw<ServicePolicy>>,
    tokens: HashMap<MapData, [u8; Digest::LEN], Raw<TokenEntry>>,
    audiences: HashMap<MapData, Raw<AudienceKey>, u8>,
    counters: PerCpuArray<MapData, u64>,
    reporting: PerCpuArray<MapData, Raw<Reporting>>,
    /// As configured, without an override; number 0 is the packets that belong to no one.
    policies: Vec<ServicePolicy>,
    overrides: BTreeMap<u32, (Mode, u64)>,
    key: KeyWords,
    tai_offset: i32,
    /// How many connections one source may have.
    quota: u32,
    /// Whom interfaces face.
    interfaces: HashMap<MapData, u32, u32>,
    is_zoned: bool,
    answers: bool,
    tokens_used: u32,
    tokens_capacity: u32,
    audiences_used: u32,
}

impl Maps {
    /// Takes the maps out of `object` and fills those the configuration decides.
    pub(super) fn new(
        object: &mut Ebpf,
        config: &Config,
        key: &HashKey,
    ) -> Result<Self, DatapathError> {
        let policies = policies(&config.services);
        let mut maps = Self {
            settings: take(object, "SETTINGS")?,
            services: take(object, "SERVICES")?,
            tokens: take(object, "TOKENS")?,
            audiences: take(object, "AUDIENCES")?,
            counters: take(object, "COUNTERS")?,
            reporting: take(object, "REPORTING")?,
            policies,
            overrides: BTreeMap::new(),
            key: KeyWords::new(key.expose()),
            tai_offset: tai_offset(),
            quota: config.datapath.max_flows_per_source,
            interfaces: take(object, "INTERFACES")?,
            is_zoned: false,
            answers: false,
            tokens_used: 0,
            tokens_capacity: config.datapath.max_tokens,
            audiences_used: 0,
        };
        maps.write_settings()?;
        maps.write_policies()?;
        fill_listeners(object, &config.services)?;
        Ok(maps)
    }

    pub(super) fn tokens(&self) -> Result<BTreeMap<Digest, TokenEntry>, DatapathError> {
        self.tokens
            .iter()
            .map(|entry| {
                entry.map(|(digest, entry)| {
                    let digest = Digest::from_bytes(digest);
                    (digest, entry.0.unsealed(&digest))
                })
            })
            .collect::<Result<_, _>>()
            .map_err(read("TOKENS"))
    }

    pub(super) fn put_token(
        &mut self,
        digest: &Digest,
        entry: &TokenEntry,
    ) -> Result<(), DatapathError> {
        put(
            &mut self.tokens,
            *digest.as_bytes(),
            Raw(entry.sealed(digest)),
            &mut self.tokens_used,
        )
        .map_err(write("TOKENS"))
    }

    pub(super) fn remove_token(&mut self, digest: &Digest) -> Result<(), DatapathError> {
        match self.tokens.remove(digest.as_bytes()) {
            Ok(()) => self.tokens_used -= 1,
            Err(error) if is(&error, Errno::ENOENT) => {}
            Err(error) => return Err(write("TOKENS")(error)),
        }
        Ok(())
    }

    pub(super) fn put_audience(
        &mut self,
        audience: Audience,
        service: ServiceNumber,
    ) -> Result<(), DatapathError> {
        let key = AudienceKey {
            audience: audience.number(),
            service: service.0,
        };
        put(&mut self.audiences, Raw(key), 1, &mut self.audiences_used).map_err(write("AUDIENCES"))
    }

    pub(super) fn override_mode(
        &mut self,
        service: ServiceNumber,
        mode: Option<(Mode, u64)>,
    ) -> Result<(), DatapathError> {
        let before = self.overrides.clone();
        match mode {
            Some(mode) => self.overrides.insert(service.0, mode),
            None => self.overrides.remove(&service.0),
        };
        let written = self.write_policies();
        if written.is_err() {
            self.overrides = before;
        }
        written
    }

    pub(super) fn follow_clock(&mut self) -> Result<(), DatapathError> {
        let offset = tai_offset();
        if offset != self.tai_offset {
            self.tai_offset = offset;
            self.write_settings()?;
        }
        Ok(())
    }

    pub(super) fn counters(&self) -> Result<Vec<Counter>, DatapathError> {
        let services = self.policies.len() as u32 - 1;
        let mut found = Vec::new();
        for service in 0..=services {
            for enforced in [false, true] {
                for reason in Reason::ALL {
                    let index = counter_index(service, enforced, reason);
                    let count = sum(&self.counters, index).map_err(read("COUNTERS"))?;
                    if count > 0 {
                        let service = (service > 0).then_some(ServiceNumber(service));
                        found.push(Counter {
                            service,
                            enforced,
                            reason,
                            count,
                        });
                    }
                }
            }
        }
        debug_assert_eq!(self.counters.len(), counters(services));
        Ok(found)
    }

    pub(super) fn denials_lost(&self) -> Result<u64, DatapathError> {
        let reporting = self.reporting.get(&0, 0).map_err(read("REPORTING"))?;
        Ok(reporting.iter().map(|cpu| cpu.0.lost).sum())
    }

    pub(super) fn usage(&self) -> Vec<MapUse> {
        vec![
            MapUse {
                name: "tokens",
                used: self.tokens_used,
                capacity: self.tokens_capacity,
            },
            MapUse {
                name: "audiences",
                used: self.audiences_used,
                capacity: MAX_AUDIENCES,
            },
        ]
    }

    fn write_settings(&mut self) -> Result<(), DatapathError> {
        let mut settings = Settings::new(self.key, self.tai_offset, self.quota);
        if self.is_zoned {
            settings = settings.zoned();
        }
        if self.answers {
            settings = settings.answering();
        }
        self.settings
            .set(0, Raw(settings), 0)
            .map_err(write("SETTINGS"))
    }

    /// Has data of connections that do not exist answered.
    pub(super) fn answer(&mut self) -> Result<(), DatapathError> {
        self.answers = true;
        self.write_settings()
    }

    /// Says whom the interface faces.
    pub(super) fn put_interface(
        &mut self,
        ifindex: u32,
        facing: Facing,
    ) -> Result<(), DatapathError> {
        self.interfaces
            .insert(ifindex, facing as u32, 0)
            .map_err(write("INTERFACES"))?;
        if facing == Facing::Service && !self.is_zoned {
            self.is_zoned = true;
            self.write_settings()?;
        }
        Ok(())
    }

    fn write_policies(&mut self) -> Result<(), DatapathError> {
        for number in 1..self.policies.len() as u32 {
            let mut policy = self.policies[number as usize];
            if let Some((mode, until)) = self.overrides.get(&number) {
                policy = policy.overridden(*mode, *until);
            }
            self.services
                .set(number, Raw(policy), 0)
                .map_err(write("SERVICES"))?;
        }
        self.services
            .set(0, Raw(self.policy_of_nobody()), 0)
            .map_err(write("SERVICES"))
    }

    /// What belongs to no one service is dropped as long as any service is enforced.
    fn policy_of_nobody(&self) -> ServicePolicy {
        let enforced = |number: &usize| self.policies[*number].enforces(0);
        let numbers = 1..self.policies.len();
        // Until when every enforced service is only monitored.
        let monitored_until = numbers
            .clone()
            .filter(enforced)
            .map(|number| match self.overrides.get(&(number as u32)) {
                Some((Mode::Monitor, until)) => *until,
                Some((Mode::Enforce, _)) | None => 0,
            })
            .min();
        // Until when a monitored one is enforced.
        let enforced_until = numbers
            .filter(|number| !enforced(number))
            .filter_map(|number| match self.overrides.get(&(number as u32)) {
                Some((Mode::Enforce, until)) => Some(*until),
                Some((Mode::Monitor, _)) | None => None,
            })
            .max();
        match (monitored_until, enforced_until) {
            (None, None) => no_policy(Mode::Monitor),
            (None, Some(until)) => no_policy(Mode::Monitor).overridden(Mode::Enforce, until),
            (Some(0), _) | (Some(_), Some(_)) => no_policy(Mode::Enforce),
            (Some(until), None) => no_policy(Mode::Enforce).overridden(Mode::Monitor, until),
        }
    }
}

fn policies(services: &[Service]) -> Vec<ServicePolicy> {
    let nobody = no_policy(Mode::Enforce);
    std::iter::once(nobody)
        .chain(services.iter().map(policy))
        .collect()
}

fn no_policy(mode: Mode) -> ServicePolicy {
    ServicePolicy::new(CredentialRule::zeroed(), mode, 0)
}

/// A service's policy, as the kernel reads it.
fn policy(service: &Service) -> ServicePolicy {
    let mode = match service.mode {
        config::Mode::Enforce => Mode::Enforce,
        config::Mode::Monitor => Mode::Monitor,
    };
    ServicePolicy::new(credential_rule(service), mode, options(service))
}

/// What a service allows or asks for beyond plain requests: for the kernel, and for `explain`.
pub(crate) const fn options(service: &Service) -> u32 {
    let mut options = 0;
    if service.proxy_protocol {
        options |= option::PROXY_PROTOCOL;
    }
    if service.websocket {
        options |= option::WEBSOCKET;
    }
    if service.connect {
        options |= option::CONNECT;
    }
    if !service.body_on_get {
        options |= option::NO_BODY_ON_GET;
    }
    options
}

/// Where a service's credential is found: for the kernel, and for `explain`.
pub(crate) fn credential_rule(service: &Service) -> CredentialRule {
    let name = |text: &str| Name::new(text).expect("the configuration checked its length");
    // RFC 6750 says which characters a bearer token has; other schemes have their own rules.
    let charset = if service.scheme.eq_ignore_ascii_case("bearer") {
        Charset::B64Token
    } else {
        Charset::Visible
    };
    CredentialRule::new(name(&service.header), name(&service.scheme), charset)
}

fn fill_listeners(object: &mut Ebpf, services: &[Service]) -> Result<(), DatapathError> {
    let mut listeners: HashMap<MapData, Raw<ListenKey>, u32> = take(object, "LISTENERS")?;
    let mut ports = vec![Ports::NONE; Ports::COUNT as usize];
    for (place, service) in services.iter().enumerate() {
        for listen in &service.listen {
            let (matching, address) = listen_match(listen);
            // Port 0 tells that something listens at the address.
            for port in [listen.port, 0] {
                let key = ListenKey::new(matching, address, port);
                let number = place as u32 + 1;
                listeners
                    .insert(Raw(key), number, 0)
                    .map_err(write("LISTENERS"))?;
                ports[Ports::index(port) as usize].insert(matching, address, port, number);
            }
        }
    }
    let mut map: Array<MapData, Raw<Ports>> = take(object, "PORTS")?;
    for (index, ports) in ports.into_iter().enumerate() {
        map.set(index as u32, Raw(ports), 0)
            .map_err(write("PORTS"))?;
    }
    Ok(())
}

fn listen_match(listen: &Listen) -> (Match, Address) {
    match listen.address {
        ListenAddress::Any => (Match::Any, Address::NONE),
        ListenAddress::AnyV4 => (Match::AnyIpv4, Address::NONE),
        ListenAddress::Ip(ip) => (Match::Exact, address(ip)),
    }
}

/// An address as the kernel side has it.
pub(super) fn address(ip: IpAddr) -> Address {
    let octets = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    Address::new(octets)
}

/// How far TAI is ahead of UTC on this host, in seconds.
fn tai_offset() -> i32 {
    use nix::time::{ClockId, clock_gettime};
    const CLOCK_TAI: ClockId = ClockId::from_raw(nix::libc::CLOCK_TAI);
    let seconds =
        |clock| clock_gettime(clock).map(|time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9);
    match (seconds(CLOCK_TAI), seconds(ClockId::CLOCK_REALTIME)) {
        (Ok(tai), Ok(utc)) => (tai - utc).round() as i32,
        _ => 0,
    }
}

pub(super) fn take<M: TryFrom<Map, Error = MapError>>(
    object: &mut Ebpf,
    name: &'static str,
) -> Result<M, DatapathError> {
    let map = object
        .take_map(name)
        .ok_or(DatapathError::Incomplete { what: name })?;
    M::try_from(map).map_err(read(name))
}

/// Inserts or replaces, and counts what is new.
fn put<K: aya::Pod, V: aya::Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: K,
    value: V,
    used: &mut u32,
) -> Result<(), MapError> {
    const NOEXIST: u64 = 1;
    const EXIST: u64 = 2;
    match map.insert(key, value, NOEXIST) {
        Ok(()) => {
            *used += 1;
            Ok(())
        }
        Err(error) if is(&error, Errno::EEXIST) => map.insert(key, value, EXIST),
        Err(error) => Err(error),
    }
}

fn sum(map: &PerCpuArray<MapData, u64>, index: u32) -> Result<u64, MapError> {
    Ok(map.get(&index, 0)?.iter().sum())
}

pub(super) fn is(error: &MapError, number: Errno) -> bool {
    matches!(error, MapError::KeyNotFound) && number == Errno::ENOENT
        || errno(error) == Some(number as i32)
}

pub(super) fn read(map: &'static str) -> impl Fn(MapError) -> DatapathError {
    move |source| DatapathError::Map {
        operation: "read",
        map,
        source,
    }
}

pub(super) fn write(map: &'static str) -> impl Fn(MapError) -> DatapathError {
    move |source| DatapathError::Map {
        operation: "write",
        map,
        source,
    }
}
