//! The files a configuration is made of, read but not understood yet.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::problem::Invalid;

/// The largest file that is read.
pub(super) const MAX_SIZE: u64 = 1024 * 1024;

/// A file that belongs to the configuration, or what should have been one.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: Result<String, Unreadable>,
}

pub(super) struct Unreadable {
    pub(super) line: Option<usize>,
    pub(super) why: Invalid,
}

/// The main file, then those of `conf.d` beside it in the order of their names.
pub(super) fn read_all(main: &Path) -> Vec<Source> {
    let mut sources = vec![match read(main) {
        Ok(text) => Source::new(main, text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Without the main file the others say nothing worth telling.
            return vec![Source::new(
                main,
                Err(Invalid::new("there is no such file").help(
                    "create it (one interface and one service are enough) or name another with --config",
                )
                .into()),
            )];
        }
        Err(error) => Source::new(main, Err(unreadable(&error))),
    }];
    let directory = main.with_file_name("conf.d");
    match fragments(&directory) {
        Ok(paths) => sources.extend(paths.into_iter().map(|path| {
            let text = read(&path).unwrap_or_else(|error| Err(unreadable(&error)));
            Source::new(&path, text)
        })),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => sources.push(Source::new(&directory, Err(unreadable(&error)))),
    }
    sources
}

impl Source {
    fn new(path: &Path, text: Result<String, Unreadable>) -> Self {
        Self {
            path: path.to_owned(),
            text,
        }
    }
}

impl From<Invalid> for Unreadable {
    fn from(why: Invalid) -> Self {
        Self { line: None, why }
    }
}

/// What the shell's `conf.d/*.toml` would name: editors and package managers keep their own files hidden.
fn fragments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        if name.ends_with(b".toml") && !name.starts_with(b".") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> io::Result<Result<String, Unreadable>> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Ok(Err(Invalid::new("not a regular file")
            .help("write a file there, or remove what is there")
            .into()));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Ok(Err(Invalid::new("the file is larger than 1 MiB")
            .help("split it into several under conf.d")
            .into()));
    }
    Ok(String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Unreadable {
            line: Some(1 + good.iter().filter(|byte| **byte == b'\n').count()),
            why: Invalid::new("not UTF-8").help("save the file as UTF-8"),
        }
    }))
}

fn unreadable(error: &io::Error) -> Unreadable {
    let mut invalid = Invalid::new(format!("cannot be read: {error}"));
    if error.kind() == ErrorKind::PermissionDenied {
        invalid = invalid.help("run as root, or let this user read it");
    }
    invalid.into()
}
