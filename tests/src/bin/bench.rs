//! What the guard costs: each packet by itself, packets of live traffic, and what is left of
//! the throughput.
//!
//! The machine should have nothing else to do. No test depends on these figures.

#[path = "bench/bulk.rs"]
mod bulk;
#[path = "bench/host.rs"]
mod host;
#[path = "bench/live.rs"]
mod live;
#[path = "bench/packets.rs"]
mod packets;
#[path = "bench/request.rs"]
mod request;

#[path = "bench/throughput.rs"]
mod throughput;
#[path = "bench/wrk.rs"]
mod wrk;

use std::fs;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures what the guard costs
#[derive(Parser)]
#[command(name = "cargo xtask bench --")]
struct Options {
    /// Measure only these
    what: Vec<What>,
    /// How often each packet is judged by itself, in one round
    #[arg(long, default_value_t = 200_000)]
    runs: u32,
    /// Of how many rounds the median is told
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many requests of live traffic are averaged over, in thousands
    #[arg(long, default_value_t = 1_000)]
    thousands: u32,
    /// Only that live traffic whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
    /// How many pairs of runs there are, guarded and unguarded
    #[arg(long, default_value_t = 7)]
    pairs: usize,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum What {
    /// One packet again and again, by the kernel's test runs
    Packets,
    /// Traffic between hosts, by the kernel's statistics
    Live,
    /// Uploads and small requests, guarded and unguarded
    Throughput,
}

fn main() -> Result<()> {
    let options = Options::parse();
    println!("{}\n", machine());
    let wants = |what| options.what.is_empty() || options.what.contains(&what);
    if wants(What::Packets) {
        packets::measure_all(options.runs, options.rounds)?;
    }
    if wants(What::Live) {
        live::measure_all(u64::from(options.thousands) * 1_000, &options.only)?;
    }
    if wants(What::Throughput) {
        throughput::measure_all(options.pairs)?;
    }
    Ok(())
}

/// On what this runs: without that no figure means anything.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let first = |name: &str| {
        let of = |line: &str| Some(line.split_once(':')?.1.trim().to_owned());
        let mut lines = processors
            .lines()
            .filter(|line| line.split('\t').next() == Some(name));
        lines.next().and_then(of).unwrap_or_else(|| "?".into())
    };
    format!(
        "{}, family {}, model {}; Linux {}; returns: {}",
        first("model name"),
        first("cpu family"),
        first("model"),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow").trim(),
    )
}
