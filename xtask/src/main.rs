//! What a developer and CI do with this repository: `cargo xtask --help`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod count;
mod fuzz;
mod kernels;
mod leftovers;
mod machine;
mod mutants;
mod process;
mod run;
mod setup;
mod simulate;
mod test;
#[path = "../../token-agent/build/toolchain.rs"]
mod toolchain;

/// Sets up, builds, tests, demonstrates and measures token-agent.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure the guard; root by sudo
    Bench(bench::Args),
    /// Everything CI checks: format, lints, all tests, nothing left behind
    Ci,
    /// Count the guard's instructions for a packet, in a virtual machine
    Count,
    /// Run the core's fuzz targets for a while; needs cargo-fuzz
    Fuzz(fuzz::Args),
    /// Test the guard on older kernels, in virtual machines
    Kernels(kernels::Args),
    /// Make the guard wrong in one way after the other, and see whether the simulation notices
    Mutants(mutants::Args),
    /// Show the guard at work on this machine; root by sudo
    Run(run::Args),
    /// Install what is missing to build and test
    Setup,
    /// Try the guard out in simulated connections
    Simulate(simulate::Args),
    /// Run the unit tests, then the integration tests; root by sudo
    Test(test::Args),
}

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Bench(args) => return bench::bench(&args),
        Command::Ci => ci::ci()?,
        Command::Count => count::count()?,
        Command::Fuzz(args) => fuzz::fuzz(&args)?,
        Command::Kernels(args) => kernels::kernels(&args)?,
        Command::Mutants(args) => return mutants::mutants(&args),
        Command::Run(args) => return run::run(&args),
        Command::Setup => setup::setup()?,
        Command::Simulate(args) => return simulate::simulate(&args),
        Command::Test(args) => test::test(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
