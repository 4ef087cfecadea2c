//! Collects what is wrong while reading goes on, so that all of it is told at once.

use std::path::Path;

use super::problem::{ConfigErrors, Invalid, Problem};
use super::source::Source;

/// A line of one of the files.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place {
    /// An index into the sources.
    pub(super) file: usize,
    pub(super) line: Option<usize>,
}

/// What a problem is about.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) place: Place,
    pub(super) table: Option<String>,
    pub(super) key: Option<String>,
}

pub(super) struct Report<'s> {
    sources: &'s [Source],
    errors: Vec<(Place, Problem)>,
    warnings: Vec<(Place, Problem)>,
}

impl Place {
    /// The main file as a whole.
    pub(super) const MAIN: Self = Self {
        file: 0,
        line: None,
    };
}

impl At {
    /// A place that belongs to no table.
    pub(super) fn place(place: Place) -> Self {
        Self {
            place,
            table: None,
            key: None,
        }
    }

    /// The same thing, said of another line.
    pub(super) fn on(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

impl<'s> Report<'s> {
    pub(super) fn new(sources: &'s [Source]) -> Self {
        Self {
            sources,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, at: At, what: Invalid) {
        let problem = self.problem(at, what);
        self.errors.push(problem);
    }

    pub(super) fn warn(&mut self, at: At, what: Invalid) {
        let problem = self.problem(at, what);
        self.warnings.push(problem);
    }

    /// `FILE:LINE`, for a problem that has a second place.
    pub(super) fn name(&self, place: Place) -> String {
        let path = self.path(place).display();
        match place.line {
            None => path.to_string(),
            Some(line) => format!("{path}:{line}"),
        }
    }

    /// The warnings, if there was no error.
    pub(super) fn finish(self) -> Result<Vec<Problem>, ConfigErrors> {
        if self.errors.is_empty() {
            Ok(sorted(self.warnings))
        } else {
            Err(ConfigErrors(sorted(self.errors)))
        }
    }

    fn problem(&self, at: At, what: Invalid) -> (Place, Problem) {
        let problem = Problem {
            file: self.path(at.place).to_owned(),
            line: at.place.line,
            table: at.table,
            key: at.key,
            message: what.message,
            help: what.help,
        };
        (at.place, problem)
    }

    fn path(&self, place: Place) -> &'s Path {
        &self.sources[place.file].path
    }
}

fn sorted(mut problems: Vec<(Place, Problem)>) -> Vec<Problem> {
    problems.sort_by_key(|(place, _)| *place);
    problems.into_iter().map(|(_, problem)| problem).collect()
}
