//! The catalogue of cases.

use std::sync::LazyLock;

use serde_json::Value;

static CASES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    include_str!("../../attacks/cases.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a case"))
        .collect()
});

/// The cases of a group.
pub(crate) fn group(group: char) -> impl Iterator<Item = &'static Value> {
    CASES
        .iter()
        .filter(move |case| text(case, "id").starts_with(group))
}

/// The case with this id.
pub(crate) fn case(id: &str) -> &'static Value {
    CASES
        .iter()
        .find(|case| text(case, "id") == id)
        .unwrap_or_else(|| panic!("no case {id}"))
}

/// What a case says under this name; nothing if it says nothing.
pub(crate) fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}
