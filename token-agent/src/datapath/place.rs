//! The two programs of an interface, and where on it each of them is.
//!
//! | facing  | guard   | witness |
//! |---------|---------|---------|
//! | client  | ingress | egress  |
//! | service | egress  | ingress |
//!
//! The guard is the first program on its side: one before it could hide packets from it, by
//! passing them for good or sending them elsewhere. The witness is the last one on the other
//! side. So whatever else is on the interface lies on the same side of both, and where it
//! translates addresses, both see the same ones. What it hides from the witness the guard does
//! not learn of; then less passes, never more.

use aya::programs::{LinkOrder, TcAttachType};

use crate::config::Facing;

/// Which of the two programs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// Judges what is for the service.
    Guard,
    /// Sees what the service says.
    Witness,
}

/// One of an interface's sides, seen from the host.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Side {
    Egress,
    Ingress,
}

/// A program and its side.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    pub(super) role: Role,
    pub(super) side: Side,
}

impl Place {
    pub(super) const ALL: [Self; 4] = [
        Self::new(Role::Guard, Facing::Client),
        Self::new(Role::Guard, Facing::Service),
        Self::new(Role::Witness, Facing::Client),
        Self::new(Role::Witness, Facing::Service),
    ];

    pub(super) const fn new(role: Role, facing: Facing) -> Self {
        let side = match (role, facing) {
            (Role::Guard, Facing::Client) | (Role::Witness, Facing::Service) => Side::Ingress,
            (Role::Guard, Facing::Service) | (Role::Witness, Facing::Client) => Side::Egress,
        };
        Self { role, side }
    }
}

impl Role {
    /// Its place among the tcx programs of its side.
    pub(super) const fn order(self) -> LinkOrder {
        match self {
            Self::Guard => LinkOrder::first(),
            Self::Witness => LinkOrder::last(),
        }
    }

    /// The same among clsact filters, of which the lowest comes first.
    pub(super) const fn priority(self) -> u16 {
        match self {
            Self::Guard => 1,
            Self::Witness => u16::MAX,
        }
    }
}

impl Side {
    pub(super) const ALL: [Self; 2] = [Self::Egress, Self::Ingress];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    pub(super) const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Egress => TcAttachType::Egress,
            Self::Ingress => TcAttachType::Ingress,
        }
    }
}
