//! The configuration: files become checked values, or a list of everything that has to be mended.
//!
//! ```text
//! source -> document -> sections -> table -> agent, control, datapath, ...
//! (bytes)   (TOML)      (merged)    (keys)   (values)
//! ```
//!
//! What is wrong on the way goes to the `report`; reading goes on, so that one run tells all of it. A key of a later
//! version is an error (`later`), as is an unknown one: none is ignored.

mod agent;
mod choice;
mod clash;
mod control;
mod credential;
mod datapath;
mod document;
mod facing;
mod interface;
mod later;
mod listen;
mod listeners;
mod metrics;
mod problem;
mod report;
mod sections;
mod service;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::Path;

pub use agent::Agent;
pub use control::Control;
pub use datapath::{Datapath, Hook};
pub use facing::{Facing, Interfaces};
pub use interface::InterfacePattern;
pub use listen::{Listen, ListenAddress};
pub use listeners::Listeners;
pub use metrics::Metrics;
pub use problem::{ConfigErrors, Invalid, Problem};
pub use service::{ExistingConnections, Mode, OnDeny, Service};
pub use tokens::Tokens;

use document::Document;
use report::{At, Place, Report};
use sections::Sections;
use source::Source;

/// Reads the file at `path` and those of `conf.d` beside it, and nothing else of the host.
///
/// # Errors
///
/// Every problem of every file at once.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let sources = source::read_all(path);
    let mut report = Report::new(&sources);
    let documents = parse(&sources, &mut report);
    // What a broken file leaves out is not missing.
    let complete = documents.len() == sources.len();
    let config = Config::read(Sections::new(&documents), complete, &mut report);
    let warnings = report.finish()?;
    Ok(Loaded { config, warnings })
}

/// A configuration that can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// What works, and may not be what was meant.
    pub warnings: Vec<Problem>,
}

/// Every value checked, every default filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    pub agent: Agent,
    pub control: Control,
    pub datapath: Datapath,
    pub tokens: Tokens,
    /// At least one; names and listen addresses are unique.
    pub services: Vec<Service>,
    pub metrics: Metrics,
}

impl Config {
    fn read(mut sections: Sections<'_>, complete: bool, report: &mut Report<'_>) -> Self {
        let config = Self {
            agent: Agent::read(sections.one("agent", report), report),
            control: Control::read(sections.one("control", report), report),
            datapath: Datapath::read(sections.one("datapath", report), complete, report),
            tokens: Tokens::read(sections.one("tokens", report), report),
            services: service::read_all(sections.many("service", report), complete, report),
            metrics: Metrics::read(sections.one("metrics", report), report),
        };
        // Nothing of these is supported, and they may say so.
        for name in ["fleet", "hash_key", "throttle"] {
            sections.one(name, report).finish(report);
        }
        sections.finish(report);
        config
    }
}

fn parse<'s>(sources: &'s [Source], report: &mut Report<'_>) -> Vec<Document<'s>> {
    let mut documents = Vec::with_capacity(sources.len());
    for (file, source) in sources.iter().enumerate() {
        match &source.text {
            Ok(text) => documents.extend(Document::parse(file, text, report)),
            Err(unreadable) => {
                let line = unreadable.line;
                report.error(At::place(Place { file, line }), unreadable.why.clone());
            }
        }
    }
    documents
}
