//! Which service an address of this host belongs to.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::listen::{Listen, ListenAddress};
use super::service::Service;

/// The services by where they listen, looked up as the kernel does it.
#[derive(Debug)]
pub struct Listeners<'s>(HashMap<Listen, &'s Service>);

impl<'s> Listeners<'s> {
    #[must_use]
    pub fn new(services: &'s [Service]) -> Self {
        let listens = services
            .iter()
            .flat_map(|service| service.listen.iter().map(move |listen| (*listen, service)));
        Self(listens.collect())
    }

    /// The service that has `address`: the most specific listener wins.
    #[must_use]
    pub fn service_at(&self, address: SocketAddr) -> Option<&'s Service> {
        let port = address.port();
        let ip = address.ip().to_canonical();
        let family = match ip {
            IpAddr::V4(_) => Some(ListenAddress::AnyV4),
            IpAddr::V6(_) => None,
        };
        [
            Some(ListenAddress::Ip(ip)),
            family,
            Some(ListenAddress::Any),
        ]
        .into_iter()
        .flatten()
        .find_map(|address| self.0.get(&Listen { address, port }).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn the_most_specific_listener_wins() {
        let config = config(
            "[datapath]\ninterfaces = [\"lo\"]\n\
             [[service]]\nname = \"any\"\nlisten = [\"*:80\", \"[2001:db8::1]:83\"]\n\
             [[service]]\nname = \"one\"\nlisten = [\"10.0.0.5:80\", \"[::1]:80\"]\n\
             [[service]]\nname = \"v4\"\nlisten = [\"0.0.0.0:81\"]\n",
        );
        let listeners = Listeners::new(&config.services);
        for (address, service) in [
            ("10.0.0.5:80", Some("one")),
            ("[::ffff:10.0.0.5]:80", Some("one")),
            ("10.0.0.6:80", Some("any")),
            ("[::1]:80", Some("one")),
            ("[::2]:80", Some("any")),
            ("10.0.0.5:81", Some("v4")),
            ("[::ffff:10.0.0.6]:81", Some("v4")),
            ("[::1]:81", None),
            ("10.0.0.5:82", None),
            ("[2001:db8::1]:83", Some("any")),
            ("[2001:db8::2]:83", None),
        ] {
            let found = listeners.service_at(address.parse().unwrap());
            assert_eq!(
                found.map(|service| service.name.as_str()),
                service,
                "{address}"
            );
        }
    }
}
