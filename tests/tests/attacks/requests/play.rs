//! One sending of a case.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use token_agent_tests::{
    ground::{Ground, Logs},
    servers::Make,
};

use super::Case;

/// How the bytes are cut into segments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Not, if they fit in one; where time is to pass, there it does.
    Whole,
    /// Every few bytes.
    Fine,
    /// Not, and the client closes its side.
    ThenFin,
}

/// A case as it was sent.
pub(crate) struct Played<'a> {
    pub(crate) case: &'a Case,
    pub(crate) make: Make,
    cut: Cut,
    pub(crate) peer: SocketAddr,
    is_answered: bool,
}

/// As long as the sender goes on trying: that is twice.
const TRYING: Duration = Duration::from_millis(350);

impl Cut {
    pub(crate) const ALL: [Self; 3] = [Self::Fine, Self::ThenFin, Self::Whole];

    const fn length(self, bytes: usize) -> usize {
        match self {
            // An odd number, and no more than some hundred segments.
            Self::Fine => (bytes / 200) | 7,
            Self::ThenFin | Self::Whole => 1_460,
        }
    }
}

pub(crate) fn play<'a>(
    ground: &Ground<'_>,
    case: &'a Case,
    make: Make,
    cut: Cut,
) -> Result<Played<'a>> {
    send(ground, case, make, cut, TRYING)
}

/// Sends it, trying again as long as an honest client does.
pub(crate) fn send<'a>(
    ground: &Ground<'_>,
    case: &'a Case,
    make: Make,
    cut: Cut,
    patience: Duration,
) -> Result<Played<'a>> {
    let mut peer = ground.wire.peer(make.address(case.door))?;
    peer.connect()?;
    let whole = [case.bytes.clone()];
    let parts = match cut {
        Cut::Whole if !case.parts.is_empty() => &case.parts[..],
        Cut::Fine | Cut::ThenFin | Cut::Whole => &whole,
    };
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            peer.pause(Duration::from_millis(300))?;
        }
        peer.deliver(part, cut.length(part.len()), patience)?;
    }
    if matches!(cut, Cut::ThenFin) {
        let end = i32::try_from(case.bytes.len())?;
        peer.fin(end).send()?;
    }
    if peer.acked()? > 0 {
        peer.settle()?;
    }
    Ok(Played {
        case,
        make,
        cut,
        peer: peer.address(),
        is_answered: peer.is_answered(),
    })
}

impl Played<'_> {
    pub(crate) fn name(&self) -> String {
        let (Case { id, recipe, .. }, make, cut) = (self.case, self.make, self.cut);
        format!("{id} ({recipe}) at {make:?}, {cut:?}")
    }

    /// What the application got with a revoked token, if it did.
    pub(crate) fn served(&self, logs: &Logs) -> Option<String> {
        let entry = logs.revoked(self.make, self.peer).next()?;
        Some(format!(
            "{}: a revoked request was served: {entry:?}",
            self.name()
        ))
    }

    /// What came of it: whether it was answered, and what the application got.
    pub(crate) fn outcome<'l>(&self, logs: &'l Logs) -> (bool, Vec<&'l str>) {
        let requests = logs.requests(self.make, self.peer);
        let requests = requests.iter().map(|entry| entry.request.as_str());
        (self.is_answered, requests.collect())
    }
}
