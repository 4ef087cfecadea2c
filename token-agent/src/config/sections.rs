//! The files put together: which tables there are, and in how many parts.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::document::Document;
use super::later::{self, Standing};
use super::problem::{Invalid, closest, quote_key};
use super::report::{At, Place, Report};
use super::table::{Item, Table, wrong_type};

/// What stands at the top of the files, by name.
pub(super) struct Sections<'d> {
    parts: BTreeMap<&'d str, Vec<Item<'d>>>,
    /// Each table asked for and how it is written: `agent`, `[agent]`.
    asked: Vec<(&'static str, String)>,
}

impl<'d> Sections<'d> {
    pub(super) fn new(documents: &'d [Document<'d>]) -> Self {
        let mut parts: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for document in documents {
            for (key, value) in &document.root {
                let item = Item::at_key(key, value, &document.lines);
                parts.entry(key.get_ref()).or_default().push(item);
            }
        }
        Self {
            parts,
            asked: Vec::new(),
        }
    }

    /// A table there is one of; an empty one if it is not written.
    pub(super) fn one(&mut self, name: &'static str, report: &mut Report<'_>) -> Table<'d> {
        self.asked.push((name, format!("[{name}]")));
        Table::new(name, &self.parts(name), report)
    }

    /// A table there may be many of.
    pub(super) fn many(&mut self, name: &'static str, report: &mut Report<'_>) -> Vec<Table<'d>> {
        let heading = format!("[[{name}]]");
        let mut tables = Vec::new();
        for part in self.parts(name) {
            let items = part.list().unwrap_or_else(|_| {
                let what = wrong_type("an array of tables", part.value())
                    .help(format!("write {heading} above the keys of each"));
                report.error(at(name, part.value(), part.place), what);
                // One table is read as an array of one: its keys may be wrong, too.
                Vec::from_iter(part.value().is_table().then_some(part))
            });
            tables.extend(items.iter().map(|item| Table::new(name, &[*item], report)));
        }
        self.asked.push((name, heading));
        tables
    }

    /// Reports whatever was written and not asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for (name, parts) in &self.parts {
            if self.asked.iter().any(|(asked, _)| asked == name) {
                continue;
            }
            for part in parts {
                let what = match later::standing("", name, part.value()) {
                    Standing::Accepted => continue,
                    Standing::Refused(why) => why,
                    Standing::Unknown => self.unknown(name, part.value()),
                };
                for place in part.places() {
                    report.error(at(name, part.value(), place), what.clone());
                }
            }
        }
    }

    fn parts(&self, name: &str) -> Vec<Item<'d>> {
        self.parts.get(name).cloned().unwrap_or_default()
    }

    fn unknown(&self, name: &str, value: &DeValue<'_>) -> Invalid {
        let what = Invalid::new(if is_table(value) {
            "unknown table"
        } else {
            "unknown key"
        });
        let names: Vec<_> = self.asked.iter().map(|(name, _)| *name).collect();
        let meant = closest(name, &names);
        match self.asked.iter().find(|(name, _)| Some(*name) == meant) {
            Some((_, heading)) => what.help(format!("did you mean {heading}?")),
            None => {
                let headings: Vec<_> = self.asked.iter().map(|(_, h)| h.as_str()).collect();
                what.help(format!("the tables are {}", headings.join(", ")))
            }
        }
    }
}

fn at(name: &str, value: &DeValue<'_>, place: Place) -> At {
    let name = Some(quote_key(name));
    if is_table(value) {
        At {
            place,
            table: name,
            key: None,
        }
    } else {
        At {
            place,
            table: None,
            key: name,
        }
    }
}

fn is_table(value: &DeValue<'_>) -> bool {
    value.is_table() || value.is_array()
}
