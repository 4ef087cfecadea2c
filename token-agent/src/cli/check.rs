//! `check`: is the configuration good?

use std::path::PathBuf;

use serde::Serialize;

use super::{exit::Exit, output::Output};
use crate::{
    config::{self, Config, Problem},
    daemon,
    datapath::{self, Finding},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "PATH", default_value_os_t = daemon::default_config())]
    config: PathBuf,
    /// Look at this machine, too, without touching it
    #[arg(long)]
    host: bool,
}

#[derive(Debug, Default, Serialize)]
struct Checked {
    valid: bool,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Vec<Finding>>,
}

impl Checked {
    /// Whether this machine cannot enforce.
    fn is_impossible(&self) -> bool {
        let mut findings = self.findings.iter().flatten();
        findings.any(|finding| finding.severity == "error")
    }
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<Exit> {
    let look = |config: Option<&Config>| args.host.then(|| datapath::examine(config));
    let checked = match config::load(&args.config) {
        Ok(loaded) => Checked {
            valid: true,
            findings: look(Some(&loaded.config)),
            warnings: loaded.warnings,
            errors: Vec::new(),
        },
        Err(errors) => Checked {
            errors: errors.0,
            findings: look(None),
            ..Checked::default()
        },
    };
    output.tell(&checked, text)?;
    Ok(match (checked.valid, checked.is_impossible()) {
        (false, _) => Exit::Config,
        (true, true) => Exit::Failed,
        (true, false) => Exit::Done,
    })
}

fn text(checked: &Checked) -> String {
    let mut text = String::new();
    for error in &checked.errors {
        text.push_str(&format!("error: {error}\n"));
    }
    for warning in &checked.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for finding in checked.findings.iter().flatten() {
        text.push_str(&finding_text(finding));
    }
    if checked.valid && !checked.is_impossible() {
        text.push_str("ok\n");
    }
    text
}

/// A finding as people read it.
pub(super) fn finding_text(finding: &Finding) -> String {
    let Finding {
        id,
        severity,
        evidence,
        remedy,
    } = finding;
    format!("{severity}: {id}: {evidence}\n  {remedy}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_is_said_only_if_nothing_is_in_the_way() {
        let checked = |valid, severity| Checked {
            valid,
            findings: Some(vec![Finding {
                id: "x",
                severity,
                evidence: String::new(),
                remedy: String::new(),
            }]),
            ..Checked::default()
        };
        assert!(text(&checked(true, "warning")).ends_with("ok\n"));
        assert!(!text(&checked(true, "error")).contains("ok"));
        assert!(!text(&checked(false, "warning")).contains("ok"));
    }
}
