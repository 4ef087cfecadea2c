//! How the agent is.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{Agent, AgentError, Engine};
use crate::{
    config::Mode,
    datapath::{Interface, InterfaceState},
    wire::{
        InterfaceStatus, MapStatus, ModeWord, OlderConnections, Override, Revisions, ServiceStatus,
        Status, Tokens,
    },
};

impl Agent {
    /// Whether requests are judged, where, and with what.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(self: &Arc<Self>) -> Result<Status, AgentError> {
        self.with_engine(|agent, engine| agent.status_of(engine, Timestamp::now()))
            .await
    }

    fn status_of(&self, engine: &mut Engine, now: Timestamp) -> Result<Status, AgentError> {
        // If that fails, it is among the notes.
        let _ = self.look(engine);
        let overrides = engine.overrides(now).to_vec();
        let mut services = self.services(&overrides);
        for (service, ways) in services.iter_mut().zip(&engine.ways) {
            service.uncovered = ways.iter().map(|way| way.interface.clone()).collect();
        }
        for service in &mut services {
            service.older_connections =
                engine.older.get(&service.name).copied().unwrap_or_default();
        }
        let mut degraded: Vec<_> = engine.interfaces.iter().filter_map(impairment).collect();
        degraded.extend(self.ways_past(engine, false));
        let mut notes = self.notes.remarks();
        notes.extend(self.ways_past(engine, true));
        degraded.extend(overrides.iter().filter_map(relaxed));
        if engine.is_behind() {
            degraded.push("the kernel does not hold all that the store says".into());
        }
        degraded.extend(self.notes.degraded());
        Ok(Status {
            enforcing: is_enforcing(&engine.interfaces, &services),
            degraded,
            notes,
            since: self.since,
            version: env!("CARGO_PKG_VERSION").into(),
            interfaces: engine
                .interfaces
                .iter()
                .cloned()
                .map(InterfaceStatus::from)
                .collect(),
            services,
            tokens: Tokens::from(engine.store.count_by_state(now)?),
            maps: engine
                .kernel
                .maps()
                .map_err(|source| AgentError::Kernel {
                    operation: "read how full the maps are",
                    source: source.into(),
                })?
                .into_iter()
                .map(MapStatus::from)
                .collect(),
            revision: Revisions {
                store: engine.store.revision()?,
                kernel: engine.followed(),
            },
            overrides,
        })
    }

    fn services(&self, overrides: &[Override]) -> Vec<ServiceStatus> {
        self.config
            .services
            .iter()
            .map(|service| ServiceStatus {
                name: service.name.clone(),
                mode: mode_in_force(service.mode, &service.name, overrides),
                on_deny: service.on_deny.as_str().into(),
                uncovered: Vec::new(),
                older_connections: OlderConnections::default(),
            })
            .collect()
    }

    /// What is to be said of the ways past the guard: of those aside, or of the others.
    fn ways_past(&self, engine: &Engine, aside: bool) -> Vec<String> {
        let mut by_interface: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (service, ways) in self.config.services.iter().zip(&engine.ways) {
            for way in ways.iter().filter(|way| way.is_side_way == aside) {
                let services = by_interface.entry(&way.interface).or_default();
                services.push(&service.name);
            }
        }
        by_interface
            .into_iter()
            // Of those that should be guarded it is said that they are not, and why.
            .filter(|(name, _)| {
                let mut known = engine.interfaces.iter();
                !known.any(|known| known.name == *name && !known.is_guarded())
            })
            .map(|(name, services)| past(name, &services.join(", "), aside))
            .collect()
    }

    /// Whether a change of tokens in the kernel has an effect on requests, and where it has none.
    pub(super) fn effect(&self, engine: &mut Engine, now: Timestamp) -> (bool, Vec<String>) {
        let looked = self.look(engine);
        let services = self.services(engine.overrides(now));
        let enforced = looked.is_ok() && is_enforcing(&engine.interfaces, &services);
        let mut gaps: Vec<_> = looked.err().into_iter().collect();
        gaps.extend(engine.interfaces.iter().filter_map(impairment));
        gaps.extend(self.ways_past(engine, false));
        if !engine.interfaces.iter().any(Interface::is_guarded) {
            gaps.push("no interface is guarded: no request is judged".into());
        }
        if services.iter().all(is_monitored) {
            gaps.push("every service is only monitored: no request is denied".into());
        }
        (enforced, gaps)
    }
}

fn is_monitored(service: &ServiceStatus) -> bool {
    match service.mode {
        ModeWord::Enforce => false,
        ModeWord::Monitor => true,
    }
}

fn is_enforcing(interfaces: &[Interface], services: &[ServiceStatus]) -> bool {
    interfaces.iter().any(Interface::is_guarded) && !services.iter().all(is_monitored)
}

fn mode_in_force(configured: Mode, service: &str, overrides: &[Override]) -> ModeWord {
    overrides
        .iter()
        .find(|entry| entry.service == service)
        .map_or(ModeWord::from(configured), |entry| entry.mode)
}

fn impairment(interface: &Interface) -> Option<String> {
    let name = &interface.name;
    match &interface.state {
        InterfaceState::Attached => None,
        InterfaceState::Degraded(why) => Some(format!("interface {name}: {why}")),
        InterfaceState::Missing => Some(format!("interface {name} does not exist")),
        InterfaceState::Failed(why) => Some(format!("interface {name} is not guarded: {why}")),
    }
}

fn past(interface: &str, services: &str, aside: bool) -> String {
    if aside {
        format!(
            "{interface} is not guarded: programs on this host reach {services} without being judged"
        )
    } else {
        format!(
            "what comes in by {interface} is not judged, and {services} can be reached by it; guard it, too (datapath.interfaces), or have the server listen on fewer addresses, and name them in service.listen"
        )
    }
}

/// An override is never to what is configured anyway, so one to monitor relaxes an enforcing service.
fn relaxed(entry: &Override) -> Option<String> {
    let Override { service, until, .. } = entry;
    match (entry.mode, until) {
        (ModeWord::Enforce, _) => None,
        (ModeWord::Monitor, None) => Some(format!(
            "service {service} is only monitored; `token-agent guard {service} --mode enforce` ends that"
        )),
        (ModeWord::Monitor, Some(until)) => {
            Some(format!("service {service} is only monitored until {until}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(state: InterfaceState) -> Interface {
        Interface {
            name: "eth0".into(),
            ifindex: None,
            facing: "client",
            hook: None,
            mode: None,
            state,
        }
    }

    fn service(mode: ModeWord) -> ServiceStatus {
        ServiceStatus {
            name: "orders".into(),
            mode,
            on_deny: "drop".into(),
            uncovered: Vec::new(),
            older_connections: OlderConnections::default(),
        }
    }

    #[test]
    fn enforcing_takes_an_interface_and_a_service() {
        let attached = [interface(InterfaceState::Attached)];
        let missing = [interface(InterfaceState::Missing)];
        let enforced = [service(ModeWord::Enforce)];
        let monitored = [service(ModeWord::Monitor)];
        assert!(is_enforcing(&attached, &enforced));
        assert!(!is_enforcing(&missing, &enforced));
        assert!(!is_enforcing(&attached, &monitored));
        assert!(!is_enforcing(&[], &enforced));
    }

    #[test]
    fn an_override_is_in_force_and_impairs() {
        let entry = Override {
            service: "orders".into(),
            mode: ModeWord::Monitor,
            until: None,
        };
        assert!(relaxed(&entry).unwrap().contains("orders"));
        let overrides = [entry];
        assert_eq!(
            mode_in_force(Mode::Enforce, "orders", &overrides),
            ModeWord::Monitor
        );
        assert_eq!(
            mode_in_force(Mode::Enforce, "stock", &overrides),
            ModeWord::Enforce
        );
    }
}
