//! One file as TOML: every value knows its line.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::DeTable;

use super::problem::{Invalid, quote_key};
use super::report::{At, Place, Report};

pub(super) struct Document<'s> {
    pub(super) root: DeTable<'s>,
    pub(super) lines: Lines,
}

/// Turns the parser's byte offsets into lines of a file.
pub(super) struct Lines {
    file: usize,
    /// Where each line begins, but the first.
    starts: Vec<usize>,
}

impl<'s> Document<'s> {
    /// Parses a file; none where so much is wrong with it that its values cannot be judged.
    pub(super) fn parse(file: usize, text: &'s str, report: &mut Report<'_>) -> Option<Self> {
        /// What the parser calls the one error that leaves it sure of everything else.
        const DUPLICATE: &str = "duplicate key";

        let lines = Lines::new(file, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut told = BTreeSet::new();
        for error in &errors {
            let span = error.span().unwrap_or_default();
            let place = lines.place(&span);
            // What follows on the same line follows from the first.
            if !told.insert(place) {
                continue;
            }
            let mut at = At::place(place);
            let what = if error.message() == DUPLICATE {
                at.key = text.get(span).map(quote_key);
                Invalid::new("set twice in this file").help("remove one of the two")
            } else {
                Invalid::new(format!("not valid TOML: {}", error.message()))
            };
            report.error(at, what);
        }
        errors
            .iter()
            .all(|error| error.message() == DUPLICATE)
            .then(|| Self {
                root: root.into_inner(),
                lines,
            })
    }
}

impl Lines {
    fn new(file: usize, text: &str) -> Self {
        let starts = text
            .match_indices('\n')
            .map(|(offset, _)| offset + 1)
            // A line end closes the last line; it does not begin another.
            .filter(|start| *start < text.len())
            .collect();
        Self { file, starts }
    }

    /// Where something begins.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.starts.partition_point(|start| *start <= span.start);
        Place {
            file: self.file,
            line: Some(before + 1),
        }
    }
}
