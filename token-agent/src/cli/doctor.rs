//! `doctor`: what keeps this machine from enforcing?

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{check::finding_text, exit::Exit, output::Output};
use crate::{
    client::{Client, ClientError},
    config, daemon,
    datapath::{self, Finding},
    wire::{InterfaceStatus, Status},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "PATH", default_value_os_t = daemon::default_config())]
    config: PathBuf,
}

#[derive(Debug, Serialize)]
struct Findings {
    findings: Vec<Finding>,
}

pub(super) async fn run(args: &Args, client: &Client, output: Output) -> anyhow::Result<Exit> {
    let config = config::load(&args.config);
    let mut findings = datapath::examine(config.as_ref().ok().map(|loaded| &loaded.config));
    if let Err(errors) = &config {
        findings.extend(errors.0.iter().map(|problem| Finding {
            id: "configuration-invalid",
            severity: "error",
            evidence: problem.to_string(),
            remedy: format!("token-agent check --config {}", args.config.display()),
        }));
    }
    match client.get::<Status>("/v1/status").await {
        Ok(status) => findings.extend(told(status, &args.config)),
        Err(error) => findings.push(silent(&error, &args.config)),
    }
    let is_impossible = findings.iter().any(|finding| finding.severity == "error");
    output.tell(&Findings { findings }, |found| {
        if found.findings.is_empty() {
            "nothing found\n".into()
        } else {
            found.findings.iter().map(finding_text).collect()
        }
    })?;
    Ok(if is_impossible {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// What the daemon says of itself.
fn told(status: Status, config: &Path) -> Vec<Finding> {
    let is_guarded =
        |interface: &InterfaceStatus| matches!(interface.state.as_ref(), "attached" | "degraded");
    let unguarded = (!status.interfaces.iter().any(is_guarded)).then(|| Finding {
        id: "not-guarded",
        severity: "error",
        evidence: "the agent runs, and no interface is guarded: no request is judged".into(),
        remedy: format!(
            "mend what is told of the interfaces, then restart the agent: token-agent run --config {}",
            config.display()
        ),
    });
    let degraded = status.degraded.into_iter().map(|evidence| Finding {
        id: "degraded",
        severity: "warning",
        evidence,
        remedy: "token-agent status".into(),
    });
    unguarded.into_iter().chain(degraded).collect()
}

/// The daemon does not answer. What it attached still guards, so that is no impossibility.
fn silent(error: &ClientError, config: &Path) -> Finding {
    let remedy = match error {
        ClientError::Forbidden { .. } => "run it with sudo".into(),
        ClientError::Problem(_) | ClientError::Protocol { .. } => "token-agent status".into(),
        ClientError::Unreachable { .. } => {
            format!("token-agent run --config {}", config.display())
        }
    };
    Finding {
        id: "daemon-unreachable",
        severity: "warning",
        evidence: error.to_string(),
        remedy,
    }
}
