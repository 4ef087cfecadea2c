//! `cargo xtask count`: how many instructions the guard takes for a packet, on this machine or any other.
//!
//! In an emulated machine whose clock counts them (QEMU's `-icount`): a nanosecond is one instruction of x86-64, whatever
//! else this machine does. How long one takes, and what calls, caches and guards against speculation cost, it does not tell.

use anyhow::{Result, ensure};

use crate::{
    machine::{Contents, Kernel},
    process, setup,
};

/// The newest of the kernels that Debian has.
const KERNEL: &str = "linux-image-6.12-cloud-amd64";

const INIT: &str = include_str!("count/init.sh");

pub(crate) fn count() -> Result<()> {
    setup::ensure()?;
    setup::ensure_emulator()?;
    let package = ["build", "--release", "--package", "token-agent-tests"];
    process::run(process::cargo().args(package).args(["--bin", "bench"]))?;
    let contents = Contents {
        init: INIT,
        programs: &[("bench", &process::built("release", "bench")?)],
        modules: &[],
        scripts: &[],
    };
    let emulation = [
        "-accel",
        "tcg,thread=single",
        "-icount",
        "shift=0,sleep=off",
    ];
    let mut is_done = false;
    Kernel::unpack(KERNEL)?.boot(
        &contents,
        &emulation,
        "mitigations=off tsc=reliable",
        |line| {
            println!("{line}");
            is_done |= line == "== counted";
        },
    )?;
    ensure!(is_done, "it did not come to its end");
    Ok(())
}
