//! Switching a service's mode.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::config::Mode;

/// The mode wished for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ModeRequest {
    pub mode: ModeWord,
    /// For how long; without it until the next change.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// The mode now in force.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ModeAnswer {
    pub service: String,
    pub mode: ModeWord,
    /// What the configuration says.
    pub configured: ModeWord,
    /// When the kernel goes back to the configured mode, if it does.
    pub until: Option<Timestamp>,
}

/// [`Mode`] as users write it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ModeWord {
    /// Denied requests do not reach the application.
    Enforce,
    /// Everything passes; what would be denied is counted.
    Monitor,
}

impl ModeWord {
    /// The word users write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => Mode::Enforce.as_str(),
            Self::Monitor => Mode::Monitor.as_str(),
        }
    }
}

impl From<Mode> for ModeWord {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Monitor => Self::Monitor,
        }
    }
}

impl From<ModeWord> for token_agent_common::abi::Mode {
    fn from(mode: ModeWord) -> Self {
        match mode {
            ModeWord::Enforce => Self::Enforce,
            ModeWord::Monitor => Self::Monitor,
        }
    }
}
