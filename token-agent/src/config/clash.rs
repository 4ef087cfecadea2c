//! What no two services may share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use super::listen::{Listen, ListenAddress};
use super::problem::Invalid;
use super::report::{At, Place, Report};
use super::table::Table;

/// The names and addresses met so far.
#[derive(Default)]
pub(super) struct Clashes {
    names: HashMap<String, Place>,
    listens: HashMap<Claim, (Listen, String, Place)>,
}

/// What a connection is looked up by: its very address first, then any, so both may be there.
type Claim = (Option<IpAddr>, u16);

impl Clashes {
    pub(super) fn name(&mut self, name: &str, table: &Table<'_>, report: &mut Report<'_>) {
        let at = table.at("name");
        match self.names.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(at.place);
            }
            Entry::Occupied(first) => {
                let place = report.name(*first.get());
                let what = Invalid::new(format!("already the name of the service at {place}"))
                    .help("write another name");
                report.error(at, what);
            }
        }
    }

    pub(super) fn listen(
        &mut self,
        listen: Listen,
        service: &str,
        at: At,
        report: &mut Report<'_>,
    ) {
        let ip = match listen.address {
            // Both would claim IPv4.
            ListenAddress::Any | ListenAddress::AnyV4 => None,
            ListenAddress::Ip(ip) => Some(ip),
        };
        match self.listens.entry((ip, listen.port)) {
            Entry::Vacant(entry) => {
                entry.insert((listen, service.to_owned(), at.place));
            }
            Entry::Occupied(first) => {
                let (first, owner, place) = first.get();
                let what = Invalid::new(format!(
                    "\"{listen}\" is already guarded by \"{first}\" of service \"{owner}\" at {}",
                    report.name(*place)
                ))
                .help("remove one of the two");
                report.error(at, what);
            }
        }
    }
}
