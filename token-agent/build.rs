//! Compiles the kernel side and hands its ELF object to the crate, for
//! `aya::include_bytes_aligned!(env!("TOKEN_AGENT_EBPF"))`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use toolchain::{Compiler, DEBIAN_RUSTC, OVERRIDE, TARGET, Toolchain};

#[path = "build/toolchain.rs"]
mod toolchain;

/// What the object is made from, and what chooses its compiler.
const SOURCES: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "token-agent/build.rs",
    "token-agent/build/toolchain.rs",
    "token-agent-common/Cargo.toml",
    "token-agent-common/src",
    "token-agent-ebpf/Cargo.toml",
    "token-agent-ebpf/src",
];

fn main() {
    match build() {
        Ok(object) => println!("cargo::rustc-env=TOKEN_AGENT_EBPF={}", object.display()),
        // An error line fails the build; an exit code would add a dump of all of the above to it.
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = package
        .parent()
        .ok_or("the package has no workspace around it")?;
    for source in SOURCES {
        rerun_if_changed(&workspace.join(source));
    }
    println!("cargo::rerun-if-env-changed={OVERRIDE}");

    if variable("CARGO_CFG_TARGET_ENDIAN")? != "little" {
        return Err("token-agent runs on little-endian machines only".to_owned());
    }
    let toolchain = Toolchain::find().map_err(|missing| {
        format!(
            "The kernel side needs a Rust compiler for {TARGET} and bpf-linker. Looked for:\n\
             {missing}To install what is missing: cargo xtask setup"
        )
    })?;
    rerun_if_changed(&toolchain.linker);
    if let Compiler::Debian = toolchain.compiler {
        rerun_if_changed(Path::new(DEBIAN_RUSTC));
    }

    // A directory of its own: cargo holds the lock on this build's.
    let target_dir = Path::new(&variable("OUT_DIR")?).join("bpf");
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let mut command = toolchain.cargo("build", workspace, &target_dir, &arch, &[])?;
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let diagnostics = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("The kernel side does not compile:\n{diagnostics}"));
    }
    for line in diagnostics.lines().filter(|line| !line.is_empty()) {
        println!("cargo::warning={line}");
    }
    Ok(target_dir.join(TARGET).join("release/token-agent-ebpf"))
}

fn rerun_if_changed(path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
