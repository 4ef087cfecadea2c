//! What the kernel side says of itself, for debugging: nothing, unless it is asked to at load.

use std::time::Duration;

use aya::{Ebpf, EbpfLoader};
use aya_log::{EbpfLogger, Level};
use log::Log;

use super::error::DatapathError;

/// Where its messages come from, as the log's directives name it.
pub const TARGET: &str = "token_agent_ebpf";

/// How often its messages are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Says before the load whether the kernel side is to log; without it, the
/// verifier takes the logging out.
pub(super) fn choose(loader: &mut EbpfLoader<'_>, is_wanted: bool) {
    const OFF: u8 = 0;
    const DEBUG: u8 = Level::Debug as u8;
    let level = if is_wanted { &DEBUG } else { &OFF };
    loader.override_global(aya_log::LEVEL, level, true);
}

/// The messages of the kernel side.
pub struct KernelLog(EbpfLogger<&'static dyn Log>);

impl KernelLog {
    pub(super) fn new(object: &mut Ebpf) -> Result<Self, DatapathError> {
        EbpfLogger::init(object)
            .map(Self)
            .map_err(DatapathError::KernelLog)
    }

    /// Writes them to the agent's log, for ever.
    pub async fn follow(mut self) {
        loop {
            self.0.flush();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl std::fmt::Debug for KernelLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KernelLog(..)")
    }
}
