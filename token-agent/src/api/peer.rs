//! Who is at the other end of a connection, and whether they may be there.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};
use tokio::net::unix::UCred;

use crate::wire::Actor;

/// Lets root and one group in.
///
/// The socket's file does so already; this holds where its mode or group was changed since.
#[derive(Clone, Copy, Debug)]
pub struct Gatekeeper {
    /// None: root alone.
    pub group: Option<Gid>,
}

impl Gatekeeper {
    /// Who connected, if they may. Looks into the user database, so it may block.
    #[must_use]
    pub fn admit(self, peer: &UCred) -> Option<Actor> {
        let user = User::from_uid(Uid::from_raw(peer.uid())).ok().flatten();
        let supplementary = || user.as_ref().map_or_else(Vec::new, groups);
        self.allows(peer.uid(), Gid::from_raw(peer.gid()), supplementary)
            .then(|| Actor {
                uid: peer.uid(),
                user: user.as_ref().map(|user| user.name.clone()),
            })
    }

    fn allows(self, uid: u32, gid: Gid, supplementary: impl FnOnce() -> Vec<Gid>) -> bool {
        uid == 0
            || self
                .group
                .is_some_and(|group| gid == group || supplementary().contains(&group))
    }
}

/// The groups the database has the user in.
fn groups(user: &User) -> Vec<Gid> {
    CString::new(user.name.as_str())
        .ok()
        .and_then(|name| getgrouplist(&name, user.gid).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_group_may() {
        let gid = Gid::from_raw;
        let keeper = Gatekeeper {
            group: Some(gid(7)),
        };
        for (uid, primary, others, may) in [
            (0, 0, vec![], true),
            (1000, 7, vec![], true),
            (1000, 1000, vec![4, 7], true),
            (1000, 1000, vec![4, 8], false),
            (1000, 0, vec![], false),
        ] {
            let others = || others.iter().copied().map(gid).collect();
            assert_eq!(
                keeper.allows(uid, gid(primary), others),
                may,
                "{uid} {primary}"
            );
        }
        let root_only = Gatekeeper { group: None };
        assert!(root_only.allows(0, gid(0), Vec::new));
        assert!(!root_only.allows(1000, gid(0), || vec![gid(0)]));
    }
}
