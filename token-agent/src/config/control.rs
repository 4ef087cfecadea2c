//! `[control]`: who may use the control socket.

use super::problem::{Invalid, quote};
use super::report::Report;
use super::table::Table;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Control {
    /// The group that may, besides root.
    pub group: String,
    /// Nobody asked for the group by name, so the host need not have it.
    pub group_is_default: bool,
}

impl Control {
    pub(super) fn read(mut table: Table<'_>, report: &mut Report<'_>) -> Self {
        let control = Self {
            group_is_default: !table.is_written("group"),
            group: table
                .text("group", report, group)
                .unwrap_or_else(|| "token-agent".into()),
        };
        table.finish(report);
        control
    }
}

/// Directories of users allow much in a name; the group database cannot hold these.
fn group(text: &str) -> Result<String, Invalid> {
    if text.is_empty() || text.contains(|c: char| c == ':' || c.is_control()) {
        return Err(Invalid::new(format!("{} cannot be a group", quote(text)))
            .help("write a group's name, or remove the key"));
    }
    Ok(text.to_owned())
}
