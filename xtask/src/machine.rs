//! Virtual machines with one of Debian's kernels and nothing but what is put in.
//!
//! They are emulated, so they need neither root nor hardware.

use std::{
    fs::{self, File, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::process;

/// How the first process begins.
const START: &str = include_str!("machine/start.sh");

/// What may take that long is broken, in seconds.
const PATIENCE: &str = "1800";

/// What there is in a machine, besides a shell.
pub(crate) struct Contents<'a> {
    /// What the first process does once all is mounted, a script.
    pub(crate) init: &'a str,
    /// Programs, by their names in `/bin`; what libraries they need is put in, too.
    pub(crate) programs: &'a [(&'a str, &'a Path)],
    /// Modules of the kernel, in `/modules`.
    pub(crate) modules: &'a [&'a str],
    /// Other scripts, by their paths.
    pub(crate) scripts: &'a [(&'a str, &'a str)],
}

/// An unpacked kernel.
pub(crate) struct Kernel {
    root: PathBuf,
}

impl Kernel {
    /// That of one of Debian's packages, which stands for the newest kernel of a version.
    pub(crate) fn unpack(package: &str) -> Result<Self> {
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

    /// Runs a machine until it turns itself off, and passes each line of its console on. `emulation` is how.
    pub(crate) fn boot(
        &self,
        contents: &Contents<'_>,
        emulation: &[&str],
        parameters: &str,
        mut line: impl FnMut(&str),
    ) -> Result<()> {
        let initramfs = self.initramfs(contents)?;
        let mut machine = Command::new("timeout");
        machine
            .args([PATIENCE, "qemu-system-x86_64", "-cpu", "max"])
            .args(emulation)
            .args(["-m", "2048", "-nic", "none"])
            .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
            .arg("-kernel")
            .arg(self.find("vmlinuz-")?)
            .arg("-initrd")
            .arg(initramfs)
            .arg("-append")
            .arg(format!("console=ttyS0 quiet panic=-1 {parameters}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        eprintln!("$ {}", process::shown(&machine));
        let mut machine = machine.spawn().context("cannot run timeout")?;
        let console = machine.stdout.take().context("no console")?;
        for bytes in BufReader::new(console).split(b'\n') {
            line(String::from_utf8_lossy(&bytes?).trim_end());
        }
        machine.wait()?;
        Ok(())
    }

    /// Puts together all that there is in the machine.
    fn initramfs(&self, contents: &Contents<'_>) -> Result<PathBuf> {
        let root = beside(&self.root, ".root");
        empty(&root)?;
        for directory in [
            "bin", "dev", "etc", "modules", "proc", "run", "sys", "tmp", "var/lib",
        ] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).context("/bin/busybox")?;
        symlink("busybox", root.join("bin/sh"))?;
        for (name, program) in contents.programs {
            let to = root.join("bin").join(name);
            process::run(
                Command::new("strip")
                    .arg("-o")
                    .args([to.as_path(), program]),
            )?;
            for library in libraries(program)? {
                let to = root.join(library.strip_prefix("/")?);
                fs::create_dir_all(to.parent().unwrap_or(&root))?;
                fs::copy(&library, &to).with_context(|| library.display().to_string())?;
            }
        }
        for name in contents.modules {
            let module = self.find(&format!("{name}.ko"))?;
            let to = root
                .join("modules")
                .join(module.file_name().unwrap_or_default());
            fs::copy(&module, &to)?;
            if to.extension().is_some_and(|extension| extension == "xz") {
                process::run(Command::new("busybox").arg("unxz").arg(&to))?;
            }
        }
        for (path, script) in contents.scripts {
            fs::write(root.join(path), script)?;
        }
        fs::write(root.join("init"), [START, contents.init].concat())?;
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

/// The libraries that a program is linked with, and what links it, by their paths.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let told = process::output(Command::new("ldd").arg(program))?;
    let paths = told
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from);
    Ok(paths.collect())
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
