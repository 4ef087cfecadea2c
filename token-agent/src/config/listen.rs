//! Where a guarded server listens.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::problem::{Invalid, quote};

/// An address and a port as the server has them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Listen {
    pub address: ListenAddress,
    /// Never 0.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ListenAddress {
    /// Every address of both families: `*`, or `[::]`, which takes IPv4 connections too.
    Any,
    /// Every IPv4 address, and no IPv6 one: `0.0.0.0`.
    AnyV4,
    /// One address; an IPv4 one is never in its IPv6 form.
    Ip(IpAddr),
}

impl FromStr for Listen {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = |why: &str| {
            Invalid::new(format!("{} {why}", quote(text)))
                .help(r#"write it like "10.0.0.5:8080", "[2001:db8::1]:8080" or "*:8080""#)
        };
        let Some((address, port)) = text.rsplit_once(':') else {
            return Err(invalid("is not an address and a port"));
        };
        let address = address_of(address).ok_or_else(|| invalid("has no IP address or *"))?;
        if let ListenAddress::Ip(ip) = address
            && is_never_listened_on(ip)
        {
            return Err(invalid("is an address no server listens on"));
        }
        // The number's own parser would take a plus sign, too.
        let port = Some(port)
            .filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|port| port.parse().ok())
            .filter(|port| *port != 0)
            .ok_or_else(|| invalid("has no port from 1 to 65535"))?;
        Ok(Self { address, port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::AnyV4 => f.write_str("0.0.0.0"),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn address_of(text: &str) -> Option<ListenAddress> {
    if text == "*" {
        return Some(ListenAddress::Any);
    }
    let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = match bracketed {
        Some(ip) => ip.parse::<Ipv6Addr>().ok()?.to_canonical(),
        None => IpAddr::V4(text.parse().ok()?),
    };
    Some(match ip {
        ip if !ip.is_unspecified() => ListenAddress::Ip(ip),
        IpAddr::V4(_) => ListenAddress::AnyV4,
        IpAddr::V6(_) => ListenAddress::Any,
    })
}

/// TCP has no connections to many hosts at once.
fn is_never_listened_on(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_addresses_of_either_family() {
        for (text, address, shown) in [
            ("*:80", ListenAddress::Any, "*:80"),
            ("[::]:80", ListenAddress::Any, "*:80"),
            ("0.0.0.0:80", ListenAddress::AnyV4, "0.0.0.0:80"),
            ("[::ffff:0.0.0.0]:80", ListenAddress::AnyV4, "0.0.0.0:80"),
            (
                "10.0.0.5:80",
                ListenAddress::Ip("10.0.0.5".parse().unwrap()),
                "10.0.0.5:80",
            ),
            (
                "[::ffff:10.0.0.5]:80",
                ListenAddress::Ip("10.0.0.5".parse().unwrap()),
                "10.0.0.5:80",
            ),
            (
                "[2001:DB8:0::1]:80",
                ListenAddress::Ip("2001:db8::1".parse().unwrap()),
                "[2001:db8::1]:80",
            ),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen, Listen { address, port: 80 }, "{text}");
            assert_eq!(listen.to_string(), shown);
            assert_eq!(shown.parse(), Ok(listen));
        }
    }

    #[test]
    fn refuses_anything_else() {
        for (text, why) in [
            ("", "is not an address and a port"),
            ("80", "is not an address and a port"),
            ("10.0.0.5", "is not an address and a port"),
            (":80", "has no IP address or *"),
            ("localhost:80", "has no IP address or *"),
            ("http://10.0.0.5:80", "has no IP address or *"),
            ("::1:80", "has no IP address or *"),
            ("::", "has no IP address or *"),
            ("[::1%eth0]:80", "has no IP address or *"),
            ("[10.0.0.5]:80", "has no IP address or *"),
            ("[*]:80", "has no IP address or *"),
            ("010.0.0.5:80", "has no IP address or *"),
            ("10.0.0.0/8:80", "has no IP address or *"),
            (" *:80", "has no IP address or *"),
            ("*:", "has no port from 1 to 65535"),
            ("*:0", "has no port from 1 to 65535"),
            ("*:65536", "has no port from 1 to 65535"),
            ("*:+80", "has no port from 1 to 65535"),
            ("*:http", "has no port from 1 to 65535"),
            ("*:80-90", "has no port from 1 to 65535"),
            ("224.0.0.1:80", "is an address no server listens on"),
            ("255.255.255.255:80", "is an address no server listens on"),
            ("[ff02::1]:80", "is an address no server listens on"),
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert_eq!(error.message, format!("{text:?} {why}"));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(ip: IpAddr, port in 1..=u16::MAX) {
            let text = std::net::SocketAddr::new(ip, port).to_string();
            if let Ok(listen) = text.parse::<Listen>() {
                prop_assert_eq!(listen.to_string().parse(), Ok(listen));
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<Listen>();
        }
    }
}
