//! One program on one interface: put there or taken over, and taken off again.
//!
//! Links are pinned and then let go of: the pin is what keeps them. A pinned
//! link found from an earlier run gets the new program in one step, so that no
//! packet passes unguarded in between.

use aya::{
    Ebpf,
    programs::{
        ProgramError, Xdp,
        links::{FdLink, PinnedLink},
        tc::{NlOptions, SchedClassifierLink, TcAttachOptions},
        xdp::{XdpLink, XdpMode},
    },
    util::KernelVersion,
};
use nix::errno::Errno;

use crate::{
    config::{Facing, Hook},
    datapath::{
        clsact,
        device::Device,
        error::{DatapathError, errno},
        object,
        pins::{Kind, Pin, Pins},
        place::{Place, Role},
    },
};

/// What an interface is guarded by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub(super) hook: &'static str,
    pub(super) mode: &'static str,
}

impl Mode {
    const CLSACT: Self = Self::new("tc", "clsact");
    const GENERIC: Self = Self::new("xdp", "generic");
    const NATIVE: Self = Self::new("xdp", "native");
    const TCX: Self = Self::new("tc", "tcx");

    const fn new(hook: &'static str, mode: &'static str) -> Self {
        Self { hook, mode }
    }
}

/// What holds this run's programs on an interface.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) pins: Vec<Pin>,
    /// Those of them that were not there before, in the order in which they were made.
    made: Vec<Pin>,
}

impl Held {
    pub(super) fn holds(&self, role: Role) -> bool {
        self.pins.iter().any(|pin| pin.kind.role() == Some(role))
    }

    /// Takes off again what this run put there; what it took over stays.
    pub(super) fn undo(&mut self, pins: &Pins) -> Result<(), DatapathError> {
        while let Some(pin) = self.made.pop() {
            self.pins.retain(|held| *held != pin);
            take_off(pins, pin, true)?;
        }
        Ok(())
    }

    fn took_over(&mut self, pin: Pin) {
        if !self.pins.contains(&pin) {
            self.pins.push(pin);
        }
    }

    fn made(&mut self, pin: Pin) {
        self.made.push(pin);
        self.pins.push(pin);
    }
}

/// Takes off one interface what `of_one` of its pins stand for.
pub(super) fn release(pins: &Pins, of_one: &[Pin]) -> Result<(), DatapathError> {
    let qdisc = of_one.iter().find(|pin| pin.kind == Kind::Qdisc);
    // Without a filter of ours it is not the one that was added: the interface or the qdisc was made anew since.
    let is_qdisc_ours = qdisc.map_or(Ok(false), |pin| clsact::has_ours(pin.ifindex))?;
    for pin in of_one {
        take_off(pins, *pin, is_qdisc_ours)?;
    }
    Ok(())
}

fn take_off(pins: &Pins, pin: Pin, is_qdisc_ours: bool) -> Result<(), DatapathError> {
    match pin.kind {
        Kind::Tcx(_) | Kind::Xdp => {}
        Kind::Clsact(place) => clsact::remove(pin.ifindex, place)?,
        Kind::Qdisc if is_qdisc_ours => clsact::remove_qdisc(pin.ifindex)?,
        Kind::Qdisc => {}
    }
    pins.remove(pin)
}

/// Puts a program on an interface. Where that fails, what was made for it is in `held`.
pub(super) fn put(
    object: &mut Ebpf,
    pins: &Pins,
    device: &Device,
    (role, facing): (Role, Facing),
    hook: Hook,
    held: &mut Held,
) -> Result<Mode, DatapathError> {
    let mut hand = Hand {
        object,
        pins,
        device,
        held,
    };
    let place = Place::new(role, facing);
    match (role, hook) {
        (Role::Guard, Hook::Xdp) => hand.xdp(XdpMode::Driver),
        (Role::Guard, Hook::XdpGeneric) => hand.xdp(XdpMode::Skb),
        // What goes out is seen by TC alone.
        (Role::Guard, Hook::Auto) if device.is_hardware && facing == Facing::Client => {
            match hand.xdp(XdpMode::Driver) {
                Err(DatapathError::NoNativeXdp) => hand.tc(place),
                other => other,
            }
        }
        (Role::Guard | Role::Witness, Hook::Clsact) => hand.clsact(place),
        (Role::Guard | Role::Witness, Hook::Auto | Hook::Tc)
        | (Role::Witness, Hook::Xdp | Hook::XdpGeneric) => hand.tc(place),
    }
}

struct Hand<'a> {
    object: &'a mut Ebpf,
    pins: &'a Pins,
    device: &'a Device,
    held: &'a mut Held,
}

impl Hand<'_> {
    fn xdp(&mut self, mode: XdpMode) -> Result<Mode, DatapathError> {
        let program = object::xdp(self.object)?;
        let pin = Pin {
            ifindex: self.device.index,
            kind: Kind::Xdp,
        };
        let told = match mode {
            XdpMode::Skb => Mode::GENERIC,
            XdpMode::Default | XdpMode::Driver | XdpMode::Hardware => Mode::NATIVE,
        };
        if let Ok(pinned) = PinnedLink::from_pin(self.pins.path(pin)) {
            let link = XdpLink::try_from(FdLink::from(pinned)).map_err(DatapathError::Link)?;
            match program.attach_to_link(link) {
                Ok(id) => {
                    // Held here, too, it would stay when its pin goes.
                    drop(program.take_link(id).map_err(DatapathError::Attach)?);
                    self.held.took_over(pin);
                    return Ok(told);
                }
                // The interface it was on is gone, and this is another one with its number.
                Err(error) if is(&error, Errno::ENOLINK) => self.pins.remove(pin)?,
                Err(error) => return Err(DatapathError::Attach(error)),
            }
        }
        let link = attach_xdp(program, self.device, mode)?;
        self.keep(link, pin)?;
        Ok(told)
    }

    fn tc(&mut self, place: Place) -> Result<Mode, DatapathError> {
        const FIRST_WITH_TCX: KernelVersion = KernelVersion::new(6, 6, 0);
        if object::kernel_version().is_some_and(|kernel| kernel < FIRST_WITH_TCX) {
            return self.clsact(place);
        }
        let program = object::tc(self.object, place.role)?;
        let pin = Pin {
            ifindex: self.device.index,
            kind: Kind::Tcx(place),
        };
        if let Ok(pinned) = PinnedLink::from_pin(self.pins.path(pin)) {
            let link =
                SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(DatapathError::Link)?;
            match program.attach_to_link(link) {
                Ok(id) => {
                    // Held here, too, it would stay when its pin goes.
                    drop(program.take_link(id).map_err(DatapathError::Attach)?);
                    self.held.took_over(pin);
                    return Ok(Mode::TCX);
                }
                Err(error) if is(&error, Errno::ENOLINK) => self.pins.remove(pin)?,
                Err(error) => return Err(DatapathError::Attach(error)),
            }
        }
        let id = program
            .attach_with_options(
                &self.device.name,
                place.side.attach_type(),
                TcAttachOptions::TcxOrder(place.role.order()),
            )
            .map_err(DatapathError::Attach)?;
        let link = program.take_link(id).map_err(DatapathError::Attach)?;
        let link: FdLink = link.try_into().map_err(DatapathError::Link)?;
        self.keep(link, pin)?;
        Ok(Mode::TCX)
    }

    /// Pins the link. If that fails, dropping it detaches the program.
    fn keep(&mut self, link: FdLink, pin: Pin) -> Result<(), DatapathError> {
        let path = self.pins.path(pin);
        link.pin(&path)
            .map_err(|source| DatapathError::Pin { path, source })?;
        self.held.made(pin);
        Ok(())
    }

    fn clsact(&mut self, place: Place) -> Result<Mode, DatapathError> {
        let has_ours = self.qdisc(place.role)?;
        let found = clsact::look(self.device.index, place).map_err(DatapathError::Interfaces)?;
        let is_there = has_ours && found.ours.is_some();
        let pin = Pin {
            ifindex: self.device.index,
            kind: Kind::Clsact(place),
        };
        // Before the filter: what is noted and not there is found out, and not the other way round.
        self.note(place.role, pin)?;
        if is_there {
            self.held.took_over(pin);
        } else {
            self.held.made(pin);
        }
        let program = object::tc(self.object, place.role)?;
        let (name, side) = (&self.device.name, place.side.attach_type());
        let priority = place.role.priority();
        let id = if is_there {
            let existing =
                SchedClassifierLink::attached(name, side, priority, clsact::HANDLE, None)
                    .map_err(DatapathError::Interfaces)?;
            program.attach_to_link(existing)
        } else {
            let options = NlOptions {
                priority,
                handle: clsact::HANDLE,
                classid: None,
            };
            program.attach_with_options(name, side, TcAttachOptions::Netlink(options))
        }
        .map_err(DatapathError::Attach)?;
        let link = program.take_link(id).map_err(DatapathError::Attach)?;
        // The filter stays without us: forget the handle that would detach it.
        std::mem::forget(link);
        Ok(Mode::CLSACT)
    }

    /// Sees to the qdisc. Tells whether what is on it of ours is an earlier run's.
    fn qdisc(&mut self, role: Role) -> Result<bool, DatapathError> {
        let qdisc = Pin {
            ifindex: self.device.index,
            kind: Kind::Qdisc,
        };
        let was_added = clsact::add_qdisc(&self.device.name)?;
        let mut notes = self.pins.list()?;
        notes.retain(|pin| pin.ifindex == self.device.index && pin.kind.is_note());
        if !clsact::has_ours(self.device.index)? {
            // What they note is gone: somebody removed it, or another interface had the number.
            for pin in notes.drain(..) {
                self.pins.remove(pin)?;
            }
        }
        if was_added {
            self.held.made(qdisc);
            self.note(role, qdisc)?;
        } else if notes.contains(&qdisc) {
            self.held.took_over(qdisc);
        }
        Ok(!notes.is_empty())
    }

    /// Pins the program as a note. The newest one is as good as the first one.
    fn note(&mut self, role: Role, pin: Pin) -> Result<(), DatapathError> {
        self.pins.remove(pin)?;
        let path = self.pins.path(pin);
        object::tc(self.object, role)?
            .pin(&path)
            .map_err(|source| DatapathError::Pin { path, source })
    }
}

fn attach_xdp(program: &mut Xdp, device: &Device, mode: XdpMode) -> Result<FdLink, DatapathError> {
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
    link.try_into().map_err(DatapathError::Link)
}

fn is(error: &ProgramError, number: Errno) -> bool {
    errno(error) == Some(number as i32)
}
