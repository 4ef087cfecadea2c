//! What commands print.

use std::io::{self, Write};

use serde::Serialize;

use crate::wire::Document;

/// Where and how a command prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl Output {
    pub(super) const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints `body` as JSON if that is wished for, else what `text` makes of it, unless to be quiet.
    pub(super) fn tell<T: Serialize>(
        self,
        body: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        if self.json {
            json(body)
        } else if self.quiet {
            Ok(())
        } else {
            print(&text(body))
        }
    }
}

/// Prints `body` as one line of JSON.
pub(super) fn json<T: Serialize>(body: &T) -> io::Result<()> {
    let json = serde_json::to_string(&Document::new(body))?;
    print(&json)
}

/// Prints `text`, which need not end its line.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Rows below a heading, the columns aligned.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    let heading = heading.map(str::to_owned);
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let padding = width - cell.chars().count();
            line.push_str(cell);
            line.push_str(&" ".repeat(padding + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and values, the values aligned.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default() + 2;
    let lines = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:width$}{value}\n"));
    lines.collect()
}

/// Services as people read them.
pub(super) fn services(names: &[String]) -> String {
    if names.is_empty() {
        "every".into()
    } else {
        names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["é".into(), "x".into()], ["long".into(), String::new()]];
        assert_eq!(
            table(["ID", "STATE"], &rows),
            "ID    STATE\né     x\nlong\n"
        );
        let named = [
            ("a", "1".into()),
            ("none", String::new()),
            ("long", "2".into()),
        ];
        assert_eq!(fields(&named), "a     1\nlong  2\n");
    }
}
