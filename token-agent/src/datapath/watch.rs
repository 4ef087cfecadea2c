//! Looking again at what was attached: others may take the guard off, and
//! interfaces come and go.

use aya::{
    Ebpf,
    programs::{SchedClassifier, TcAttachType},
};

use super::{
    Interface, InterfaceState,
    attach::{Attached, missing},
    clsact,
    device::{self, Device},
    error::DatapathError,
    object,
    pins::{Kind, Pin, Pins},
};
use crate::config::{Config, InterfacePattern};

const TAKEN_OFF: &str = "the guard is not on it any more: it was detached, or something else took it off; restart the agent to put it on again";
const APPEARED: &str = "it appeared after the agent started; restart the agent to guard it";

/// How often to ask before an error is believed.
const TRIES: usize = 3;

/// What was attached, to compare with what is there later.
#[derive(Debug)]
pub(super) struct Watch {
    attached: Attached,
    pins: Pins,
    patterns: Vec<InterfacePattern>,
    xdp: u32,
    tc: u32,
}

/// An interface that is there now.
struct Seen {
    index: u32,
    name: String,
    /// Whether this run's program is on it, by the pin of this run.
    is_guarded: bool,
}

impl Watch {
    pub(super) fn new(
        object: &mut Ebpf,
        config: &Config,
        pins: Pins,
        attached: Attached,
    ) -> Result<Self, DatapathError> {
        let refused = |program| move |source| DatapathError::Program { program, source };
        let xdp = object::xdp(object)?.info().map_err(refused(object::XDP))?;
        let tc = object::tc(object)?.info().map_err(refused(object::TC))?;
        Ok(Self {
            attached,
            pins,
            patterns: config.datapath.interfaces.patterns().cloned().collect(),
            xdp: xdp.id(),
            tc: tc.id(),
        })
    }

    /// How the interfaces are guarded now.
    pub(super) fn look(&self) -> Result<Vec<Interface>, DatapathError> {
        let devices = device::list().map_err(DatapathError::Interfaces)?;
        let mut seen = Vec::new();
        for device in devices {
            let pin = self
                .attached
                .pins
                .iter()
                .find(|pin| pin.ifindex == device.index);
            let is_guarded = match pin {
                Some(pin) => self.is_on(&device, *pin)?,
                None => false,
            };
            seen.push(Seen {
                index: device.index,
                name: device.name,
                is_guarded,
            });
        }
        Ok(compare(&self.attached.interfaces, &seen, &self.patterns))
    }

    fn is_on(&self, device: &Device, pin: Pin) -> Result<bool, DatapathError> {
        // The kernel takes a link off a moment after its pin is gone.
        let is_pinned = || self.pins.path(pin).symlink_metadata().is_ok();
        Ok(match pin.kind {
            Kind::Xdp => is_pinned() && device.xdp.contains(&self.xdp),
            Kind::Tcx => is_pinned() && self.is_on_tcx(device),
            // A filter stays without its pin, which is only a note.
            Kind::Clsact | Kind::ClsactQdisc => clsact::filter(device.index)
                .map_err(DatapathError::Interfaces)?
                .is_some_and(|filter| filter.program == Some(self.tc)),
        })
    }

    fn is_on_tcx(&self, device: &Device) -> bool {
        // An error means that the interface went since it was listed, or that somebody
        // else's program did between two steps of the query; then the next try succeeds.
        (0..TRIES).any(|_try| {
            SchedClassifier::query_tcx(&device.name, TcAttachType::Ingress)
                .is_ok_and(|(_, programs)| programs.iter().any(|program| program.id() == self.tc))
        })
    }
}

/// What became of the interfaces as they were `before`.
fn compare(before: &[Interface], now: &[Seen], patterns: &[InterfacePattern]) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    for was in before {
        let Some(index) = was.ifindex else { continue };
        let here = now.iter().find(|seen| seen.index == index);
        match here {
            // Also under another name.
            Some(seen) if seen.is_guarded => interfaces.push(Interface {
                name: seen.name.clone(),
                ..was.clone()
            }),
            Some(seen) if seen.name == was.name => interfaces.push(match was.state {
                InterfaceState::Attached => unguarded(seen, TAKEN_OFF),
                InterfaceState::Failed(_) | InterfaceState::Missing => was.clone(),
            }),
            // Another one may have its name, or another one its number.
            Some(_) | None if now.iter().all(|seen| seen.name != was.name) => {
                interfaces.push(missing(&was.name));
            }
            Some(_) | None => {}
        }
    }
    for seen in now {
        let is_listed = interfaces
            .iter()
            .any(|interface| interface.ifindex == Some(seen.index));
        if !is_listed && patterns.iter().any(|pattern| pattern.matches(&seen.name)) {
            interfaces.push(unguarded(seen, APPEARED));
        }
    }
    for pattern in patterns {
        if !interfaces
            .iter()
            .any(|interface| pattern.matches(&interface.name))
        {
            interfaces.push(missing(pattern.as_str()));
        }
    }
    interfaces
}

fn unguarded(seen: &Seen, why: &str) -> Interface {
    Interface {
        ifindex: Some(seen.index),
        state: InterfaceState::Failed(why.into()),
        ..missing(&seen.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(index: u32, name: &str, is_guarded: bool) -> Seen {
        Seen {
            index,
            name: name.into(),
            is_guarded,
        }
    }

    fn guarded(index: u32, name: &str) -> Interface {
        Interface {
            hook: Some("tc"),
            mode: Some("tcx"),
            state: InterfaceState::Attached,
            ..unguarded(&seen(index, name, true), "")
        }
    }

    fn patterns(of: &[&str]) -> Vec<InterfacePattern> {
        of.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_stays_is_as_it_was() {
        let slot_taken = unguarded(&seen(4, "eth1", false), "slot taken");
        let before = [guarded(3, "eth0"), slot_taken, missing("wlan0")];
        let now = [
            seen(1, "lo", false),
            seen(3, "eth0", true),
            seen(4, "eth1", false),
        ];
        assert_eq!(
            compare(&before, &now, &patterns(&["eth*", "wlan0"])),
            before
        );
    }

    #[test]
    fn a_guard_taken_off_is_a_failure() {
        let now = [seen(3, "eth0", false)];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [unguarded(&now[0], TAKEN_OFF)]
        );
    }

    #[test]
    fn interfaces_go_and_come() {
        let before = [guarded(3, "eth0"), guarded(4, "eth1")];
        let wanted = patterns(&["eth*"]);
        assert_eq!(
            compare(&before, &[seen(4, "eth1", true)], &wanted),
            [missing("eth0"), guarded(4, "eth1")]
        );
        assert_eq!(
            compare(&before, &[], &patterns(&["eth0", "eth*"])),
            [missing("eth0"), missing("eth1")]
        );
        // Made anew, under another number and under the same one.
        for index in [3, 9] {
            let now = [seen(index, "eth0", false), seen(4, "eth1", true)];
            let told = compare(&before, &now, &wanted);
            let why = if index == 3 { TAKEN_OFF } else { APPEARED };
            assert_eq!(told.len(), 2);
            assert!(told.contains(&guarded(4, "eth1")));
            assert!(told.contains(&unguarded(&now[0], why)));
        }
        // Missed at first.
        let now = [seen(7, "eth7", false)];
        assert_eq!(
            compare(&[missing("eth7")], &now, &patterns(&["eth7"])),
            [unguarded(&now[0], APPEARED)]
        );
    }

    #[test]
    fn a_new_name_takes_no_guard_off() {
        let now = [seen(3, "wan0", true)];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [guarded(3, "wan0"), missing("eth0")]
        );
        // Not so if another interface got the number.
        let now = [seen(3, "wan0", false)];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [missing("eth0")]
        );
    }
}
