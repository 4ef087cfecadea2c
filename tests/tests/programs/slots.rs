//! Connections and the slots in which they are remembered.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use token_agent_common::abi::{Address, FlowKey};
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, PASSED},
    rows::{PROGRAMS, bearer, guard, orders},
};

/// Two ports of the usual client whose connections' slots are looked for in the same place first.
fn neighbours() -> Result<[u16; 2]> {
    let std::net::IpAddr::V4(client) = orders("").client else {
        unreachable!("the rows are of IPv4");
    };
    let mut places = HashMap::new();
    (1..u16::MAX)
        .find_map(|client_port| {
            let key = FlowKey {
                client: Address::new(client.to_ipv6_mapped().octets()),
                client_port,
                ..FlowKey::NONE
            };
            let before = places.insert(key.place(), client_port)?;
            Some([before, client_port])
        })
        .context("there are more ports than places")
}

#[test]
fn connections_remembered_in_one_place_are_not_mixed_up() -> Result<()> {
    let ports = neighbours()?;
    let head = bearer("good");
    let (first, rest) = head.split_at(40);
    for program in PROGRAMS {
        let mut guard = guard()?;
        let mut it = Conversation::closed(&mut guard, program, ports[0]);
        for port in ports {
            it.turn_to(port);
            assert!(it.offer()?);
            assert_eq!(it.send(0, first)?, PASSED);
        }
        for port in ports {
            it.turn_to(port);
            assert_eq!(it.send(40, rest)?, ALLOWED, "{port}");
        }
        // The server's packets, too: what each of them has is known.
        for port in ports {
            it.turn_to(port);
            it.ack(head.len() as u32)?;
            assert_eq!(it.send(0, "?".repeat(head.len()))?, PASSED, "{port}");
        }
    }
    Ok(())
}
