//! A look at this machine, without touching it.

use std::{fs, path::Path};

use super::{
    Finding, device,
    error::DatapathError,
    object,
    pins::{Kind, Pin, Pins},
    place::Role,
};
use crate::config::{Config, Facing, Hook};

/// What stands in the way of enforcement here.
pub(super) fn examine(config: Option<&Config>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(DatapathError::KernelTooOld { found, needed }) = object::require_kernel() {
        findings.push(error(
            "kernel-too-old",
            format!("this kernel is {found}"),
            format!("boot a kernel of version {needed} or newer"),
        ));
    }
    if !nix::unistd::geteuid().is_root() {
        findings.push(warning(
            "not-root",
            "this command does not run as root, so it may see less".into(),
            "run it with sudo".into(),
        ));
    }
    if fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").is_ok_and(|text| text.trim() == "0")
    {
        findings.push(warning(
            "jit-off",
            "/proc/sys/net/core/bpf_jit_enable is 0: programs are interpreted, several times slower".into(),
            "sysctl -w net.core.bpf_jit_enable=1".into(),
        ));
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        findings.push(warning(
            "no-kernel-btf",
            "/sys/kernel/btf/vmlinux is missing".into(),
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF".into(),
        ));
    }
    if let Some(config) = config {
        examine_pin_dir(config, &mut findings);
        examine_interfaces(config, &mut findings);
    }
    findings
}

fn examine_pin_dir(config: &Config, findings: &mut Vec<Finding>) {
    let pin_dir = &config.agent.pin_dir;
    if !Pins::new(pin_dir).is_on_bpffs() {
        findings.push(error(
            "bpffs-missing",
            format!("{} is not on a BPF file system", pin_dir.display()),
            "mount -t bpf bpf /sys/fs/bpf".into(),
        ));
    }
}

fn examine_interfaces(config: &Config, findings: &mut Vec<Finding>) {
    let devices = match device::list() {
        Ok(devices) => devices,
        Err(source) => {
            findings.push(error(
                "interfaces-unreadable",
                format!("the network interfaces cannot be listed: {source}"),
                "run it in the network namespace of the services, as root".into(),
            ));
            return;
        }
    };
    for pattern in config.datapath.interfaces.patterns() {
        if !devices.iter().any(|device| pattern.matches(&device.name)) {
            findings.push(warning(
                "interface-missing",
                format!("no interface matches {pattern}"),
                "create it, or correct datapath.interfaces".into(),
            ));
        }
    }
    let facing = |device: &device::Device| config.datapath.interfaces.facing(&device.name);
    for device in devices.iter().filter(|device| facing(device).is_some()) {
        if !device.has_ethernet() {
            findings.push(error(
                "no-ethernet",
                format!(
                    "the packets of {} have no Ethernet header (link type {}), so it cannot be guarded",
                    device.name, device.layer
                ),
                "guard the interface they come from, or take it out of datapath.interfaces".into(),
            ));
        }
    }
    let wants_xdp = |device: &device::Device| {
        let by_hook = match config.datapath.hook {
            Hook::Xdp | Hook::XdpGeneric => true,
            Hook::Auto => device.is_hardware,
            Hook::Clsact | Hook::Tc => false,
        };
        by_hook && facing(device) == Some(Facing::Client)
    };
    let pinned = Pins::new(&config.agent.pin_dir).list().unwrap_or_default();
    examine_pins(&pinned, &devices, findings);
    for device in devices.iter().filter(|device| wants_xdp(device)) {
        let is_ours = |pin: &Pin| pin.ifindex == device.index && pin.kind == Kind::Xdp;
        if let Some(program) = device.xdp.first()
            && !pinned.iter().any(is_ours)
        {
            findings.push(error(
                "xdp-slot-taken",
                format!("the XDP slot of {} is taken by program {program}", device.name),
                format!("look at it with `bpftool prog show id {program}`; detach it, or set datapath.hook = \"tc\""),
            ));
        }
    }
}

/// A guard without its witness, and the other way round: an agent that ended while it attached them
/// leaves that, or somebody who removed a pin.
fn examine_pins(pinned: &[Pin], devices: &[device::Device], findings: &mut Vec<Finding>) {
    for device in devices {
        let has = |role| {
            let mut pins = pinned.iter();
            pins.any(|pin| pin.ifindex == device.index && pin.kind.role() == Some(role))
        };
        let name = &device.name;
        let evidence = match (has(Role::Guard), has(Role::Witness)) {
            (true, false) => {
                format!("{name} has the guard and no witness: nothing passes to a service there")
            }
            (false, true) => format!("{name} has the witness and no guard: all passes there"),
            (true, true) | (false, false) => continue,
        };
        findings.push(error(
            "half-attached",
            evidence,
            "start the agent anew, which attaches both; or take off what is there with `token-agent detach`".into(),
        ));
    }
}

const fn error(id: &'static str, evidence: String, remedy: String) -> Finding {
    Finding {
        id,
        severity: "error",
        evidence,
        remedy,
    }
}

const fn warning(id: &'static str, evidence: String, remedy: String) -> Finding {
    Finding {
        id,
        severity: "warning",
        evidence,
        remedy,
    }
}
