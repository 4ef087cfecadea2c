//! Running other programs, as the caller or as root.

use std::{
    env,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    os::unix::{fs::MetadataExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context as _, Result, bail, ensure};
use signal_hook::{consts::SIGINT, flag};

/// Where administrators' programs live; an ordinary user's PATH often lacks it.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// The cargo this xtask was started by.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

pub(crate) fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// A program that was built into the same target directory as this one.
pub(crate) fn built(profile: &str, name: &str) -> Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where xtask itself was built")?;
    let target = this.ancestors().nth(2);
    let program = target
        .with_context(|| format!("{} is in no target directory", this.display()))?
        .join(profile)
        .join(name);
    ensure!(
        program.is_file(),
        "cargo built no {}; xtask must be started by `cargo xtask`",
        program.display()
    );
    Ok(program)
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(env::split_paths(SYSTEM_PATH))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

pub(crate) fn is_root() -> Result<bool> {
    let this = fs::metadata("/proc/self").context("/proc/self")?;
    Ok(this.uid() == 0)
}

/// `program`, run as root: by sudo, which keeps the environment, unless the caller is root.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    let sudo = sudo()?;
    let Some((sudo, options)) = sudo.split_first() else {
        return Ok(Command::new(program));
    };
    let mut command = Command::new(sudo);
    command.args(options).arg("--").arg(program);
    Ok(command)
}

/// What stands before a command to run it as root: nothing if the caller is root.
pub(crate) fn sudo() -> Result<&'static [&'static str]> {
    if is_root()? {
        return Ok(&[]);
    }
    if find("sudo").is_none() {
        bail!("this step needs root, and sudo is not installed: run it as root, or install sudo");
    }
    Ok(&["sudo", "-E"])
}

/// Runs `command` to its end and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot run: {line}"))?;
    ensure!(status.success(), "failed ({status}): {line}");
    Ok(())
}

/// Runs `command` in the terminal's foreground, Ctrl-C being its business, and returns its exit code.
pub(crate) fn run_foreground(command: &mut Command) -> Result<ExitCode> {
    let line = shown(command);
    eprintln!("$ {line}");
    // The terminal sends SIGINT to the whole group. A handler that does
    // nothing, unlike ignoring, is not inherited by the child.
    flag::register(SIGINT, Arc::new(AtomicBool::new(false))).context("cannot handle SIGINT")?;
    let status = command
        .status()
        .with_context(|| format!("cannot run: {line}"))?;
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Whether `command` succeeds; what it prints is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The standard output of `command`, which must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run: {line}"))?;
    ensure!(
        output.status.success(),
        "failed ({}): {line}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).with_context(|| format!("prints no UTF-8: {line}"))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut line = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        if argument.contains(|c: char| c.is_whitespace() || "'\"$&;|<>*?()".contains(c)) {
            // Writing to a String cannot fail.
            let _ = write!(line, " '{}'", argument.replace('\'', r"'\''"));
        } else {
            line.push(' ');
            line.push_str(&argument);
        }
    }
    line
}
