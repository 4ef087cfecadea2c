//! Whether the guard is still where it was put.

use tracing::{error, info, warn};

use super::{Agent, Degraded, Engine};
use crate::datapath::{Interface, InterfaceState};

impl Agent {
    /// Looks at the interfaces again, and tells what changed.
    ///
    /// # Errors
    /// What is to be said if that cannot be done; what is known of them stays as it was then.
    pub(super) fn look(&self, engine: &mut Engine) -> Result<(), String> {
        match engine.kernel.look() {
            Ok(now) => {
                self.notes.mend(Degraded::Interfaces);
                tell_changes(&engine.interfaces, &now);
                engine.interfaces = now;
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
