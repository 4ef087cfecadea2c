//! A copy of the workspace, to be changed and built.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::process;

/// What is no source.
const LEFT_OUT: [&str; 2] = [".git", "target"];

pub(crate) struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    pub(crate) fn new() -> Result<Self> {
        let directory = process::workspace().join("target/mutants");
        let copy = Self {
            root: directory.join("workspace"),
            target: directory.join("target"),
        };
        copy.refresh()?;
        Ok(copy)
    }

    /// Makes it equal to the workspace again. What is equal stays untouched, so that cargo need not build it.
    pub(crate) fn refresh(&self) -> Result<()> {
        mirror(process::workspace(), &self.root)
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root.join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    pub(crate) fn simulate(&self) -> PathBuf {
        self.target.join("release/simulate")
    }
}

fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(to).with_context(|| to.display().to_string())? {
        let entry = entry?;
        let is_gone = !from.join(entry.file_name()).exists();
        match (is_gone, entry.file_type()?.is_dir()) {
            (false, _) => {}
            (true, true) => fs::remove_dir_all(entry.path())?,
            (true, false) => fs::remove_file(entry.path())?,
        }
    }
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let copy = to.join(&name);
        if entry.file_type()?.is_dir() {
            mirror(&entry.path(), &copy)?;
            continue;
        }
        let text = fs::read(entry.path()).with_context(|| entry.path().display().to_string())?;
        if fs::read(&copy).ok().as_ref() != Some(&text) {
            fs::write(&copy, text).with_context(|| copy.display().to_string())?;
        }
    }
    Ok(())
}
