use super::*;
use crate::{
    digest::KeyWords,
    http1::{Charset, CredentialRule},
    name::Name,
    reason::Reason,
};

#[test]
fn addresses_are_in_network_order() {
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 5];
    let address = Address::ipv4(u32::from_ne_bytes([10, 0, 0, 5]));
    assert_eq!(address.octets(), mapped);
    assert_eq!(address, Address::new(mapped));
    assert!(address.is_ipv4() && !Address::NONE.is_ipv4() && !Address::new([1; 16]).is_ipv4());
    for i in 0..12 {
        let mut other = mapped;
        other[i] ^= 1;
        assert!(!Address::new(other).is_ipv4(), "byte {i}");
    }
}

#[test]
fn quarters_are_what_is_in_memory() {
    let octets = core::array::from_fn(|i| i as u8);
    let quarters = Address::new(octets).quarters();
    let bytes: [[u8; 4]; 4] = quarters.map(u32::to_ne_bytes);
    assert_eq!(bytes.as_flattened(), octets);
}

#[test]
fn a_standing_has_its_number() {
    for standing in [Standing::Unknown, Standing::Known, Standing::Adopted] {
        assert_eq!(Standing::from_code(standing as u32), standing);
    }
    // What the kernel's own errors would be.
    assert_eq!(Standing::from_code(u32::MAX), Standing::Unknown);
}

#[test]
fn an_override_ends_by_the_clock() {
    let rule = CredentialRule::new(Name::EMPTY, Name::EMPTY, Charset::Visible);
    let policy = ServicePolicy::new(rule, Mode::Enforce, 0);
    assert!(policy.enforces(0) && !policy.is_overridden());
    let monitored = policy.overridden(Mode::Monitor, 100);
    assert!(!monitored.enforces(99) && monitored.enforces(100));
    assert!(!ServicePolicy::new(rule, Mode::Monitor, 0).enforces(0));
}

#[test]
fn utc_follows_tai() {
    let settings = Settings::new(KeyWords::new(&[0; 32]), 37, 1);
    assert_eq!(settings.utc(100_000_000_000), 63_000_000_000);
}

#[test]
fn every_counter_has_its_place() {
    let services = 3;
    let mut seen = [false; counters(3) as usize];
    for service in 0..=services {
        for enforced in [false, true] {
            for reason in Reason::ALL {
                let place = &mut seen[counter_index(service, enforced, reason) as usize];
                assert!(!core::mem::replace(place, true));
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn listeners_are_told_apart() {
    let (here, there) = (Address::ipv4(1), Address::ipv4(2));
    let keys = [
        ListenKey::new(Match::Exact, here, 80),
        ListenKey::new(Match::Exact, here, 81),
        ListenKey::new(Match::Exact, there, 80),
        ListenKey::new(Match::Exact, Address::NONE, 80),
        ListenKey::new(Match::AnyIpv4, here, 80),
        ListenKey::new(Match::Any, here, 80),
    ];
    for (i, key) in keys.iter().enumerate() {
        assert!(!keys[..i].contains(key));
    }
    for matching in [Match::AnyIpv4, Match::Any] {
        let key = |address| ListenKey::new(matching, address, 80);
        assert_eq!(key(here), key(there));
    }
}

#[test]
fn a_listener_is_known_by_its_address() {
    let [ipv4, other, ipv6] = [Address::ipv4(1), Address::ipv4(2), Address::new([1; 16])];
    for (matching, address, fits) in [
        (Match::Exact, ipv4, [true, false, false]),
        (Match::Exact, ipv6, [false, false, true]),
        (Match::AnyIpv4, Address::NONE, [true, true, false]),
        (Match::Any, Address::NONE, [true, true, true]),
    ] {
        let mut ports = Ports::NONE;
        ports.insert(matching, address, 8080, 7);
        let got = [ipv4, other, ipv6].map(|server| ports.listed(&server, 8080).is_some());
        assert_eq!(got, fits, "{matching:?} {address:?}");
    }
}

#[test]
fn the_most_specific_listener_is_found_however_they_were_noted() {
    let [server, other] = [Address::ipv4(1), Address::ipv4(2)];
    let ipv6 = Address::new([1; 16]);
    let all = [
        (Match::Any, Address::NONE, 1),
        (Match::AnyIpv4, Address::NONE, 2),
        (Match::Exact, server, 3),
    ];
    for first in 0..3 {
        for step in [1, 2] {
            let mut ports = Ports::NONE;
            for i in 0..3 {
                let (matching, address, service) = all[(first + i * step) % 3];
                ports.insert(matching, address, 8080, service);
            }
            let found = [server, other, ipv6].map(|server| ports.listed(&server, 8080));
            assert_eq!(found, [Some(3), Some(2), Some(1)]);
        }
    }
}

#[test]
fn ports_are_told_apart() {
    let server = Address::ipv4(1);
    let mut ports = Ports::NONE;
    assert_eq!(ports.listed(&Address::NONE, 0), None);
    ports.insert(Match::Any, Address::NONE, 8080, 7);
    ports.insert(Match::Exact, server, 8127, 8);
    assert_eq!(Ports::index(8080), Ports::index(8127));
    let found = [8080, 8127, 8081].map(|port| ports.listed(&server, port));
    assert_eq!(found, [Some(7), Some(8), None]);
    assert!(ports.contains(Match::Any, 8080) && !ports.contains(Match::Any, 8127));
    assert!(ports.contains(Match::Exact, 8127) && !ports.contains(Match::Exact, 8080));
    assert!(!ports.contains(Match::AnyIpv4, 8080));
    assert!(Ports::index(u16::MAX) == Ports::COUNT - 1);
}

#[test]
fn more_listeners_than_are_listed_are_noticed() {
    let mut ports = Ports::NONE;
    for port in 0..4 {
        ports.insert(Match::Any, Address::NONE, port, 7);
        assert!(ports.lists_all());
    }
    ports.insert(Match::Any, Address::NONE, 4, 7);
    assert!(!ports.lists_all() && ports.has(4));
}
