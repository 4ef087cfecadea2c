//! Whether the guard is still where it was put.

use tracing::{error, info, warn};

use super::{Agent, Degraded, Engine};
use crate::datapath::{self, Interface, InterfaceState, Way};

impl Agent {
    /// Looks at the interfaces again, and tells what changed.
    ///
    /// # Errors
    /// What is to be said if that cannot be done; what is known of them stays as it was then.
    pub(super) fn look(&self, engine: &mut Engine) -> Result<(), String> {
        let looked = engine.kernel.look().and_then(|now| {
            let ways = datapath::uncovered(&self.config, &now)?;
            Ok((now, ways))
        });
        match looked {
            Ok((now, ways)) => {
                self.notes.mend(Degraded::Interfaces);
                tell_changes(&engine.interfaces, &now);
                self.tell_ways(&engine.ways, &ways);
                engine.interfaces = now;
                engine.ways = ways;
                Ok(())
            }
            Err(error) => {
                let why = format!(
                    "cannot look whether the guard is still on the interfaces: {error}; what is told of them may be out of date"
                );
                if self.notes.degrade(Degraded::Interfaces, &why) {
                    error!("{why}");
                }
                Err(why)
            }
        }
    }

    /// Logs the ways to services that were not there before.
    fn tell_ways(&self, before: &[Vec<Way>], now: &[Vec<Way>]) {
        for (index, (service, ways)) in self.config.services.iter().zip(now).enumerate() {
            let known = before.get(index).map_or(&[][..], Vec::as_slice);
            for way in ways.iter().filter(|way| !known.contains(way)) {
                let (service, interface) = (&service.name, &way.interface);
                if way.is_side_way {
                    info!(%service, %interface, "programs on this host come to it past the guard");
                } else {
                    warn!(%service, %interface, "it can be reached past the guard");
                }
            }
        }
    }
}

/// Logs how an interface is guarded.
pub(crate) fn tell(interface: &Interface) {
    let name = &interface.name;
    match &interface.state {
        InterfaceState::Attached => info!(
            interface = %name,
            facing = interface.facing,
            hook = interface.hook.unwrap_or_default(),
            mode = interface.mode.unwrap_or_default(),
            "guarding"
        ),
        InterfaceState::Degraded(why) => warn!(interface = %name, %why, "guarded, but impaired"),
        InterfaceState::Missing => warn!(interface = %name, "no such interface"),
        InterfaceState::Failed(why) => warn!(interface = %name, %why, "not guarded"),
    }
}

fn tell_changes(before: &[Interface], now: &[Interface]) {
    for interface in now.iter().filter(|interface| !before.contains(interface)) {
        tell(interface);
    }
    if before.iter().any(Interface::is_guarded) && !now.iter().any(Interface::is_guarded) {
        error!("no interface is guarded any more: requests are not judged");
    }
}
