//! From the kernel's report of a denial to an event.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;
use token_agent_common::{
    abi::{Address, Denial},
    digest::Digest,
    reason::Reason,
};

use crate::{
    token::TokenId,
    wire::{Event, EventKind},
};

/// What the numbers in a denial are called.
#[derive(Debug, Default)]
pub struct Names {
    pub service: Option<String>,
    pub interface: Option<String>,
    pub id: Option<TokenId>,
}

/// The event for `denial`.
#[must_use]
pub fn verdict(denial: &Denial, names: Names) -> Event {
    let time = Timestamp::from_nanosecond(i128::from(denial.time)).unwrap_or(Timestamp::UNIX_EPOCH);
    let client = ip(denial.flow.client);
    let reason = Reason::from_code(denial.reason);
    Event {
        service: names.service,
        verdict: reason.map(|reason| reason.verdict().as_str().into()),
        enforced: Some(denial.enforced != 0),
        reason: reason.map(|reason| reason.as_str().into()),
        method: method(denial.method),
        id: names.id,
        digest: digest(denial).map(|digest| hex(&digest)),
        peer: Some(SocketAddr::new(client, denial.flow.client_port).to_string()),
        client: Some(client.to_string()),
        interface: names.interface,
        ..Event::new(EventKind::Verdict, time)
    }
}

/// The digest in `denial`, if there is one.
#[must_use]
pub(crate) fn digest(denial: &Denial) -> Option<Digest> {
    (denial.digest != Digest::NONE).then_some(denial.digest)
}

/// The method's first eight bytes. They come from the network: only what a
/// method is made of (RFC 9110, section 5.6.2) is told, so that none of them
/// can steer a terminal.
fn method(bytes: [u8; 8]) -> Option<String> {
    let len = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let is_method = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let (method, padding) = bytes.split_at(len);
    let is_plain = method.iter().all(is_method) && padding.iter().all(|byte| *byte == 0);
    (len > 0 && is_plain).then(|| method.iter().copied().map(char::from).collect())
}

fn ip(address: Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

fn hex(digest: &Digest) -> String {
    format!("{:032x}", u128::from_be_bytes(*digest.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use token_agent_common::abi::FlowKey;

    use super::*;

    fn denial() -> Denial {
        Denial {
            time: 1_700_000_000_000_000_000,
            method: *b"GET\0\0\0\0\0",
            digest: Digest::from_bytes([0xab; 16]),
            flow: FlowKey {
                client: Address::new(Ipv4Addr::new(10, 0, 0, 9).to_ipv6_mapped().octets()),
                client_port: 4711,
                server_port: 8080,
                ..FlowKey::NONE
            },
            interface: 2,
            service: 1,
            reason: Reason::Revoked as u8,
            enforced: 1,
            reserved: [0; 6],
        }
    }

    #[test]
    fn a_denial_becomes_an_event() {
        let names = Names {
            service: Some("orders".into()),
            interface: Some("eth0".into()),
            id: Some("t-0000000000000001".parse().unwrap()),
        };
        let json = serde_json::to_value(verdict(&denial(), names)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "time": "2023-11-14T22:13:20Z", "type": "verdict", "service": "orders",
                "verdict": "deny", "enforced": true, "reason": "revoked", "method": "GET",
                "route": null, "id": "t-0000000000000001", "digest": "ab".repeat(16),
                "peer": "10.0.0.9:4711", "client": "10.0.0.9", "interface": "eth0",
                "count": 1, "actor": null,
            })
        );
    }

    #[test]
    fn only_a_method_is_told_as_one() {
        for (bytes, told) in [
            (*b"PROPFIND", Some("PROPFIND")),
            (*b"\0\0\0\0\0\0\0\0", None),
            (*b"G\x1b[2J\0\0\0", None),
            (*b"GET\xff\0\0\0\0", None),
            (*b"G\0T\0\0\0\0\0", None),
        ] {
            assert_eq!(method(bytes).as_deref(), told, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_null() {
        let mut denial = denial();
        denial.digest = Digest::NONE;
        denial.reason = u8::MAX;
        let event = verdict(&denial, Names::default());
        assert_eq!(
            (event.digest, event.reason, event.verdict),
            (None, None, None)
        );
    }
}
