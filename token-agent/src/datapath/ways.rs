//! Ways to a service that no guard is on.
//!
//! Where a server listens on all addresses, every interface with an address of
//! the family is a way to it; where it listens on one, the interface that has it.
//! What an interface brings comes by those below it: a bond, a bridge or a VLAN is
//! guarded if they are. Programs on the host itself come by `lo`, to any address.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    Interface,
    device::{self, Device},
    error::DatapathError,
};
use crate::config::{Config, Facing, Listen, ListenAddress};

/// An interface by which a service can be reached past the guard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// Its name.
    pub interface: String,
    /// Only programs on this host come by it, and clients have others.
    pub is_side_way: bool,
}

/// Where packets can come from, with what each interface is told by.
struct Map {
    devices: Vec<Device>,
    /// The host's own, each with the number of its interface.
    addresses: Vec<(u32, IpAddr)>,
    /// The numbers of those on which requests are judged as they come in.
    guarded: BTreeSet<u32>,
}

/// How an interface leads to a listener.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Leads {
    Nowhere,
    Aside,
    There,
}

/// The ways to each service past the guard, if it is as `interfaces` tell.
pub(super) fn uncovered(
    config: &Config,
    interfaces: &[Interface],
) -> Result<Vec<Vec<Way>>, DatapathError> {
    let mut configured = config.datapath.interfaces.iter();
    if configured.all(|(_, facing)| facing == Facing::Service) {
        // The services are all behind those interfaces: no server of this host is meant.
        return Ok(vec![Vec::new(); config.services.len()]);
    }
    let judging = interfaces
        .iter()
        .filter(|interface| interface.is_guarded() && interface.facing == Facing::Client.as_str());
    let map = Map {
        devices: device::list().map_err(DatapathError::Interfaces)?,
        addresses: device::addresses().map_err(DatapathError::Interfaces)?,
        guarded: judging.filter_map(|interface| interface.ifindex).collect(),
    };
    let ways = config
        .services
        .iter()
        .map(|service| map.ways(&service.listen));
    Ok(ways.collect())
}

impl Map {
    fn ways(&self, listens: &[Listen]) -> Vec<Way> {
        let open = self
            .devices
            .iter()
            .filter(|device| device.is_up && !self.is_covered(device));
        let leads = |device| {
            listens
                .iter()
                .map(|listen| self.leads(device, listen.address))
                .max()
        };
        open.filter_map(|device| {
            let is_side_way = match leads(device)? {
                Leads::Nowhere => return None,
                Leads::Aside => true,
                Leads::There => false,
            };
            let interface = device.name.clone();
            Some(Way {
                interface,
                is_side_way,
            })
        })
        .collect()
    }

    fn leads(&self, device: &Device, address: ListenAddress) -> Leads {
        let there_if = |leads| if leads { Leads::There } else { Leads::Nowhere };
        let has =
            |is_meant: &dyn Fn(IpAddr) -> bool| device.brings_packets && self.has(device, is_meant);
        match address {
            ListenAddress::Ip(ip) if ip.is_loopback() => there_if(device.is_loopback),
            // What is for it is passed on, to where it is guarded or not.
            ListenAddress::Ip(ip) if self.holders(ip).next().is_none() => Leads::Nowhere,
            ListenAddress::Any | ListenAddress::AnyV4 | ListenAddress::Ip(_)
                if device.is_loopback =>
            {
                Leads::Aside
            }
            ListenAddress::Any => there_if(has(&|_| true)),
            ListenAddress::AnyV4 => there_if(has(&|own| own.is_ipv4())),
            ListenAddress::Ip(ip) if self.holders(ip).any(|holder| holder.brings_packets) => {
                there_if(has(&|own| own == ip))
            }
            // An address on `lo` or the like is routed here by any.
            ListenAddress::Ip(ip) => there_if(has(&|own| own.is_ipv4() == ip.is_ipv4())),
        }
    }

    fn has(&self, device: &Device, is_meant: &dyn Fn(IpAddr) -> bool) -> bool {
        let mut addresses = self.addresses.iter();
        addresses.any(|(index, address)| *index == device.index && is_meant(*address))
    }

    fn holders(&self, ip: IpAddr) -> impl Iterator<Item = &Device> {
        let holders = self
            .addresses
            .iter()
            .filter(move |(_, address)| *address == ip);
        holders.filter_map(|(index, _)| self.devices.iter().find(|device| device.index == *index))
    }

    /// Whether all that it brings is judged.
    fn is_covered(&self, device: &Device) -> bool {
        let is_below = |other: &&Device| {
            other.master == Some(device.index) || device.below == Some(other.index)
        };
        let mut below = self.devices.iter().filter(is_below).peekable();
        self.guarded.contains(&device.index)
            || (below.peek().is_some() && below.all(|other| self.is_covered(other)))
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkLayerType;

    use super::*;

    fn device(index: u32, name: &str) -> Device {
        Device {
            index,
            name: name.into(),
            layer: LinkLayerType::Ether,
            is_hardware: true,
            is_loopback: index == 1,
            is_up: true,
            brings_packets: index != 1,
            master: None,
            below: None,
            xdp: Vec::new(),
        }
    }

    /// `lo`, and two cards with a network each; 192.0.2.1 is on `lo`.
    fn map(guarded: &[u32]) -> Map {
        let addresses = [
            (1, "127.0.0.1"),
            (1, "::1"),
            (1, "192.0.2.1"),
            (2, "10.0.0.5"),
            (2, "fe80::2"),
            (3, "10.1.0.5"),
        ];
        Map {
            devices: vec![device(1, "lo"), device(2, "eth0"), device(3, "eth1")],
            addresses: addresses
                .map(|(index, ip)| (index, ip.parse().unwrap()))
                .into(),
            guarded: guarded.iter().copied().collect(),
        }
    }

    /// The ways, those aside in brackets.
    fn ways(map: &Map, listens: &[&str]) -> String {
        let listens: Vec<Listen> = listens.iter().map(|text| text.parse().unwrap()).collect();
        let ways = map.ways(&listens).into_iter().map(|way| {
            if way.is_side_way {
                format!("({})", way.interface)
            } else {
                way.interface
            }
        });
        ways.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_address_is_reached_by_the_interface_that_has_it_and_from_the_host() {
        let open = map(&[]);
        for (listen, expected) in [
            (&["*:80"][..], "(lo) eth0 eth1"),
            (&["0.0.0.0:80"], "(lo) eth0 eth1"),
            (&["10.0.0.5:80"], "(lo) eth0"),
            (&["[fe80::2]:80"], "(lo) eth0"),
            (&["10.0.0.5:80", "10.1.0.5:80"], "(lo) eth0 eth1"),
            (&["127.0.0.1:80"], "lo"),
            (&["127.9.9.9:80"], "lo"),
            (&["10.0.0.5:80", "[::1]:80"], "lo eth0"),
            // By any interface, and only of this family; and one of another host's.
            (&["192.0.2.1:80"], "(lo) eth0 eth1"),
            (&["198.51.100.1:80"], ""),
        ] {
            assert_eq!(ways(&open, listen), expected, "{listen:?}");
        }
        let guarded = map(&[2]);
        assert_eq!(ways(&guarded, &["*:80"]), "(lo) eth1");
        assert_eq!(ways(&guarded, &["10.0.0.5:80"]), "(lo)");
        assert_eq!(ways(&map(&[1, 2, 3]), &["*:80"]), "");
    }

    #[test]
    fn what_is_down_or_brings_nothing_is_no_way() {
        let mut open = map(&[1]);
        open.devices[1].is_up = false;
        open.devices[2].brings_packets = false;
        assert_eq!(ways(&open, &["*:80"]), "");
        // Its address is routed here by the other one.
        open.devices[1].is_up = true;
        assert_eq!(ways(&open, &["10.1.0.5:80"]), "eth0");
    }

    #[test]
    fn an_interface_is_covered_by_those_below_it() {
        let mut bond = map(&[1, 2]);
        bond.devices[1].master = Some(3);
        assert_eq!(ways(&bond, &["10.1.0.5:80"]), "");
        bond.devices.push(Device {
            master: Some(3),
            ..device(4, "eth2")
        });
        assert_eq!(ways(&bond, &["10.1.0.5:80"]), "eth1");
        let mut vlan = map(&[1, 2]);
        vlan.devices[2].below = Some(2);
        assert_eq!(ways(&vlan, &["*:80"]), "");
    }
}
