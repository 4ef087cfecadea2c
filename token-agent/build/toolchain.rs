//! The compiler and linker of the kernel side.
//!
//! `token-agent/build.rs` builds the eBPF object with them; `cargo xtask`
//! looks for them, installs what is missing and lints with them. Both include
//! this file, which is why it needs nothing besides the standard library.
//!
//! Rust's BPF target is served in two ways:
//! - Debian's `rustc-web` comes with a prebuilt `core` for it
//!   (`libstd-rust-web-dev-bpf`); no nightly and no library sources are needed.
//! - A rustup nightly with `rust-src` builds `core` itself.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// Chooses the compiler: `debian`, `nightly` or a dated `nightly-YYYY-MM-DD`.
pub(crate) const OVERRIDE: &str = "TOKEN_AGENT_BPF_TOOLCHAIN";
pub(crate) const TARGET: &str = "bpfel-unknown-none";
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

const MIN_DEBIAN_RUSTC: Version = Version(1, 96);
const MIN_LINKER: Version = Version(0, 13);

/// The architectures whose `pt_regs` aya-ebpf knows, as it spells them.
const ARCHITECTURES: [&str; 6] = [
    "aarch64",
    "arm",
    "loongarch64",
    "powerpc64",
    "riscv64",
    "x86_64",
];

#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(crate) compiler: Compiler,
    pub(crate) linker: PathBuf,
}

#[derive(Debug)]
pub(crate) enum Compiler {
    Debian,
    /// The name rustup knows it by.
    Nightly(String),
}

/// What was found and what was not.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) compiler: Result<Compiler, Findings>,
    pub(crate) linker: Result<PathBuf, Findings>,
}

/// Where something was looked for and what was there instead, a line each.
pub(crate) type Findings = Vec<String>;

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Version(u32, u32);

impl Toolchain {
    pub(crate) fn find() -> Result<Self, Missing> {
        match (find_compiler(), find_linker()) {
            (Ok(compiler), Ok(linker)) => Ok(Self { compiler, linker }),
            (compiler, linker) => Err(Missing { compiler, linker }),
        }
    }

    /// `cargo SUBCOMMAND` on the eBPF crate of `workspace`, for a kernel of
    /// `arch`. The caller's own build must not leak into it: not its compiler
    /// and wrappers, not its flags and profiles, and not its target directory,
    /// whose lock it may hold.
    pub(crate) fn cargo(
        &self,
        subcommand: &str,
        workspace: &Path,
        target_dir: &Path,
        arch: &str,
        extra_flags: &[&str],
    ) -> Result<Command, String> {
        let mut command = match &self.compiler {
            Compiler::Debian => {
                let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut command = Command::new(cargo);
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    // aya-ebpf uses an unstable feature.
                    .env("RUSTC_BOOTSTRAP", "1");
                command
            }
            Compiler::Nightly(name) => {
                let mut command = Command::new("rustup");
                command
                    .args(["run", name, "cargo"])
                    .env_remove("RUSTC")
                    .env_remove("RUSTC_BOOTSTRAP")
                    .env_remove("RUSTUP_TOOLCHAIN");
                command
            }
        };
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("CARGO_PROFILE_"))
            {
                command.env_remove(name);
            }
        }
        command
            .current_dir(workspace)
            // Set to nothing rather than removed: that overrules cargo's configuration files too.
            .env("RUSTC_WRAPPER", "")
            .env("RUSTC_WORKSPACE_WRAPPER", "")
            .env("CARGO_BUILD_BUILD_DIR", target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(arch, extra_flags)?)
            .args([subcommand, "--locked", "--quiet", "--color=never"])
            .args(["--package", "token-agent-ebpf", "--bins", "--release"])
            .args(["--target", TARGET, "--target-dir"])
            .arg(target_dir);
        if let Compiler::Nightly(_) = self.compiler {
            command.args(["-Z", "build-std=core"]);
        }
        Ok(command)
    }

    fn flags(&self, arch: &str, extra: &[&str]) -> Result<OsString, String> {
        // Cargo says "riscv64", rustc's targets "riscv64gc" and the like.
        let Some(arch) = ARCHITECTURES
            .into_iter()
            .find(|&known| known == arch || (known == "riscv64" && arch.starts_with(known)))
        else {
            return Err(format!(
                "the kernel side cannot be built for {arch}, only for {}",
                ARCHITECTURES.join(", ")
            ));
        };
        let mut linker = OsString::from("-Clinker=");
        linker.push(&self.linker);
        let mut flags = vec![
            OsString::from(format!("--cfg=bpf_target_arch=\"{arch}\"")),
            // BTF is made from the debug information.
            "-Cdebuginfo=2".into(),
            "-Clink-arg=--btf".into(),
            // Otherwise every clearing of a few words becomes a call of a byte loop.
            "-Clink-arg=--disable-expand-memcpy-in-order".into(),
            // Otherwise every unaligned load of a word becomes eight loads of a byte.
            "-Clink-arg=--cpu-features=+allows-misaligned-mem-access".into(),
            // Otherwise constants are loaded before a loop and kept on the stack, which has no room.
            "-Clink-arg=--llvm-args=-disable-machine-licm".into(),
            // Otherwise a loop's last step may fall through to its first, which no kernel before 6.5 takes.
            "-Clink-arg=--llvm-args=-disable-block-placement".into(),
            // 32-bit atomics, and smaller code; every kernel from 5.1 on runs it.
            "-Ctarget-cpu=v3".into(),
            // In dependencies too: more units can break the 512-byte stack.
            "-Ccodegen-units=1".into(),
            linker,
        ];
        flags.extend(extra.iter().map(OsString::from));
        Ok(flags.join(OsStr::new("\x1f")))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let findings = [self.compiler.as_ref().err(), self.linker.as_ref().err()];
        for finding in findings.into_iter().flatten().flatten() {
            writeln!(f, "- {finding}")?;
        }
        Ok(())
    }
}

impl Version {
    /// `1.96.0-nightly` and the like.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Self(major, minor))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

fn find_compiler() -> Result<Compiler, Findings> {
    match env::var(OVERRIDE).as_deref() {
        Ok("debian") => check_debian().map_err(|finding| vec![finding]),
        Ok(name) if name == "nightly" || name.starts_with("nightly-") => {
            check_nightly(name).map_err(|finding| vec![finding])
        }
        Ok("") | Err(env::VarError::NotPresent) => check_debian().or_else(|debian| {
            check_nightly("nightly").map_err(|nightly| vec![debian, format!("or else {nightly}")])
        }),
        Ok(_) | Err(env::VarError::NotUnicode(_)) => Err(vec![format!(
            "{OVERRIDE} must be `debian`, `nightly` or `nightly-YYYY-MM-DD`"
        )]),
    }
}

fn check_debian() -> Result<Compiler, String> {
    let rustc = format!("Debian's compiler, {DEBIAN_RUSTC}");
    let wanted = format!("rustc-web {MIN_DEBIAN_RUSTC} or newer is needed");
    let Some(about) = output(Command::new(DEBIAN_RUSTC).arg("-vV")) else {
        return Err(format!("{rustc}: not there; {wanted}"));
    };
    let version = field(&about, "release: ").and_then(Version::parse);
    match version {
        Some(version) if version >= MIN_DEBIAN_RUSTC => {}
        Some(version) => return Err(format!("{rustc}: is {version}; {wanted}")),
        None => return Err(format!("{rustc}: does not tell its version; {wanted}")),
    }
    let libraries = output(
        Command::new(DEBIAN_RUSTC)
            .args(["--print", "target-libdir", "--target", TARGET])
            .env("RUSTC_BOOTSTRAP", "1"),
    );
    if libraries.is_some_and(|directory| holds_core(Path::new(directory.trim()))) {
        Ok(Compiler::Debian)
    } else {
        Err(format!(
            "{rustc}: has no `core` for {TARGET}; libstd-rust-web-dev-bpf is needed"
        ))
    }
}

fn holds_core(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            name.starts_with(b"libcore-") && name.ends_with(b".rlib")
        })
    })
}

fn check_nightly(name: &str) -> Result<Compiler, String> {
    let sysroot = output(
        Command::new("rustup")
            .args(["run", name, "rustc", "--print", "sysroot"])
            .env_remove("RUSTUP_TOOLCHAIN")
            // Looking must not download.
            .env("RUSTUP_AUTO_INSTALL", "0"),
    );
    let Some(sysroot) = sysroot else {
        return Err(format!("rustup's toolchain `{name}`: not installed"));
    };
    let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
    if core.is_file() {
        Ok(Compiler::Nightly(name.to_owned()))
    } else {
        Err(format!(
            "rustup's toolchain `{name}`: without its component rust-src"
        ))
    }
}

fn find_linker() -> Result<PathBuf, Findings> {
    let mut findings = Vec::new();
    for candidate in linker_candidates() {
        let path = candidate.display();
        let version = output(Command::new(&candidate).arg("--version"));
        let version = version.as_deref().and_then(|version| {
            let number = version.trim().strip_prefix("bpf-linker ")?;
            Version::parse(number)
        });
        match version {
            Some(version) if version >= MIN_LINKER => return Ok(candidate),
            Some(version) => findings.push(format!(
                "{path}: is {version}; {MIN_LINKER} or newer is needed"
            )),
            None => findings.push(format!(
                "{path}: does not run, or does not tell its version"
            )),
        }
    }
    if findings.is_empty() {
        findings.push("bpf-linker: neither in PATH nor in ~/.cargo/bin".to_owned());
    }
    Err(findings)
}

fn linker_candidates() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let mut candidates: Vec<_> = env::split_paths(&path)
        .chain(
            cargo_home
                .into_iter()
                .chain(home)
                .map(|home| home.join("bin")),
        )
        .map(|directory| directory.join("bpf-linker"))
        .filter(|candidate| candidate.is_file())
        .collect();
    candidates.dedup();
    candidates.into_iter()
}

/// A command's standard output, if it succeeded.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}
