//! `cargo xtask fuzz`: the fuzz targets, for a while.

use std::fs;

use anyhow::{Context as _, Result};

use crate::process;

/// Longer inputs are changed less often where it matters.
const LONGEST: u32 = 3_000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which targets: all if none is named
    targets: Vec<String>,
    /// How long each is run, in seconds
    #[arg(long, default_value_t = Self::default().seconds)]
    seconds: u32,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            seconds: 20,
        }
    }
}

pub(crate) fn is_installed() -> bool {
    process::find("cargo-fuzz").is_some()
}

pub(crate) fn fuzz(args: &Args) -> Result<()> {
    let folder = process::workspace().join("fuzz");
    let targets = if args.targets.is_empty() {
        all()?
    } else {
        args.targets.clone()
    };
    for target in targets {
        let corpus = folder.join("corpus").join(&target);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        process::run(
            process::cargo()
                .args(["fuzz", "run", "--sanitizer", "none", &target])
                .arg(corpus)
                .arg(folder.join("seeds").join(&target))
                .arg("--")
                .arg(format!("-max_len={LONGEST}"))
                .arg(format!("-max_total_time={}", args.seconds)),
        )?;
    }
    Ok(())
}

/// The names of all targets: each has seeds.
fn all() -> Result<Vec<String>> {
    let seeds = process::workspace().join("fuzz/seeds");
    let entries = fs::read_dir(&seeds).with_context(|| seeds.display().to_string())?;
    let mut names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}
