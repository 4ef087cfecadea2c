//! `[datapath]`: where packets are judged, and how much the kernel remembers.

use std::ops::RangeInclusive;

use super::choice::choose;
use super::facing::{Facing, Interfaces};
use super::interface::InterfacePattern;
use super::problem::Invalid;
use super::report::{Place, Report};
use super::table::{Item, Table};

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datapath {
    /// At least one.
    pub interfaces: Interfaces,
    pub hook: Hook,
    /// How many tokens fit into the kernel's table.
    pub max_tokens: u32,
    /// How many connections fit into the kernel's table.
    pub max_flows: u32,
    /// How many of them one source may have: at most all.
    pub max_flows_per_source: u32,
    /// How many connections at once may have bytes kept that the server has not acknowledged.
    pub unacked_buffers: u32,
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
    const DEFAULT_BUFFERS: u32 = 8_192;
    const BUFFERS: RangeInclusive<u32> = 64..=1_048_576;

    /// `complete` says that no file was left out, so what is not written is missing.
    pub(super) fn read(mut table: Table<'_>, complete: bool, report: &mut Report<'_>) -> Self {
        let hook = table
            .text("hook", report, |word| choose(word, &Hook::WORDS))
            .unwrap_or(Hook::Auto);
        let max_flows = table
            .integer("max_flows", report, 1..=Self::MOST_FLOWS)
            .unwrap_or(Self::DEFAULT_ENTRIES);
        let datapath = Self {
            interfaces: interfaces(&mut table, hook, complete, report),
            hook,
            max_tokens: table
                .integer("max_tokens", report, 1..=Self::MOST_TOKENS)
                .unwrap_or(Self::DEFAULT_ENTRIES),
            max_flows,
            max_flows_per_source: table
                .integer("max_flows_per_source", report, 1..=Self::MOST_FLOWS)
                .unwrap_or((max_flows / 2).max(1)),
            unacked_buffers: table
                .integer("unacked_buffers", report, Self::BUFFERS)
                .unwrap_or(Self::DEFAULT_BUFFERS),
        };
        datapath.check_flows(&table, report);
        table.finish(report);
        datapath
    }

    fn check_flows(&self, table: &Table<'_>, report: &mut Report<'_>) {
        let (one, all) = (self.max_flows_per_source, self.max_flows);
        if one > all {
            let what = Invalid::new(format!("{one} is more than max_flows, {all}"))
                .help(format!("write {all} or less, or a greater max_flows"));
            report.error(table.at("max_flows_per_source"), what);
        }
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
    hook: Hook,
    complete: bool,
    report: &mut Report<'_>,
) -> Interfaces {
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
    let mut entries: Vec<(InterfacePattern, Facing, Place)> = Vec::new();
    for item in items.unwrap_or_default() {
        let Some((pattern, facing)) = interface(table, item, hook, report) else {
            continue;
        };
        let at = table.at(KEY).on(item.place);
        let clash = entries.iter().find(|(other, side, _)| {
            *other == pattern
                || (*side != facing
                    && other.is_glob()
                    && pattern.is_glob()
                    && other.overlaps(&pattern))
        });
        match clash {
            None => entries.push((pattern, facing, item.place)),
            Some((_, side, _)) if *side == facing => {
                let what = Invalid::new(format!("\"{pattern}\" is named twice")).help("remove one");
                report.warn(at, what);
            }
            Some((other, side, place)) => {
                let what = Invalid::new(format!(
                    "\"{pattern}\" faces the {}, but \"{other}\" at {}, which can match the same interface, \
                     faces the {}",
                    facing.as_str(),
                    report.name(*place),
                    side.as_str(),
                ))
                .help("write patterns that have no name in common, or the names themselves");
                report.error(at, what);
            }
        }
    }
    let entries = entries.into_iter();
    Interfaces::new(entries.map(|(pattern, facing, _)| (pattern, facing)))
}

/// Either a name or `{ name = "veth*", facing = "service" }`.
fn interface(
    table: &Table<'_>,
    item: Item<'_>,
    hook: Hook,
    report: &mut Report<'_>,
) -> Option<(InterfacePattern, Facing)> {
    if !item.value().is_table() {
        return item
            .text()
            .and_then(str::parse)
            .map(|pattern| (pattern, Facing::Client))
            .map_err(|what| report.error(table.at("interfaces").on(item.place), what))
            .ok();
    }
    let mut entry = Table::new("datapath.interfaces", &[item], report);
    let pattern = entry.required("name", report, str::parse, r#"name = "eth0""#);
    let facing = entry
        .text("facing", report, |word| facing(word, hook))
        .unwrap_or(Facing::Client);
    entry.finish(report);
    Some((pattern?, facing))
}

fn facing(word: &str, hook: Hook) -> Result<Facing, Invalid> {
    let facing = choose(word, &Facing::WORDS)?;
    if facing == Facing::Service && matches!(hook, Hook::Xdp | Hook::XdpGeneric) {
        return Err(Invalid::new(format!(
            "hook = \"{}\" sees only what comes in, and requests go out to the service here",
            hook.as_str()
        ))
        .help(r#"write hook = "auto" or "tc""#));
    }
    Ok(facing)
}
