//! `cargo xtask kernels`: the guard on older kernels than this machine's, in virtual machines.
//!
//! Each machine is one of Debian's cloud kernels with nothing but the tests that
//! need no more of a host than its kernel, the agent, and a shell. It is emulated, so
//! it needs neither root nor hardware, and its timings say nothing.

use std::{
    fs::{self, File, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{process, setup};

/// Debian's packages that stand for the newest kernel of a version.
const KERNELS: [(&str, &str); 2] = [
    ("6.1", "linux-image-cloud-amd64"),
    ("6.12", "linux-image-6.12-cloud-amd64"),
];

/// What `lo` needs for a classifier before tcx, and what lists connections; in this order of names.
const MODULES: [&str; 4] = ["cls_bpf", "inet_diag", "sch_ingress", "tcp_diag"];

/// The machine's first process, and what it runs besides the tests.
const INIT: &str = include_str!("kernels/init.sh");
const AGENT: &str = include_str!("kernels/agent.sh");

/// What [`INIT`] tells of.
const TESTS: [&str; 2] = ["programs", "agent"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What may take that long is broken, in seconds.
const PATIENCE: &str = "900";

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only this version: 6.1 or 6.12
    version: Option<String>,
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
        kernel
            .run(&programs)
            .with_context(|| format!("Linux {version}"))?;
    }
    Ok(())
}

/// What runs in the machines: linked statically, for there are no libraries.
struct Programs {
    agent: PathBuf,
    tests: PathBuf,
}

impl Programs {
    fn build() -> Result<Self> {
        let target = directory("static")?;
        let cargo = |arguments: &[&str]| {
            let mut cargo = process::cargo();
            cargo
                .args(arguments)
                .args(["--target", TARGET, "--target-dir"])
                .arg(&target)
                .env("RUSTFLAGS", "-C target-feature=+crt-static");
            cargo
        };
        process::run(&mut cargo(&["build", "--package", "token-agent"]))?;
        let built = process::output(
            cargo(&["test", "--no-run", "--package", "token-agent-tests"])
                .args(["--test", "programs", "--message-format", "json"])
                .stderr(Stdio::inherit()),
        )?;
        Ok(Self {
            agent: target.join(TARGET).join("debug/token-agent"),
            tests: executable(&built, "programs-")
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

/// An unpacked kernel.
struct Kernel {
    root: PathBuf,
}

impl Kernel {
    fn unpack(package: &str) -> Result<Self> {
        let about = process::output(Command::new("apt-cache").args(["depends", package]))?;
        let package = about
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
            .map(|rest| format!("linux-image-{rest}"))
            .with_context(|| format!("{package} stands for no kernel"))?;
        let root = directory("kernels")?.join(&package);
        if root.is_dir() {
            return Ok(Self { root });
        }
        let staging = beside(&root, ".partial");
        empty(&staging)?;
        process::run(
            Command::new("apt-get")
                .args(["download", &package])
                .current_dir(&staging),
        )?;
        let archives: Vec<_> = fs::read_dir(&staging)?.collect::<Result<_, _>>()?;
        for archive in archives {
            process::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([archive.path(), staging.join("root")]),
            )?;
        }
        fs::rename(staging.join("root"), &root)?;
        fs::remove_dir_all(&staging)?;
        Ok(Self { root })
    }

    fn run(&self, programs: &Programs) -> Result<()> {
        let initramfs = self.initramfs(programs)?;
        let mut machine = Command::new("timeout");
        machine
            .args([PATIENCE, "qemu-system-x86_64"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max"])
            .args(["-smp", "2", "-m", "2048", "-nic", "none"])
            .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(self.find("vmlinuz-")?)
            .arg("-initrd")
            .arg(initramfs)
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        eprintln!("$ {}", process::shown(&machine));
        let mut machine = machine.spawn().context("cannot run timeout")?;
        let console = machine.stdout.take().context("no console")?;
        let mut passed = Vec::new();
        for line in BufReader::new(console).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            println!("{line}");
            if let Some(test) = line
                .strip_prefix("== ")
                .and_then(|line| line.strip_suffix(": passed"))
            {
                passed.push(test.to_owned());
            }
        }
        machine.wait()?;
        ensure!(passed == TESTS, "of {TESTS:?} only {passed:?} passed");
        Ok(())
    }

    /// Puts together all that there is in the machine.
    fn initramfs(&self, programs: &Programs) -> Result<PathBuf> {
        let root = beside(&self.root, ".root");
        empty(&root)?;
        for directory in [
            "bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "var/lib",
        ] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).context("/bin/busybox")?;
        symlink("busybox", root.join("bin/sh"))?;
        for (program, name) in [
            (&programs.agent, "token-agent"),
            (&programs.tests, "programs"),
        ] {
            let to = root.join("bin").join(name);
            process::run(Command::new("strip").arg("-o").args([&to, program]))?;
        }
        for name in MODULES {
            let module = self.find(&format!("{name}.ko"))?;
            let to = root
                .join("modules")
                .join(module.file_name().unwrap_or_default());
            fs::copy(&module, &to)?;
            if to.extension().is_some_and(|extension| extension == "xz") {
                process::run(Command::new("busybox").arg("unxz").arg(&to))?;
            }
        }
        fs::write(root.join("agent.sh"), AGENT)?;
        fs::write(root.join("init"), INIT)?;
        fs::set_permissions(root.join("init"), Permissions::from_mode(0o755))?;

        let archive = beside(&self.root, ".cpio");
        let mut pack = Command::new("sh");
        pack.args(["-c", "find . | busybox cpio -o -H newc"])
            .current_dir(&root)
            .stdout(File::create(&archive)?);
        process::run(&mut pack)?;
        fs::remove_dir_all(&root)?;
        Ok(archive)
    }

    /// The one file whose name begins so.
    fn find(&self, name: &str) -> Result<PathBuf> {
        let found = process::output(
            Command::new("find")
                .arg(&self.root)
                .args(["-name", &format!("{name}*")]),
        )?;
        let mut found = found.lines();
        match (found.next(), found.next()) {
            (Some(path), None) => Ok(path.into()),
            _ => bail!("not one {name}* in {}", self.root.display()),
        }
    }
}

/// A directory of that name beside what cargo builds.
fn directory(name: &str) -> Result<PathBuf> {
    let directory = process::workspace().join("target").join(name);
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    Ok(directory)
}

/// The path with something more at its end.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes an empty directory there.
fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}
