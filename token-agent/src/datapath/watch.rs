//! Looking again at what was attached: others may take the guard off, or put
//! something before it, and interfaces come and go.

use aya::{
    Ebpf,
    programs::{ProgramInfo, SchedClassifier},
};

use super::{
    Interface, InterfaceState,
    attach::{Attached, missing},
    clsact,
    device::{self, Device},
    error::DatapathError,
    object,
    pins::{Kind, Pin, Pins},
    place::{Place, Role, Side},
};
use crate::config::{Config, Interfaces};

const TAKEN_OFF: &str = "the guard is not on it any more: it was detached, or something else took it off; restart the agent to put it on again";
const WITNESS_TAKEN_OFF: &str = "the guard is on it, but its witness is not any more, so no connection is known and nothing passes to a service; restart the agent to put it on again";
const APPEARED: &str = "it appeared after the agent started; restart the agent to guard it";

/// How often to ask before an error is believed.
const TRIES: usize = 3;

/// What was attached, to compare with what is there later.
#[derive(Debug)]
pub(super) struct Watch {
    attached: Attached,
    pins: Pins,
    configured: Interfaces,
    programs: Programs,
}

/// The kernel's numbers of this run's programs.
#[derive(Debug)]
struct Programs {
    xdp: u32,
    guard: u32,
    witness: u32,
}

/// An interface that is there now.
struct Seen {
    index: u32,
    name: String,
    condition: Condition,
}

/// Whether this run's programs are on an interface, by the pins of this run.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Condition {
    Guarded,
    /// The guard is on it, and something is wrong.
    Impaired(String),
    Unguarded,
}

/// A program on an interface, and what runs before it there.
struct Found {
    is_there: bool,
    before: Vec<String>,
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
        let mut tc = |role| {
            let info = object::tc(object, role)?.info();
            info.map_err(refused(object::tc_name(role)))
        };
        let programs = Programs {
            xdp: xdp.id(),
            guard: tc(Role::Guard)?.id(),
            witness: tc(Role::Witness)?.id(),
        };
        Ok(Self {
            attached,
            pins,
            configured: config.datapath.interfaces.clone(),
            programs,
        })
    }

    /// How the interfaces are guarded now.
    pub(super) fn look(&self) -> Result<Vec<Interface>, DatapathError> {
        let devices = device::list().map_err(DatapathError::Interfaces)?;
        let mut seen = Vec::new();
        for device in devices {
            let condition = self.condition(&device)?;
            seen.push(Seen {
                index: device.index,
                name: device.name,
                condition,
            });
        }
        Ok(compare(&self.attached.interfaces, &seen, &self.configured))
    }

    fn condition(&self, device: &Device) -> Result<Condition, DatapathError> {
        let find = |role| {
            let mut pins = self.attached.pins.iter();
            let pin = pins.find(|pin| pin.ifindex == device.index && pin.kind.role() == Some(role));
            pin.map_or(Ok(Found::NOWHERE), |pin| self.find(device, *pin))
        };
        let guard = find(Role::Guard)?;
        if !guard.is_there {
            return Ok(Condition::Unguarded);
        }
        if !find(Role::Witness)?.is_there {
            return Ok(Condition::Impaired(WITNESS_TAKEN_OFF.into()));
        }
        Ok(match guard.before.as_slice() {
            [] => Condition::Guarded,
            before => Condition::Impaired(format!(
                "{} before the guard, which does not see what is passed for good or sent elsewhere there (`bpftool net show dev {}` lists all); detach it, or have it attached behind the guard",
                before.join(" and "),
                device.name,
            )),
        })
    }

    fn find(&self, device: &Device, pin: Pin) -> Result<Found, DatapathError> {
        // The kernel takes a link off a moment after its pin is gone.
        let is_pinned = || self.pins.path(pin).symlink_metadata().is_ok();
        Ok(match pin.kind {
            Kind::Xdp if is_pinned() && device.xdp.contains(&self.programs.xdp) => Found {
                is_there: true,
                before: Vec::new(),
            },
            Kind::Tcx(place) if is_pinned() => self.find_tcx(device, place),
            // A filter stays without its pin, which is only a note.
            Kind::Clsact(place) => self.find_filter(device, place)?,
            Kind::Tcx(_) | Kind::Xdp | Kind::Qdisc => Found::NOWHERE,
        })
    }

    fn find_tcx(&self, device: &Device, place: Place) -> Found {
        let programs = tcx(&device.name, place.side);
        let ours = self.programs.of(place.role);
        let at = programs.iter().position(|program| program.id() == ours);
        Found {
            is_there: at.is_some(),
            before: programs[..at.unwrap_or_default()]
                .iter()
                .map(|p| told(p, place.side))
                .collect(),
        }
    }

    fn find_filter(&self, device: &Device, place: Place) -> Result<Found, DatapathError> {
        let filters = clsact::look(device.index, place).map_err(DatapathError::Interfaces)?;
        let side = place.side.as_str();
        let filter = |program: &Option<u32>| match program {
            Some(id) => format!("the filter with program {id} is at {side}"),
            None => format!("another filter is at {side}"),
        };
        // All tcx programs run before all filters.
        let tcx = tcx(&device.name, place.side);
        let tcx = tcx.iter().map(|program| told(program, place.side));
        Ok(Found {
            is_there: filters.ours == Some(self.programs.of(place.role)),
            before: tcx.chain(filters.before.iter().map(filter)).collect(),
        })
    }
}

impl Programs {
    const fn of(&self, role: Role) -> u32 {
        match role {
            Role::Guard => self.guard,
            Role::Witness => self.witness,
        }
    }
}

impl Found {
    const NOWHERE: Self = Self {
        is_there: false,
        before: Vec::new(),
    };
}

/// The tcx programs on one side, in the order in which they run; none on kernels without tcx.
fn tcx(device: &str, side: Side) -> Vec<ProgramInfo> {
    // An error means that the interface went since it was listed, or that somebody
    // else's program did between two steps of the query; then the next try succeeds.
    (0..TRIES)
        .find_map(|_try| SchedClassifier::query_tcx(device, side.attach_type()).ok())
        .map_or_else(Vec::new, |(_, programs)| programs)
}

fn told(program: &ProgramInfo, side: Side) -> String {
    let (id, name) = (program.id(), program.name_as_str().unwrap_or_default());
    format!("the program {id} ({name}) is at {}", side.as_str())
}

/// What became of the interfaces as they were `before`.
fn compare(before: &[Interface], now: &[Seen], configured: &Interfaces) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    for was in before {
        let Some(index) = was.ifindex else { continue };
        let here = now.iter().find(|seen| seen.index == index);
        let gone = || Interface {
            ifindex: None,
            hook: None,
            mode: None,
            state: InterfaceState::Missing,
            ..was.clone()
        };
        match here.map(|seen| (seen, &seen.condition)) {
            // Also under another name.
            Some((seen, Condition::Guarded)) => interfaces.push(Interface {
                name: seen.name.clone(),
                state: InterfaceState::Attached,
                ..was.clone()
            }),
            Some((seen, Condition::Impaired(why))) => interfaces.push(Interface {
                name: seen.name.clone(),
                state: InterfaceState::Degraded(why.clone()),
                ..was.clone()
            }),
            Some((seen, Condition::Unguarded)) if seen.name == was.name => {
                interfaces.push(if was.is_guarded() {
                    Interface {
                        ifindex: Some(seen.index),
                        state: InterfaceState::Failed(TAKEN_OFF.into()),
                        ..gone()
                    }
                } else {
                    was.clone()
                });
            }
            // Another one may have its name, or another one its number.
            Some((_, Condition::Unguarded)) | None
                if now.iter().all(|seen| seen.name != was.name) =>
            {
                interfaces.push(gone());
            }
            Some((_, Condition::Unguarded)) | None => {}
        }
    }
    for seen in now {
        let is_listed = interfaces
            .iter()
            .any(|interface| interface.ifindex == Some(seen.index));
        if let Some(facing) = configured.facing(&seen.name)
            && !is_listed
        {
            interfaces.push(Interface {
                ifindex: Some(seen.index),
                state: InterfaceState::Failed(APPEARED.into()),
                ..missing(&seen.name, facing)
            });
        }
    }
    for (pattern, facing) in configured.iter() {
        if !interfaces
            .iter()
            .any(|interface| pattern.matches(&interface.name))
        {
            interfaces.push(missing(pattern.as_str(), facing));
        }
    }
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Facing;

    fn seen(index: u32, name: &str, condition: Condition) -> Seen {
        Seen {
            index,
            name: name.into(),
            condition,
        }
    }

    fn guarded_now(index: u32, name: &str) -> Seen {
        seen(index, name, Condition::Guarded)
    }

    fn unguarded_now(index: u32, name: &str) -> Seen {
        seen(index, name, Condition::Unguarded)
    }

    fn lost(name: &str) -> Interface {
        missing(name, Facing::Client)
    }

    fn unguarded(index: u32, name: &str, why: &str) -> Interface {
        Interface {
            ifindex: Some(index),
            state: InterfaceState::Failed(why.into()),
            ..lost(name)
        }
    }

    fn guarded(index: u32, name: &str) -> Interface {
        Interface {
            hook: Some("tc"),
            mode: Some("tcx"),
            state: InterfaceState::Attached,
            ..unguarded(index, name, "")
        }
    }

    fn patterns(of: &[&str]) -> Interfaces {
        let patterns = of.iter().map(|text| text.parse().unwrap());
        Interfaces::new(patterns.map(|pattern| (pattern, Facing::Client)))
    }

    #[test]
    fn what_stays_is_as_it_was() {
        let slot_taken = unguarded(4, "eth1", "slot taken");
        let before = [guarded(3, "eth0"), slot_taken, lost("wlan0")];
        let now = [
            unguarded_now(1, "lo"),
            guarded_now(3, "eth0"),
            unguarded_now(4, "eth1"),
        ];
        assert_eq!(
            compare(&before, &now, &patterns(&["eth*", "wlan0"])),
            before
        );
    }

    #[test]
    fn a_guard_taken_off_is_a_failure() {
        let now = [unguarded_now(3, "eth0")];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [unguarded(3, "eth0", TAKEN_OFF)]
        );
    }

    #[test]
    fn an_impairment_lasts_as_long_as_it_is_seen() {
        let impaired = Interface {
            state: InterfaceState::Degraded("why".into()),
            ..guarded(3, "eth0")
        };
        let now = [seen(3, "eth0", Condition::Impaired("why".into()))];
        let wanted = patterns(&["eth0"]);
        let told = compare(&[guarded(3, "eth0")], &now, &wanted);
        assert_eq!(told, [impaired]);
        let now = [guarded_now(3, "eth0")];
        assert_eq!(compare(&told, &now, &wanted), [guarded(3, "eth0")]);
    }

    #[test]
    fn interfaces_go_and_come() {
        let before = [guarded(3, "eth0"), guarded(4, "eth1")];
        let wanted = patterns(&["eth*"]);
        assert_eq!(
            compare(&before, &[guarded_now(4, "eth1")], &wanted),
            [lost("eth0"), guarded(4, "eth1")]
        );
        assert_eq!(
            compare(&before, &[], &patterns(&["eth0", "eth*"])),
            [lost("eth0"), lost("eth1")]
        );
        // Made anew, under another number and under the same one.
        for index in [3, 9] {
            let now = [unguarded_now(index, "eth0"), guarded_now(4, "eth1")];
            let told = compare(&before, &now, &wanted);
            let why = if index == 3 { TAKEN_OFF } else { APPEARED };
            assert_eq!(told.len(), 2);
            assert!(told.contains(&guarded(4, "eth1")));
            assert!(told.contains(&unguarded(index, "eth0", why)));
        }
        // Missed at first.
        let now = [unguarded_now(7, "eth7")];
        assert_eq!(
            compare(&[lost("eth7")], &now, &patterns(&["eth7"])),
            [unguarded(7, "eth7", APPEARED)]
        );
    }

    #[test]
    fn a_new_name_takes_no_guard_off() {
        let now = [guarded_now(3, "wan0")];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [guarded(3, "wan0"), lost("eth0")]
        );
        // Not so if another interface got the number.
        let now = [unguarded_now(3, "wan0")];
        assert_eq!(
            compare(&[guarded(3, "eth0")], &now, &patterns(&["eth0"])),
            [lost("eth0")]
        );
    }
}
