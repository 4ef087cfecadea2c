//! The list of mutants: `tests/model/mutants.txt`, which says how it is read.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;

const LIST: &str = "tests/model/mutants.txt";

/// What a mutant is looked at with.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Subject {
    /// The guard that it is a part of.
    pub(crate) guard: String,
    /// The only kind of schedules to run, if not all.
    pub(crate) only: Option<String>,
}

/// A change to the sources.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// What notices it; nothing if the simulation cannot.
    pub(crate) subject: Option<Subject>,
    /// A test of the kernel programs that must fail with it.
    pub(crate) test: Option<String>,
    /// The file, from the workspace on.
    pub(crate) file: String,
    old: String,
    new: String,
}

impl Mutant {
    /// The file's text with the change.
    pub(crate) fn apply(&self, workspace: &Path) -> Result<String> {
        let path = workspace.join(&self.file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let count = text.matches(&self.old).count();
        ensure!(
            count == 1,
            "the text stands {count} times in {}:\n{}",
            self.file,
            self.old
        );
        Ok(text.replace(&self.old, &self.new))
    }
}

pub(crate) fn read() -> Result<Vec<Mutant>> {
    let path = process::workspace().join(LIST);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    parse(&text).context(LIST)
}

fn parse(text: &str) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    let mut subject = None;
    let mut file = None;
    let mut test = None;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "guard" => {
                let (guard, only) = value.split_once(" only ").unwrap_or((value, ""));
                subject = Some((guard != "none").then(|| Subject {
                    guard: guard.to_owned(),
                    only: (!only.is_empty()).then(|| only.to_owned()),
                }));
            }
            "test" => test = Some(value.to_owned()),
            "file" => file = Some(value.to_owned()),
            "mutant" => {
                let mut block = |end: &str| {
                    let mut block = Vec::new();
                    for (_, line) in lines.by_ref() {
                        if line == end {
                            return Ok(block.join("\n"));
                        }
                        block.push(line);
                    }
                    bail!("line {}: the mutant has no {end:?}", number + 1)
                };
                let (old, new) = (block("=>")?, block("end")?);
                ensure!(
                    !old.is_empty() && old != new,
                    "line {}: changes nothing",
                    number + 1
                );
                let subject = subject.clone().context("the first mutant has no guard")?;
                let test = test.take();
                ensure!(
                    subject.is_some() || test.is_some(),
                    "line {}: nothing is to notice it",
                    number + 1
                );
                mutants.push(Mutant {
                    name: value.to_owned(),
                    subject,
                    test,
                    file: file.clone().context("the first mutant has no file")?,
                    old,
                    new,
                });
            }
            _ => bail!("line {}: what is {word:?}?", number + 1),
        }
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() -> Result<()> {
        let text = "# A comment\nguard g only attack\nfile f\nmutant one\na\n\n b\n=>\nend\nguard none\ntest t\nmutant two\nx\n=>\ny\nz\nend\n";
        let mutants = parse(text)?;
        let [one, two] = &mutants[..] else {
            panic!("{mutants:?}");
        };
        assert_eq!((&one.name[..], &one.file[..]), ("one", "f"));
        let subject = one.subject.as_ref();
        assert_eq!(subject.and_then(|it| it.only.as_deref()), Some("attack"));
        assert!(one.test.is_none() && two.subject.is_none());
        assert_eq!(two.test.as_deref(), Some("t"));
        assert_eq!((&one.old[..], &one.new[..]), ("a\n\n b", ""));
        assert_eq!((&two.old[..], &two.new[..]), ("x", "y\nz"));
        Ok(())
    }

    #[test]
    fn a_list_that_is_wrong_is_refused() {
        for text in [
            "mutant one\na\n=>\nb\nend\n",
            "guard g\nfile f\nmutant one\na\n=>\nb\n",
            "guard g\nfile f\nmutant one\na\n=>\na\nend\n",
            "guard none\nfile f\nmutant one\na\n=>\nb\nend\n",
            "what\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
