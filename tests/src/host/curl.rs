//! The client.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result};

use super::{Namespace, patience::PATIENCE};

/// `host:port`, with brackets where the host is an IPv6 address.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// The header that bears a token, for curl.
#[must_use]
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// The status of the answer that curl got, or nothing within [`PATIENCE`]. For what
/// should be answered: a denial takes that long to be told.
///
/// # Errors
/// If curl cannot be run.
pub fn curl(namespace: &Namespace, url: &str, more: &[&str]) -> Result<Option<u16>> {
    ask(namespace, url, more, PATIENCE)
}

/// Whether nothing is answered in a time in which it would be.
///
/// On a machine that is too busy to answer in that time everything looks denied;
/// what reached the server is in its log.
///
/// # Errors
/// If curl cannot be run.
pub fn is_denied(namespace: &Namespace, url: &str, more: &[&str]) -> Result<bool> {
    const LONG_ENOUGH: Duration = Duration::from_millis(1_500);
    Ok(ask(namespace, url, more, LONG_ENOUGH)?.is_none())
}

fn ask(namespace: &Namespace, url: &str, more: &[&str], most: Duration) -> Result<Option<u16>> {
    let output = namespace
        .command("curl")
        .args(["--silent", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code}", "--noproxy", "*"])
        .args(["--max-time", &most.as_secs_f64().to_string()])
        .args(more)
        .arg(url)
        .output()
        .context("cannot run curl")?;
    let code: u16 = String::from_utf8(output.stdout)?.parse()?;
    Ok((code != 0).then_some(code))
}
