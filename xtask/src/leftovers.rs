//! What tests may leave behind on a machine: network namespaces, pins,
//! daemons and loaded programs.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::process;

/// The kernel frees programs and namespaces a moment after their last user.
const PATIENCE: Duration = Duration::from_secs(5);

/// One line for each thing found.
#[derive(Debug)]
pub(crate) struct Leftovers(BTreeSet<String>);

impl Leftovers {
    pub(crate) fn look() -> Result<Self> {
        let mut found = BTreeSet::new();
        found.extend(namespaces());
        found.extend(pins()?);
        found.extend(daemons());
        found.extend(programs()?);
        Ok(Self(found))
    }

    /// Fails if there is more now than there was.
    pub(crate) fn check_nothing_added(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let now = Self::look()?;
            let added: Vec<_> = now.0.difference(&self.0).map(String::as_str).collect();
            if added.is_empty() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                bail!("the tests left behind:\n- {}", added.join("\n- "));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

fn namespaces() -> impl Iterator<Item = String> {
    names("/run/netns")
        .filter(|name| name.starts_with("ta-"))
        .map(|name| format!("network namespace {name}"))
}

/// The BPF file system is root's alone.
fn pins() -> Result<Vec<String>> {
    let found = process::output(process::as_root("find")?.args([
        "/sys/fs/bpf",
        "-maxdepth",
        "1",
        "-name",
        "token-agent*",
    ]))?;
    Ok(found.lines().map(|path| format!("pins {path}")).collect())
}

/// Daemons of this workspace, told from an installed one by their program's path.
fn daemons() -> impl Iterator<Item = String> {
    let ours = process::workspace().to_owned();
    names("/proc")
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(move |pid| {
            let command_line = fs::read(Path::new("/proc").join(pid).join("cmdline"));
            command_line.is_ok_and(|line| {
                let program = line.split(|&byte| byte == 0).next().unwrap_or_default();
                program.starts_with(ours.as_os_str().as_bytes())
                    && program.ends_with(b"/token-agent")
            })
        })
        .map(|pid| format!("process {pid} (token-agent)"))
}

fn programs() -> Result<Vec<String>> {
    if process::find("bpftool").is_none() {
        return Ok(Vec::new());
    }
    let list = process::output(process::as_root("bpftool")?.args(["prog", "show"]))?;
    Ok(guards(&list)
        .map(|line| format!("BPF program {line}"))
        .collect())
}

/// `42: xdp  name guard_xdp  tag 3b185187f1855c4c  gpl` of what `bpftool prog show` prints.
fn guards(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| {
        let mut words = line.split_whitespace();
        words.any(|word| word == "name")
            && words
                .next()
                .is_some_and(|name| name.starts_with("guard_") || name.starts_with("witness_"))
    })
}

/// The names in a directory; none if it cannot be read.
fn names(directory: &str) -> impl Iterator<Item = String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::guards;

    #[test]
    fn finds_the_guards_in_a_program_list() {
        let list = "\
3: cgroup_device  name sd_devices  tag 40ddf486530245f5  gpl
	loaded_at 2026-01-01T00:00:00+0000  uid 0
	xlated 504B  jited 309B  memlock 4096B
42: xdp  name guard_xdp  tag 3b185187f1855c4c  gpl
	loaded_at 2026-01-01T00:00:00+0000  uid 0
43: sched_cls  tag 3b185187f1855c4c  gpl
44: sched_cls  name witness_tc  tag 3b185187f1855c4c  gpl
";
        assert_eq!(
            guards(list).collect::<Vec<_>>(),
            [
                "42: xdp  name guard_xdp  tag 3b185187f1855c4c  gpl",
                "44: sched_cls  name witness_tc  tag 3b185187f1855c4c  gpl",
            ]
        );
    }
}
