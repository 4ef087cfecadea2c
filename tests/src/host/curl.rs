//! The client.

use std::net::IpAddr;

use anyhow::{Context as _, Result};

use super::Namespace;

/// `host:port`, with brackets where the host is an IPv6 address.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// What curl got: the status, or nothing within the time.
///
/// # Errors
/// If curl cannot be run.
pub fn curl(namespace: &Namespace, url: &str, more: &[&str]) -> Result<Option<u16>> {
    let output = namespace
        .command("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
        ])
        // Long enough for a local answer, short enough to wait for each denial.
        .args(["--max-time", "1.5", "--noproxy", "*"])
        .args(more)
        .arg(url)
        .output()
        .context("cannot run curl")?;
    let code: u16 = String::from_utf8(output.stdout)?.parse()?;
    Ok((code != 0).then_some(code))
}
