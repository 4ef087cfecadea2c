//! `cargo xtask ci`: all that CI checks.

use std::{
    env::consts::ARCH,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    fuzz, kernels,
    leftovers::Leftovers,
    process,
    setup::{self, DEBIAN_CLIPPY},
    test,
    toolchain::{Compiler, Toolchain},
};

pub(crate) fn ci() -> Result<()> {
    let start = Instant::now();
    step("setup", setup::setup)?;
    let before = Leftovers::look().context("cannot look at the machine's state")?;
    step("format", || {
        process::run(process::cargo().args(["fmt", "--all", "--check"]))
    })?;
    step("lints", lint)?;
    step("lints of the kernel side", lint_kernel_side)?;
    step("dependencies", check_dependencies)?;
    step("spelling", check_spelling)?;
    step("tests", || test::test(&test::Args::default()))?;
    step("fuzzing", run_fuzzers)?;
    step("older kernels", test_kernels)?;
    step("leftovers", || before.check_nothing_added())?;
    if process::find("bpftool").is_none() {
        eprintln!("loaded BPF programs were not compared: bpftool is not installed");
    }
    eprintln!("\nci passed in {} s", start.elapsed().as_secs());
    Ok(())
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("\n== {name}");
    let start = Instant::now();
    run().with_context(|| name.to_owned())?;
    let taken = start.elapsed();
    if taken > Duration::from_secs(1) {
        eprintln!("== {name}: {} s", taken.as_secs());
    }
    Ok(())
}

fn lint() -> Result<()> {
    process::run(
        process::cargo()
            .args(["clippy", "--locked", "--all-targets", "--"])
            .args(["--deny", "warnings"]),
    )
}

/// By clippy where there is one of the same compiler, else by the compiler alone.
fn lint_kernel_side() -> Result<()> {
    let toolchain = Toolchain::find().map_err(|missing| anyhow!("not found:\n{missing}"))?;
    let mut check = toolchain
        .cargo(
            "check",
            process::workspace(),
            &process::workspace().join("target/bpf-lints"),
            ARCH,
            &["-Dwarnings"],
        )
        .map_err(|message| anyhow!(message))?;
    match toolchain.compiler {
        Compiler::Debian if Path::new(DEBIAN_CLIPPY).is_file() => {
            check.env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY);
        }
        Compiler::Debian | Compiler::Nightly(_) => {
            eprintln!("no clippy of the same compiler: the compiler's own lints only");
        }
    }
    process::run(&mut check)
}

fn check_dependencies() -> Result<()> {
    if process::find("cargo-deny").is_none() {
        eprintln!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    // Not advisories: they change while the source does not.
    process::run(process::cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

fn run_fuzzers() -> Result<()> {
    if !fuzz::is_installed() {
        eprintln!("skipped: cargo-fuzz is not installed");
        return Ok(());
    }
    fuzz::fuzz(&fuzz::Args::default())
}

fn test_kernels() -> Result<()> {
    if ARCH != "x86_64" || process::find("apt-get").is_none() {
        eprintln!("skipped: the kernels are Debian's, for x86-64");
        return Ok(());
    }
    // All of them take many minutes on each.
    kernels::kernels(&kernels::Args {
        smoke: true,
        ..kernels::Args::default()
    })
}

fn check_spelling() -> Result<()> {
    let Some(typos) = process::find("typos") else {
        eprintln!("skipped: typos is not installed");
        return Ok(());
    };
    process::run(std::process::Command::new(typos).current_dir(process::workspace()))
}
