//! The kernel object: loaded with the sizes the configuration asks for.

use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    programs::{ProgramError, SchedClassifier, Xdp},
    util::KernelVersion,
};
use nix::{errno::Errno, sys::time::TimeValLike as _, time::ClockId};
use token_agent_common::abi;

use super::{
    debug,
    error::{DatapathError, errno},
    flows,
    pins::Pins,
    place::Role,
};
use crate::config::Config;

/// Built from `token-agent-ebpf` by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("TOKEN_AGENT_EBPF"));

/// `bpf_ktime_get_tai_ns` and everything else used is there from here on.
const OLDEST_KERNEL: (u8, u8, u16) = (6, 1, 0);

/// How many (audience, service) pairs there may be; they take memory only when used.
pub(crate) const MAX_AUDIENCES: u32 = 1 << 20;

pub(super) const XDP: &str = "guard_xdp";
pub(super) const TC: &str = "guard_tc";
pub(super) const WITNESS: &str = "witness_tc";
pub(super) const SWEEP: &str = "sweep_tc";
pub(super) const ADOPT: &str = "adopt_tc";

/// Loads the programs and all maps; with the tables of connections that are
/// pinned in `pins`, or new ones pinned there.
pub(super) fn load(config: &Config, pins: Option<&Pins>, log: bool) -> Result<Ebpf, DatapathError> {
    require_kernel()?;
    let services = config.services.len() as u32;
    let listeners: usize = config
        .services
        .iter()
        .map(|service| service.listen.len())
        .sum();
    let tick = tick();
    let mut loader = EbpfLoader::new();
    debug::choose(&mut loader, log);
    loader.override_global("TICK", &tick, true);
    flows::size(&mut loader, &config.datapath, pins);
    let mut object = loader
        .verifier_log_level(VerifierLogLevel::STATS)
        // Each listener has a second key, for any port.
        .map_max_entries("LISTENERS", listeners as u32 * 2)
        .map_max_entries("SERVICES", services + 1)
        .map_max_entries("TOKENS", config.datapath.max_tokens)
        .map_max_entries("AUDIENCES", MAX_AUDIENCES)
        .map_max_entries("COUNTERS", abi::counters(services))
        .load(OBJECT)
        .map_err(|error| {
            if is_permission(&error) {
                DatapathError::NotPermitted
            } else {
                DatapathError::Load(error)
            }
        })?;
    xdp(&mut object)?
        .load()
        .map_err(|source| refused(XDP, source))?;
    for name in [tc_name(Role::Guard), tc_name(Role::Witness), SWEEP, ADOPT] {
        classifier(&mut object, name)?
            .load()
            .map_err(|source| refused(name, source))?;
    }
    Ok(object)
}

/// How long a tick of the kernel takes, in nanoseconds: the resolution of its coarse clocks (`clock_getres(2)`).
fn tick() -> u64 {
    let resolution = ClockId::CLOCK_MONOTONIC_COARSE.res();
    // Every Linux has that clock. With what most have, times would be off and nothing else.
    resolution.map_or(4_000_000, |resolution| resolution.num_nanoseconds() as u64)
}

/// The XDP program.
pub(super) fn xdp(object: &mut Ebpf) -> Result<&mut Xdp, DatapathError> {
    object
        .program_mut(XDP)
        .and_then(|program| program.try_into().ok())
        .ok_or(DatapathError::Incomplete { what: XDP })
}

/// A program for TC.
pub(super) fn tc(object: &mut Ebpf, role: Role) -> Result<&mut SchedClassifier, DatapathError> {
    classifier(object, tc_name(role))
}

pub(super) const fn tc_name(role: Role) -> &'static str {
    match role {
        Role::Guard => TC,
        Role::Witness => WITNESS,
    }
}

/// The program of that name.
pub(super) fn classifier<'a>(
    object: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut SchedClassifier, DatapathError> {
    object
        .program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(DatapathError::Incomplete { what: name })
}

/// The running kernel's version, if it can be told.
pub(super) fn kernel_version() -> Option<KernelVersion> {
    KernelVersion::current().ok()
}

pub(super) fn require_kernel() -> Result<(), DatapathError> {
    let (major, minor, patch) = OLDEST_KERNEL;
    match kernel_version() {
        Some(found) if found < KernelVersion::new(major, minor, patch) => {
            Err(DatapathError::KernelTooOld {
                found: format!("{found:?}"),
                needed: "6.1",
            })
        }
        // If it cannot be told, the verifier will tell.
        Some(_) | None => Ok(()),
    }
}

fn refused(program: &'static str, source: ProgramError) -> DatapathError {
    if is_permission(&source) && nix::unistd::geteuid().as_raw() != 0 {
        DatapathError::NotPermitted
    } else {
        DatapathError::Program { program, source }
    }
}

fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(
        errno(error).map(Errno::from_raw),
        Some(Errno::EPERM | Errno::EACCES)
    )
}
