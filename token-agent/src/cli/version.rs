//! `version`: which one is this?

use serde::Serialize;

use super::{
    exit::Exit,
    output::{self, Output},
};

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

pub(super) fn run(output: Output) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if output.json {
        output::json(&Version { version })?;
    } else {
        output::print(&format!("token-agent {version}"))?;
    }
    Ok(Exit::Done)
}
