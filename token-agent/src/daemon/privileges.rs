//! Whether the process may do what the agent does, told before it tries.

use std::fs;
use std::io;

/// Bits of `capabilities(7)`.
const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// The capabilities the process lacks.
pub(super) fn missing() -> io::Result<Vec<&'static str>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let effective = effective(&status).ok_or(io::ErrorKind::InvalidData)?;
    Ok(lacking(effective))
}

fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn lacking(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective >> bit & 1 == 1;
    // CAP_SYS_ADMIN was split up, and still stands for its parts.
    let wanted = [
        ("CAP_BPF", has(BPF) || has(SYS_ADMIN)),
        ("CAP_NET_ADMIN", has(NET_ADMIN)),
        ("CAP_PERFMON", has(PERFMON) || has(SYS_ADMIN)),
    ];
    let lacking = wanted.into_iter().filter(|(_, has)| !has);
    lacking.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named() {
        let all = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"];
        assert_eq!(lacking(0), all);
        assert!(lacking(u64::MAX).is_empty());
        assert!(lacking(1 << SYS_ADMIN | 1 << NET_ADMIN).is_empty());
        assert!(lacking(1 << BPF | 1 << PERFMON | 1 << NET_ADMIN).is_empty());
        assert_eq!(lacking(1 << SYS_ADMIN), ["CAP_NET_ADMIN"]);
    }

    #[test]
    fn the_effective_set_is_read() {
        let status = "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }
}
