//! `[datapath]`: where packets are judged, and how much the kernel remembers.

use std::collections::HashSet;

use super::choice::choose;
use super::interface::InterfacePattern;
use super::problem::Invalid;
use super::report::Report;
use super::table::{Item, Table};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datapath {
    /// At least one.
    pub interfaces: Vec<InterfacePattern>,
    pub hook: Hook,
    /// How many tokens fit into the kernel's table.
    pub max_tokens: u32,
    /// How many connections fit into the kernel's table.
    pub max_flows: u32,
}

/// Where in the kernel packets are met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// Native XDP where it is good, TC elsewhere.
    Auto,
    /// TC by the older attachment, through a `clsact` qdisc.
    Clsact,
    Tc,
    Xdp,
    XdpGeneric,
}

impl Datapath {
    const DEFAULT_ENTRIES: u32 = 65_536;
    const MOST_FLOWS: u32 = 4_194_304;
    const MOST_TOKENS: u32 = 16_777_216;

    /// `complete` says that no file was left out, so what is not written is missing.
    pub(super) fn read(mut table: Table<'_>, complete: bool, report: &mut Report<'_>) -> Self {
        let datapath = Self {
            interfaces: interfaces(&mut table, complete, report),
            hook: table
                .text("hook", report, |word| choose(word, &Hook::WORDS))
                .unwrap_or(Hook::Auto),
            max_tokens: table
                .integer("max_tokens", report, 1..=Self::MOST_TOKENS)
                .unwrap_or(Self::DEFAULT_ENTRIES),
            max_flows: table
                .integer("max_flows", report, 1..=Self::MOST_FLOWS)
                .unwrap_or(Self::DEFAULT_ENTRIES),
        };
        table.finish(report);
        datapath
    }
}

impl Hook {
    const WORDS: [(&str, Self); 5] = [
        ("auto", Self::Auto),
        ("xdp", Self::Xdp),
        ("xdp-generic", Self::XdpGeneric),
        ("tc", Self::Tc),
        ("clsact", Self::Clsact),
    ];

    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Clsact => "clsact",
            Self::Tc => "tc",
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
        }
    }
}

fn interfaces(
    table: &mut Table<'_>,
    complete: bool,
    report: &mut Report<'_>,
) -> Vec<InterfacePattern> {
    const KEY: &str = "interfaces";
    let items = table.list(KEY, report);
    let is_missing = items
        .as_ref()
        .map_or(complete && !table.is_written(KEY), |items| items.is_empty());
    if is_missing {
        let what = Invalid::new("at least one interface is needed")
            .help(r#"write, for example, interfaces = ["eth0"]"#);
        report.error(table.at(KEY), what);
    }
    let mut patterns = Vec::new();
    let mut seen = HashSet::new();
    for item in items.unwrap_or_default() {
        let Some(pattern) = interface(table, item, report) else {
            continue;
        };
        if !seen.insert(pattern.clone()) {
            let what = Invalid::new(format!("\"{pattern}\" is named twice")).help("remove one");
            report.warn(table.at(KEY).on(item.place), what);
        } else {
            patterns.push(pattern);
        }
    }
    patterns
}

/// Either a name or `{ name = "eth0", facing = "client" }`.
fn interface(
    table: &Table<'_>,
    item: Item<'_>,
    report: &mut Report<'_>,
) -> Option<InterfacePattern> {
    if !item.value().is_table() {
        return item
            .text()
            .and_then(str::parse)
            .map_err(|what| report.error(table.at("interfaces").on(item.place), what))
            .ok();
    }
    let mut entry = Table::new("datapath.interfaces", &[item], report);
    let pattern = entry.required("name", report, str::parse, r#"name = "eth0""#);
    entry.text("facing", report, facing);
    entry.finish(report);
    pattern
}

fn facing(word: &str) -> Result<(), Invalid> {
    if word == "service" {
        return Err(Invalid::new(
            "interfaces that face the service are not supported by this version",
        )
        .help("remove the interface"));
    }
    choose(word, &[("client", ()), ("service", ())])
}
