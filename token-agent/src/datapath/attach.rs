//! Attaching the guard to interfaces, and taking it off again.
//!
//! Links are pinned and then let go of: the pin is what keeps them. A pinned
//! link found from an earlier run gets the new program in one step, so that no
//! packet passes unguarded in between.

use std::path::Path;

use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType, Xdp,
        links::{FdLink, PinnedLink},
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions},
        xdp::{XdpLink, XdpMode},
    },
    util::KernelVersion,
};
use nix::errno::Errno;

use super::{
    Interface, InterfaceState, Which, clsact,
    device::{self, Device},
    error::{DatapathError, errno},
    object,
    pins::{Kind, Pin, Pins},
};
use crate::config::{Config, Hook};

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
    let mut interfaces = Vec::new();
    let mut kept = Vec::new();
    for device in &devices {
        if config
            .datapath
            .interfaces
            .patterns()
            .any(|pattern| pattern.matches(&device.name))
        {
            let attached = attach_device(object, pins, device, config.datapath.hook);
            if let Ok((pin, _)) = &attached {
                kept.push(*pin);
            }
            interfaces.push(describe(device, attached));
        }
    }
    let unmatched = config
        .datapath
        .interfaces
        .patterns()
        .filter(|pattern| !devices.iter().any(|device| pattern.matches(&device.name)));
    interfaces.extend(unmatched.map(|pattern| missing(pattern.as_str())));
    // What is guarded but not configured any more, or now by another hook. What
    // could not be attached anew keeps what it had.
    for pin in pins.list()? {
        let failed = interfaces.iter().any(|interface| {
            interface.ifindex == Some(pin.ifindex)
                && matches!(interface.state, InterfaceState::Failed(_))
        });
        if !failed && !kept.contains(&pin) {
            release(pins, pin)?;
        }
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
    for pin in guarded {
        let name = name(&pin);
        let wanted = match which {
            Which::All => true,
            Which::Named(names) => names.contains(&name),
        };
        if wanted {
            release(&pins, pin)?;
            detached.push(name);
        }
    }
    detached.dedup();
    pins.clean_up()?;
    Ok(detached)
}

/// What an interface is guarded by.
struct Mode {
    hook: &'static str,
    mode: &'static str,
}

fn attach_device(
    object: &mut Ebpf,
    pins: &Pins,
    device: &Device,
    hook: Hook,
) -> Result<(Pin, Mode), DatapathError> {
    if !device.has_ethernet() {
        return Err(DatapathError::NoEthernet {
            layer: device.layer.to_string(),
        });
    }
    let native = |object: &mut Ebpf| {
        attach_xdp(object::xdp(object)?, pins, device, XdpMode::Driver).map(|pin| {
            (
                pin,
                Mode {
                    hook: "xdp",
                    mode: "native",
                },
            )
        })
    };
    match hook {
        Hook::Xdp => native(object),
        Hook::XdpGeneric => {
            attach_xdp(object::xdp(object)?, pins, device, XdpMode::Skb).map(|pin| {
                (
                    pin,
                    Mode {
                        hook: "xdp",
                        mode: "generic",
                    },
                )
            })
        }
        Hook::Tc => attach_tc(object::tc(object)?, pins, device),
        Hook::Clsact => attach_clsact(object::tc(object)?, pins, device),
        Hook::Auto if device.is_hardware => match native(object) {
            Err(DatapathError::NoNativeXdp) => attach_tc(object::tc(object)?, pins, device),
            other => other,
        },
        Hook::Auto => attach_tc(object::tc(object)?, pins, device),
    }
}

fn attach_xdp(
    program: &mut Xdp,
    pins: &Pins,
    device: &Device,
    mode: XdpMode,
) -> Result<Pin, DatapathError> {
    let pin = Pin {
        ifindex: device.index,
        kind: Kind::Xdp,
    };
    if let Ok(pinned) = PinnedLink::from_pin(pins.path(pin)) {
        let link = XdpLink::try_from(FdLink::from(pinned)).map_err(DatapathError::Link)?;
        match program.attach_to_link(link) {
            Ok(_) => return Ok(pin),
            // The interface it was on is gone, and this is another one with its number.
            Err(error) if is(&error, Errno::ENOLINK) => pins.remove(pin)?,
            Err(error) => return Err(DatapathError::Attach(error)),
        }
    }
    let id = program
        .attach_to_if_index(device.index, mode)
        .map_err(|error| match device.xdp.first().copied() {
            Some(program) => DatapathError::SlotTaken { program },
            None if is(&error, Errno::EOPNOTSUPP) || is(&error, Errno::ERANGE) => {
                DatapathError::NoNativeXdp
            }
            None => DatapathError::Attach(error),
        })?;
    let link = program.take_link(id).map_err(DatapathError::Attach)?;
    // Not a link on kernels that only know netlink; it is dropped and thereby detached then.
    let link: FdLink = link.try_into().map_err(DatapathError::Link)?;
    keep(link, pins, pin)
}

fn attach_tc(
    program: &mut SchedClassifier,
    pins: &Pins,
    device: &Device,
) -> Result<(Pin, Mode), DatapathError> {
    const FIRST_WITH_TCX: KernelVersion = KernelVersion::new(6, 6, 0);
    if object::kernel_version().is_some_and(|kernel| kernel < FIRST_WITH_TCX) {
        return attach_clsact(program, pins, device);
    }
    let attached = Mode {
        hook: "tc",
        mode: "tcx",
    };
    let pin = Pin {
        ifindex: device.index,
        kind: Kind::Tcx,
    };
    if let Ok(pinned) = PinnedLink::from_pin(pins.path(pin)) {
        let link =
            SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(DatapathError::Link)?;
        match program.attach_to_link(link) {
            Ok(_) => return Ok((pin, attached)),
            Err(error) if is(&error, Errno::ENOLINK) => pins.remove(pin)?,
            Err(error) => return Err(DatapathError::Attach(error)),
        }
    }
    let id = program
        .attach_with_options(
            &device.name,
            TcAttachType::Ingress,
            // First: an earlier program's OK would hide packets from the guard.
            TcAttachOptions::TcxOrder(LinkOrder::first()),
        )
        .map_err(DatapathError::Attach)?;
    let link = program.take_link(id).map_err(DatapathError::Attach)?;
    let link: FdLink = link.try_into().map_err(DatapathError::Link)?;
    Ok((keep(link, pins, pin)?, attached))
}

fn attach_clsact(
    program: &mut SchedClassifier,
    pins: &Pins,
    device: &Device,
) -> Result<(Pin, Mode), DatapathError> {
    let added = clsact::add_qdisc(&device.name)?;
    let filter = clsact::filter(device.index).map_err(DatapathError::Interfaces)?;
    let mut ours = None;
    for pin in pins.list()? {
        if pin.ifindex != device.index || !pin.kind.is_clsact() {
            continue;
        }
        if filter.is_some() && ours.is_none() {
            ours = Some(pin);
        } else {
            // What it noted is gone: somebody removed it, or another interface had the number.
            pins.remove(pin)?;
        }
    }
    let pin = ours.unwrap_or(Pin {
        ifindex: device.index,
        kind: if added {
            Kind::ClsactQdisc
        } else {
            Kind::Clsact
        },
    });
    let attached = attach_filter(program, pins, device, pin, ours.is_some());
    if attached.is_err() && added {
        clsact::remove_qdisc(device.index)?;
    }
    attached?;
    Ok((
        pin,
        Mode {
            hook: "tc",
            mode: "clsact",
        },
    ))
}

fn attach_filter(
    program: &mut SchedClassifier,
    pins: &Pins,
    device: &Device,
    pin: Pin,
    replace: bool,
) -> Result<(), DatapathError> {
    let options = NlOptions {
        priority: clsact::PRIORITY,
        handle: clsact::HANDLE,
        classid: None,
    };
    let id = if replace {
        let existing = SchedClassifierLink::attached(
            &device.name,
            TcAttachType::Ingress,
            clsact::PRIORITY,
            clsact::HANDLE,
            None,
        )
        .map_err(DatapathError::Interfaces)?;
        program.attach_to_link(existing)
    } else {
        program.attach_with_options(
            &device.name,
            TcAttachType::Ingress,
            TcAttachOptions::Netlink(options),
        )
    }
    .map_err(DatapathError::Attach)?;
    let link = program.take_link(id).map_err(DatapathError::Attach)?;
    // The pin is only a note; the newest program's is as good as the first's.
    pins.remove(pin)?;
    let path = pins.path(pin);
    program
        .pin(&path)
        .map_err(|source| DatapathError::Pin { path, source })?;
    // The filter stays without us: forget the handle that would detach it.
    std::mem::forget(link);
    Ok(())
}

/// Takes the guard off one interface.
fn release(pins: &Pins, pin: Pin) -> Result<(), DatapathError> {
    match pin.kind {
        Kind::Xdp | Kind::Tcx => {}
        Kind::Clsact => clsact::remove(pin.ifindex, false)?,
        Kind::ClsactQdisc => clsact::remove(pin.ifindex, true)?,
    }
    pins.remove(pin)
}

/// Pins the link. If that fails, dropping it detaches the program.
fn keep(link: FdLink, pins: &Pins, pin: Pin) -> Result<Pin, DatapathError> {
    let path = pins.path(pin);
    link.pin(&path)
        .map_err(|source| DatapathError::Pin { path, source })?;
    Ok(pin)
}

fn describe(device: &Device, attached: Result<(Pin, Mode), DatapathError>) -> Interface {
    let (mode, state) = match attached {
        Ok((_, mode)) => (Some(mode), InterfaceState::Attached),
        Err(error) => (None, InterfaceState::Failed(chain(&error))),
    };
    Interface {
        name: device.name.clone(),
        ifindex: Some(device.index),
        facing: "client",
        hook: mode.as_ref().map(|mode| mode.hook),
        mode: mode.map(|mode| mode.mode),
        state,
    }
}

/// An interface that is not there, or a pattern that matches none.
pub(super) fn missing(name: &str) -> Interface {
    Interface {
        name: name.into(),
        ifindex: None,
        facing: "client",
        hook: None,
        mode: None,
        state: InterfaceState::Missing,
    }
}

fn is(error: &ProgramError, number: Errno) -> bool {
    errno(error) == Some(number as i32)
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
