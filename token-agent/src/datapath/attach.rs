//! Attaching the guard to interfaces, and taking it off again.

mod program;

use std::path::Path;

use aya::Ebpf;

use super::{
    Interface, InterfaceState, Which,
    device::{self, Device},
    error::DatapathError,
    pins::{Pin, Pins},
    place::Role,
};
use crate::config::{Config, Facing, Hook};
use program::{Held, Mode, put, release};

/// How the interfaces are guarded, and by which pins.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) interfaces: Vec<Interface>,
    pub(super) pins: Vec<Pin>,
}

/// Guards the configured interfaces and takes the guard off all others.
pub(super) fn attach(
    object: &mut Ebpf,
    config: &Config,
    pins: &Pins,
) -> Result<Attached, DatapathError> {
    pins.create_links()?;
    let devices = device::list().map_err(DatapathError::Interfaces)?;
    let configured = &config.datapath.interfaces;
    let mut cases: Vec<_> = devices
        .iter()
        .filter_map(|device| Some(Case::new(device, configured.facing(&device.name)?)))
        .collect();
    // All guards before any witness: what a witness sees begin, it takes for guarded.
    for role in [Role::Guard, Role::Witness] {
        for case in &mut cases {
            case.put(object, pins, role, config.datapath.hook);
        }
    }
    let mut interfaces: Vec<_> = cases.iter().map(Case::describe).collect();
    let unmatched = configured
        .iter()
        .filter(|(pattern, _)| !devices.iter().any(|device| pattern.matches(&device.name)));
    interfaces.extend(unmatched.map(|(pattern, facing)| missing(pattern.as_str(), facing)));
    let kept: Vec<_> = cases
        .iter()
        .flat_map(|case| case.held.pins.clone())
        .collect();
    // What is guarded but not configured any more, or now by another hook. What
    // could not be attached anew keeps what it had.
    let mut left = pins.list()?;
    left.retain(|pin| {
        let failed = cases
            .iter()
            .any(|case| case.device.index == pin.ifindex && !case.is_well());
        !failed && !kept.contains(pin)
    });
    for of_one in left.chunk_by(|a, b| a.ifindex == b.ifindex) {
        release(pins, of_one)?;
    }
    Ok(Attached {
        interfaces,
        pins: kept,
    })
}

/// Takes the guard off, whoever put it there; gives the interfaces' names.
pub(super) fn detach(pin_dir: &Path, which: &Which) -> Result<Vec<String>, DatapathError> {
    let pins = Pins::new(pin_dir);
    let devices = device::list().map_err(DatapathError::Interfaces)?;
    let name = |pin: &Pin| {
        devices
            .iter()
            .find(|device| device.index == pin.ifindex)
            .map_or_else(
                || format!("interface {} (gone)", pin.ifindex),
                |device| device.name.clone(),
            )
    };
    let guarded = pins.list()?;
    if let Which::Named(names) = which
        && let Some(unknown) = names
            .iter()
            .find(|wanted| !guarded.iter().any(|pin| name(pin) == **wanted))
    {
        return Err(DatapathError::NotGuarded {
            name: unknown.clone(),
        });
    }
    let mut detached = Vec::new();
    for of_one in guarded.chunk_by(|a, b| a.ifindex == b.ifindex) {
        let name = name(&of_one[0]);
        let wanted = match which {
            Which::All => true,
            Which::Named(names) => names.contains(&name),
        };
        if wanted {
            release(&pins, of_one)?;
            detached.push(name);
        }
    }
    pins.clean_up()?;
    Ok(detached)
}

/// An interface that is to be guarded, and how that goes.
struct Case<'d> {
    device: &'d Device,
    facing: Facing,
    held: Held,
    /// The guard's; none before it is there.
    mode: Option<Mode>,
    state: InterfaceState,
}

impl<'d> Case<'d> {
    fn new(device: &'d Device, facing: Facing) -> Self {
        Self {
            device,
            facing,
            held: Held::default(),
            mode: None,
            state: InterfaceState::Attached,
        }
    }

    fn is_well(&self) -> bool {
        self.state == InterfaceState::Attached
    }

    fn put(&mut self, object: &mut Ebpf, pins: &Pins, role: Role, hook: Hook) {
        if !self.is_well() {
            return;
        }
        let place = (role, self.facing);
        let done = if self.device.has_ethernet() {
            put(object, pins, self.device, place, hook, &mut self.held)
        } else {
            Err(DatapathError::NoEthernet {
                layer: self.device.layer.to_string(),
            })
        };
        match (role, done) {
            (Role::Guard, Ok(mode)) => self.mode = Some(mode),
            (Role::Witness, Ok(_)) => {}
            (Role::Guard | Role::Witness, Err(error)) => self.fail(pins, role, &error),
        }
    }

    /// Takes off what was put there, and says why.
    fn fail(&mut self, pins: &Pins, role: Role, error: &DatapathError) {
        let mut why = chain(error);
        if let Err(error) = self.held.undo(pins) {
            why = format!(
                "{why}; and taking off what was attached failed: {}",
                chain(&error)
            );
        }
        self.state = match role {
            Role::Guard => InterfaceState::Failed(why),
            Role::Witness if self.held.holds(Role::Guard) => InterfaceState::Degraded(format!(
                "the guard is on it, but its witness is not, so no connection is known and nothing passes to a service: {why}"
            )),
            Role::Witness => InterfaceState::Failed(format!(
                "the guard was taken off again, for its witness cannot be on it, and nothing would pass: {why}"
            )),
        };
    }

    fn describe(&self) -> Interface {
        let mode = self.mode.filter(|_| self.held.holds(Role::Guard));
        Interface {
            ifindex: Some(self.device.index),
            hook: mode.map(|mode| mode.hook),
            mode: mode.map(|mode| mode.mode),
            state: self.state.clone(),
            ..missing(&self.device.name, self.facing)
        }
    }
}

/// An interface that is not there, or a pattern that matches none.
pub(super) fn missing(name: &str, facing: Facing) -> Interface {
    Interface {
        name: name.into(),
        ifindex: None,
        facing: facing.as_str(),
        hook: None,
        mode: None,
        state: InterfaceState::Missing,
    }
}

/// The error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
