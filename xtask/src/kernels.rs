//! `cargo xtask kernels`: the guard on older kernels than this machine's, in virtual machines.
//!
//! In each are the tests that need no more of a host than its kernel, and the agent. They are
//! emulated, so their timings say nothing.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    machine::{Contents, Kernel},
    process, setup,
};

/// Debian's packages that stand for the newest kernel of a version.
const KERNELS: [(&str, &str); 2] = [
    ("6.1", "linux-image-cloud-amd64"),
    ("6.12", "linux-image-6.12-cloud-amd64"),
];

/// What `lo` needs for a classifier before tcx, and what lists connections; in this order of names.
const MODULES: [&str; 4] = ["cls_bpf", "inet_diag", "sch_ingress", "tcp_diag"];

/// What the machine's first process does, and what it runs besides the tests.
const INIT: &str = include_str!("kernels/init.sh");
const AGENT: &str = include_str!("kernels/agent.sh");

/// Which of the tests are enough to see that the programs load and work, by parts of their names: all kinds of packets,
/// requests, tables and helpers.
const SMOKE: [&str; 5] = [
    "packets::",
    "slots::",
    "stream::order",
    "stream::ways",
    "verdicts::requests",
];

/// What [`INIT`] tells of.
const TESTS: [&str; 2] = ["programs", "agent"];

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only this version: 6.1 or 6.12
    pub(crate) version: Option<String>,
    /// Only some of the tests: that the programs load and work
    #[arg(long)]
    pub(crate) smoke: bool,
}

pub(crate) fn kernels(args: &Args) -> Result<()> {
    setup::ensure()?;
    setup::ensure_emulator()?;
    let chosen = |version: &str| args.version.as_deref().is_none_or(|only| only == version);
    let kernels: Vec<_> = KERNELS
        .into_iter()
        .filter(|(version, _)| chosen(version))
        .collect();
    ensure!(!kernels.is_empty(), "the versions are 6.1 and 6.12");
    let programs = Programs::build()?;
    for (version, package) in kernels {
        let kernel = Kernel::unpack(package).with_context(|| format!("Linux {version}"))?;
        test(&kernel, &programs, args.smoke).with_context(|| format!("Linux {version}"))?;
    }
    Ok(())
}

/// Runs the tests on one kernel.
fn test(kernel: &Kernel, programs: &Programs, smoke: bool) -> Result<()> {
    let filters = if smoke { &SMOKE[..] } else { &[] };
    let contents = Contents {
        init: INIT,
        programs: &[
            ("token-agent", &programs.agent),
            ("programs", &programs.tests),
        ],
        modules: &MODULES,
        scripts: &[("agent.sh", AGENT), ("filters", &filters.join("\n"))],
    };
    let emulation = ["-accel", "tcg,thread=multi", "-smp", "2"];
    let mut passed = Vec::new();
    kernel.boot(&contents, &emulation, "", |line| {
        println!("{line}");
        if let Some(test) = line
            .strip_prefix("== ")
            .and_then(|line| line.strip_suffix(": passed"))
        {
            passed.push(test.to_owned());
        }
    })?;
    ensure!(passed == TESTS, "of {TESTS:?} only {passed:?} passed");
    Ok(())
}

/// What runs in the machines.
struct Programs {
    agent: PathBuf,
    tests: PathBuf,
}

impl Programs {
    fn build() -> Result<Self> {
        process::run(process::cargo().args(["build", "--package", "token-agent"]))?;
        let tests = ["test", "--no-run", "--package", "token-agent-tests"];
        let messages = process::output(
            process::cargo()
                .args(tests)
                .args(["--test", "programs", "--message-format", "json"])
                .stderr(Stdio::inherit()),
        )?;
        Ok(Self {
            agent: process::built("debug", "token-agent")?,
            tests: executable(&messages, "programs-")
                .context("cargo built no tests")?
                .into(),
        })
    }
}

/// The program of that name that cargo says it has built.
fn executable<'a>(messages: &'a str, name: &str) -> Option<&'a Path> {
    messages
        .split("\"executable\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(Path::new)
        .find(|path| {
            path.file_name()
                .is_some_and(|file| file.to_string_lossy().starts_with(name))
        })
}
