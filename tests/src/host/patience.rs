//! Waiting for what comes by itself, but not for ever.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Waiting longer than that for anything local means that it will not come, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
///
/// # Errors
/// If it does not within [`PATIENCE`], or cannot be told.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        if started.elapsed() > PATIENCE {
            bail!("waited in vain for {what}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
