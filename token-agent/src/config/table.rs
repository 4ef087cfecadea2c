//! A cursor over one table: it notes which keys were asked for, so that none is ignored, and what was wrong with them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::document::Lines;
use super::later::{self, Standing};
use super::problem::{Invalid, closest, quote, quote_key};
use super::report::{At, Place, Report};

/// A table, possibly written in parts over several files.
pub(super) struct Table<'d> {
    /// What sort of table it is: `service`.
    kind: &'static str,
    /// What messages call it: `service "orders"`.
    title: String,
    place: Place,
    entries: BTreeMap<&'d str, Item<'d>>,
    asked: Vec<&'static str>,
}

/// A value and where it was written.
#[derive(Clone, Copy)]
pub(super) struct Item<'d> {
    /// The line of its key; of the value itself for an element of an array.
    pub(super) place: Place,
    value: &'d DeValue<'d>,
    lines: &'d Lines,
}

impl<'d> Table<'d> {
    pub(super) fn new(kind: &'static str, parts: &[Item<'d>], report: &mut Report<'_>) -> Self {
        let mut table = Self {
            kind,
            title: kind.to_owned(),
            place: parts.first().map_or(Place::MAIN, |part| part.place),
            entries: BTreeMap::new(),
            asked: Vec::new(),
        };
        for part in parts {
            let Some(entries) = part.value.as_table() else {
                let what = wrong_type("a table", part.value).help(format!(
                    "write [{kind}] on a line of its own, above its keys"
                ));
                report.error(table.itself().on(part.place), what);
                continue;
            };
            for (key, value) in entries {
                table.insert(key.get_ref(), Item::at_key(key, value, part.lines), report);
            }
        }
        table
    }

    /// What messages call the table from now on.
    pub(super) fn entitle(&mut self, name: &str) {
        self.title = format!("{} {}", self.kind, quote(name));
    }

    /// The table as a whole, to report something about it.
    pub(super) fn itself(&self) -> At {
        At {
            place: self.place,
            table: Some(self.title.clone()),
            key: None,
        }
    }

    /// The place of a key, or of the table where the key is not written, to report something about it.
    pub(super) fn at(&self, key: &str) -> At {
        At {
            place: self.entries.get(key).map_or(self.place, |item| item.place),
            key: Some(quote_key(key)),
            ..self.itself()
        }
    }

    pub(super) fn is_written(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The value of a key, if it is written.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'d>> {
        self.asked.push(key);
        self.entries.get(key).copied()
    }

    /// What `parse` makes of a string, if the key is written and the value is good.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let read = self.item(key)?.text().and_then(parse);
        self.keep(key, read, report)
    }

    /// Like `text`, for a key that has no default.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
        example: &str,
    ) -> Option<T> {
        let value = self.text(key, report, parse);
        if !self.is_written(key) {
            let what = Invalid::new("missing").help(format!("write, for example, {example}"));
            report.error(self.at(key), what);
        }
        value
    }

    /// A number within `range`, if the key is written and the value is good.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let read = self.item(key)?.integer(range);
        self.keep(key, read, report)
    }

    /// The elements of an array, if the key is written and the value is one.
    pub(super) fn list(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Vec<Item<'d>>> {
        let read = self.item(key)?.list();
        self.keep(key, read, report)
    }

    /// Reports whatever was written and not asked for.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        let known: Vec<_> = self
            .asked
            .iter()
            .copied()
            .chain(later::accepted(self.kind))
            .collect();
        for (key, item) in &self.entries {
            if self.asked.contains(key) {
                continue;
            }
            let what = match later::standing(self.kind, key, item.value) {
                Standing::Accepted => continue,
                Standing::Refused(why) => why,
                Standing::Unknown => unknown_key(key, &known),
            };
            for place in item.places() {
                report.error(self.at(key).on(place), what.clone());
            }
        }
    }

    fn insert(&mut self, key: &'d str, item: Item<'d>, report: &mut Report<'_>) {
        let Some(first) = self.entries.get(key) else {
            self.entries.insert(key, item);
            return;
        };
        let what = Invalid::new(format!("already set at {}", report.name(first.place)))
            .help("keep one of the two");
        report.error(self.at(key).on(item.place), what);
    }

    fn keep<T>(&self, key: &str, read: Result<T, Invalid>, report: &mut Report<'_>) -> Option<T> {
        read.map_err(|what| report.error(self.at(key), what)).ok()
    }
}

impl<'d> Item<'d> {
    pub(super) fn at_key(
        key: &Spanned<DeString<'d>>,
        value: &'d Spanned<DeValue<'d>>,
        lines: &'d Lines,
    ) -> Self {
        Self {
            place: lines.place(&key.span()),
            value: value.get_ref(),
            lines,
        }
    }

    pub(super) fn value(&self) -> &'d DeValue<'d> {
        self.value
    }

    /// Every line on which it begins: an array of tables has a heading for each.
    pub(super) fn places(&self) -> Vec<Place> {
        match self.list() {
            Ok(items) if items.iter().any(|item| item.value.is_table()) => {
                items.iter().map(|item| item.place).collect()
            }
            _ => vec![self.place],
        }
    }

    pub(super) fn text(&self) -> Result<&'d str, Invalid> {
        self.value.as_str().ok_or_else(|| {
            let what = wrong_type("a string", self.value);
            if self.value.is_array() || self.value.is_table() {
                what
            } else {
                what.help("write it in quotes")
            }
        })
    }

    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Result<u32, Invalid> {
        let Some(integer) = self.value.as_integer() else {
            let what = wrong_type("an integer", self.value);
            return Err(match self.value.as_str() {
                None => what,
                Some(_) => what.help("write it without quotes"),
            });
        };
        u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                Invalid::new("out of range").help(format!(
                    "write a number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, Invalid> {
        let Some(array) = self.value.as_array() else {
            return Err(wrong_type("an array", self.value).help("write it in square brackets"));
        };
        Ok(array
            .iter()
            .map(|element| Self {
                place: self.lines.place(&element.span()),
                value: element.get_ref(),
                lines: self.lines,
            })
            .collect())
    }
}

pub(super) fn wrong_type(expected: &str, found: &DeValue<'_>) -> Invalid {
    let found = found.type_str();
    let article = if found.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    Invalid::new(format!("must be {expected}, not {article} {found}"))
}

fn unknown_key(key: &str, known: &[&str]) -> Invalid {
    let what = Invalid::new("unknown key");
    match closest(key, known) {
        Some(meant) => what.help(format!("did you mean {meant}?")),
        None if known.is_empty() => what.help("remove it"),
        None => what.help(format!("the keys here are {}", known.join(", "))),
    }
}
