//! `[metrics]`: where the numbers can be read.

use std::net::{Ipv4Addr, SocketAddr};

use super::problem::{Invalid, quote};
use super::report::Report;
use super::table::Table;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Metrics {
    /// None if they are switched off.
    pub listen: Option<SocketAddr>,
}

impl Metrics {
    const DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9977);

    pub(super) fn read(mut table: Table<'_>, report: &mut Report<'_>) -> Self {
        let metrics = Self {
            listen: table
                .text("listen", report, listen)
                .unwrap_or(Some(Self::DEFAULT)),
        };
        table.finish(report);
        metrics
    }
}

fn listen(text: &str) -> Result<Option<SocketAddr>, Invalid> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.port() != 0)
        .map(Some)
        .ok_or_else(|| {
            Invalid::new(format!("{} is not an address and a port", quote(text)))
                .help(r#"write it like "127.0.0.1:9977" or "[::1]:9977", or "" for none"#)
        })
}
