//! The group that may use the control socket.

use nix::unistd::Gid;

use crate::config::Control;

/// Whether the host knows the group.
#[derive(Debug)]
pub(super) enum Group {
    Known(Gid),
    /// Asked for by name, and not there.
    Missing(String),
    /// Nobody asked for it by name.
    Unknown(String),
}

impl Group {
    pub(super) const fn gid(&self) -> Option<Gid> {
        match self {
            Self::Known(gid) => Some(*gid),
            Self::Missing(_) | Self::Unknown(_) => None,
        }
    }
}

/// Looks the configured group up.
pub(super) fn of(control: &Control) -> Group {
    let name = &control.group;
    let found = nix::unistd::Group::from_name(name);
    match found {
        Ok(Some(group)) => Group::Known(group.gid),
        Ok(None) if control.group_is_default => Group::Unknown(format!(
            "only root may use the control socket: there is no group {name}"
        )),
        Ok(None) => Group::Missing(format!(
            "only root may use the control socket: there is no group {name}; create it with `groupadd --system {name}` and restart"
        )),
        Err(errno) => Group::Missing(format!(
            "only root may use the control socket: cannot look up the group {name}: {errno}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_group_asked_for_is_missed() {
        let control = |group: &str, group_is_default| Control {
            group: group.into(),
            group_is_default,
        };
        assert!(matches!(of(&control("root", false)), Group::Known(gid) if gid.as_raw() == 0));
        assert!(matches!(
            of(&control("no-such-group", true)),
            Group::Unknown(_)
        ));
        assert!(matches!(
            of(&control("no-such-group", false)),
            Group::Missing(_)
        ));
    }
}
