//! Many small requests.

use anyhow::{Context as _, Result};
use token_agent_tests::host::{Pair, run};

use crate::{
    host::{ADDRESS, SMALL},
    request,
};

/// Has `wrk` ask for so many seconds; gives the requests a second.
pub(crate) fn ask(pair: &Pair, token: &str, seconds: u64, connections: u32) -> Result<f64> {
    let mut wrk = pair.client.command("wrk");
    wrk.args(["--threads", "1"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s")]);
    for header in request::headers(token).lines() {
        wrk.args(["--header", header]);
    }
    let told = run(wrk.arg(format!("http://{ADDRESS}:{SMALL}/v1/orders/1234567")))?;
    anyhow::ensure!(
        !told.contains("Socket errors") && !told.contains("Non-2xx"),
        "{told}"
    );
    let rate = told
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.with_context(|| told.clone())?.trim().parse()?)
}
