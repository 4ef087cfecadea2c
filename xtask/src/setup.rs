//! `cargo xtask setup`: says what is missing to build and test, and installs just that.

use std::{env, fmt, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{
    process,
    toolchain::{Compiler, DEBIAN_RUSTC, Missing, OVERRIDE, Toolchain},
};

/// Installs the packages it is given, as root.
const APT_INSTALL: &str = include_str!("apt-install.sh");

/// What compiles the kernel side on Debian, and lints it.
const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];

/// Lints the kernel side, from the same source as that compiler: rust-web-clippy.
pub(crate) const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

/// The bpf-linker to install. It must be built on the compiler's LLVM.
const LINKER_VERSION: &str = "0.13.0";
const LINKER_FEATURE: &str = "llvm-22";
const LLVM: &str = "/usr/lib/llvm-22";
const LLVM_FILES: [&str; 2] = ["include/llvm-c/Core.h", "lib/libPolly.a"];
const LLVM_MAJOR: &str = "22.";
const LLVM_PACKAGES: [&str; 2] = ["llvm-22-dev", "libpolly-22-dev"];

const NIGHTLY_REMEDY: &str = "To build the kernel side with a nightly: \
    `rustup toolchain install nightly --component rust-src`, and a bpf-linker built on the \
    nightly's LLVM (`cargo install bpf-linker`)";

/// A tool of Debian's that building or testing needs.
struct Tool {
    package: &'static str,
    why: &'static str,
    is_there: fn() -> bool,
}

const TOOLS: [Tool; 15] = [
    Tool {
        package: "curl",
        why: "the tests' client",
        is_there: || process::find("curl").is_some(),
    },
    Tool {
        package: "ethtool",
        why: "has the tests' kernels send every segment by itself",
        is_there: || process::find("ethtool").is_some(),
    },
    Tool {
        package: "gcc",
        why: "links programs and compiles the bundled SQLite",
        is_there: || process::find("cc").is_some(),
    },
    Tool {
        package: "haproxy",
        why: "one of the servers that attacks are tried on; its own service stays off",
        is_there: || process::find("haproxy").is_some(),
    },
    Tool {
        package: "iproute2",
        why: "makes the tests' network namespaces",
        is_there: || process::find("ip").is_some(),
    },
    Tool {
        package: "libc6-dev",
        why: "the C library's headers, for SQLite",
        is_there: || Path::new("/usr/include/stdio.h").is_file(),
    },
    Tool {
        package: "nghttp2-client",
        why: "has h2load, one of the tests' clients",
        is_there: || process::find("h2load").is_some(),
    },
    Tool {
        package: "nginx",
        why: "the tests' server; its own service stays off",
        is_there: || process::find("nginx").is_some(),
    },
    Tool {
        package: "nodejs",
        why: "one of the servers that attacks are tried on",
        is_there: || process::find("node").is_some(),
    },
    Tool {
        package: "pkg-config",
        why: "finds system libraries for build scripts",
        is_there: || process::find("pkg-config").is_some(),
    },
    Tool {
        package: "python3",
        why: "the tests' other server and client",
        is_there: || process::find("python3").is_some(),
    },
    Tool {
        package: "python3-requests",
        why: "one of the tests' clients",
        is_there: || has_module("requests"),
    },
    Tool {
        package: "python3-urllib3",
        why: "one of the tests' clients",
        is_there: || has_module("urllib3"),
    },
    Tool {
        package: "python3-websockets",
        why: "the tests' WebSocket server and client",
        is_there: || has_module("websockets"),
    },
    Tool {
        package: "wrk",
        why: "one of the tests' clients",
        is_there: || process::find("wrk").is_some(),
    },
];

/// What the virtual machines of `cargo xtask kernels` need.
const EMULATOR: [Tool; 2] = [
    Tool {
        package: "busybox-static",
        why: "all that the virtual machines have of a host",
        is_there: || is_installed("busybox-static"),
    },
    Tool {
        package: "qemu-system-x86",
        why: "emulates the virtual machines",
        is_there: || process::find("qemu-system-x86_64").is_some(),
    },
];

/// What is missing.
struct Gaps {
    toolchain: Option<Missing>,
    tools: Vec<&'static Tool>,
}

pub(crate) fn setup() -> Result<()> {
    ensure()?;
    ensure_linters();
    eprintln!("Everything needed to build and test is there.");
    Ok(())
}

/// Installs what is missing; quiet if nothing is.
pub(crate) fn ensure() -> Result<()> {
    let gaps = Gaps::look();
    if gaps.is_empty() {
        return Ok(());
    }
    eprint!("Missing:\n{gaps}");
    gaps.close()?;

    let gaps = Gaps::look();
    ensure!(gaps.is_empty(), "still missing:\n{gaps}");
    Ok(())
}

/// Installs what `cargo xtask kernels` needs besides; quiet if nothing is missing.
pub(crate) fn ensure_emulator() -> Result<()> {
    let missing: Vec<_> = EMULATOR.iter().filter(|tool| !(tool.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("Missing:");
    for tool in &missing {
        eprintln!("{tool}");
    }
    install_packages(&missing.iter().map(|tool| tool.package).collect::<Vec<_>>())
}

/// Whether Debian's Python has it, whatever other Python there is.
fn has_module(name: &str) -> bool {
    process::succeeds(Command::new("/usr/bin/python3").args(["-c", &format!("import {name}")]))
}

fn is_installed(package: &str) -> bool {
    process::succeeds(Command::new("dpkg-query").args(["--show", package]))
}

impl Gaps {
    fn look() -> Self {
        Self {
            toolchain: Toolchain::find().err(),
            tools: TOOLS.iter().filter(|tool| !(tool.is_there)()).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.toolchain.is_none() && self.tools.is_empty()
    }

    fn close(&self) -> Result<()> {
        let mut packages: Vec<_> = self.tools.iter().map(|tool| tool.package).collect();
        let mut linker = false;
        if let Some(missing) = &self.toolchain {
            refuse_nightly(missing)?;
            if missing.compiler.is_err() {
                packages.extend(COMPILER_PACKAGES);
            }
            linker = missing.linker.is_err();
            if linker
                && !LLVM_FILES
                    .iter()
                    .all(|file| Path::new(LLVM).join(file).is_file())
            {
                packages.extend(LLVM_PACKAGES);
            }
        }
        if !packages.is_empty() {
            install_packages(&packages)?;
        }
        if linker {
            install_linker()?;
        }
        Ok(())
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(toolchain) = &self.toolchain {
            write!(f, "{toolchain}")?;
        }
        for tool in &self.tools {
            writeln!(f, "{tool}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- {}: {}", self.package, self.why)
    }
}

/// Whoever builds with a nightly installs it: which one, and on which LLVM its linker, is theirs to choose.
fn refuse_nightly(missing: &Missing) -> Result<()> {
    let chosen = env::var(OVERRIDE).is_ok_and(|name| !matches!(name.as_str(), "" | "debian"));
    let found = matches!(&missing.compiler, Ok(Compiler::Nightly(_)));
    ensure!(!chosen && !found, "{NIGHTLY_REMEDY}");
    Ok(())
}

fn install_packages(packages: &[&str]) -> Result<()> {
    ensure!(
        process::find("apt-get").is_some(),
        "only Debian's packages can be installed from here, and there is no apt-get: install by \
         hand what is missing. {NIGHTLY_REMEDY}"
    );
    eprintln!("Installing Debian packages: {}", packages.join(" "));
    let installed = process::as_root("sh")?
        .args(["-c", APT_INSTALL, "apt-install"])
        .args(packages)
        .status()
        .context("cannot run sh")?;
    ensure!(
        installed.success(),
        "the packages could not be installed. They are those of Debian 12. {NIGHTLY_REMEDY}"
    );
    Ok(())
}

/// As the caller, into cargo's own directory.
fn install_linker() -> Result<()> {
    let about = process::output(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
    let llvm = about
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .unwrap_or("unknown");
    ensure!(
        llvm.starts_with(LLVM_MAJOR),
        "{DEBIAN_RUSTC} is built on LLVM {llvm}, and bpf-linker must be too, but this version of \
         xtask only knows how to build it on LLVM 22"
    );
    process::run(
        process::cargo()
            .args(["install", "bpf-linker", "--version", LINKER_VERSION])
            .args(["--locked", "--force", "--no-default-features"])
            .args(["--features", LINKER_FEATURE])
            .env("LLVM_PREFIX", LLVM)
            .env("LLVM_SYS_221_PREFIX", LLVM),
    )
}

/// They serve `cargo xtask ci` alone, so it is no failure if they cannot be had.
fn ensure_linters() {
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if process::succeeds(process::cargo().args([command, "--version"])) {
            continue;
        }
        eprintln!("Missing:\n- {component}: `cargo xtask ci` checks the source with it");
        if let Err(error) =
            process::run(Command::new("rustup").args(["component", "add", component]))
        {
            eprintln!("{error:#}; `cargo xtask ci` will fail without it");
        }
    }

    let debian = Toolchain::find().is_ok_and(|found| matches!(found.compiler, Compiler::Debian));
    if debian && !Path::new(DEBIAN_CLIPPY).is_file() {
        eprintln!("Missing:\n- rust-web-clippy: `cargo xtask ci` lints the kernel side with it");
        if let Err(error) = install_packages(&["rust-web-clippy"]) {
            eprintln!("{error:#}; `cargo xtask ci` will go without it");
        }
    }
}
