//! One line of the trail.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Expected, Unexpected},
};
use token_agent_common::reason::{Reason, Verdict};

use super::Actor;
use crate::token::TokenId;

/// Something that happened. Never a token, a path or a query string.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    pub time: Timestamp,
    #[serde(rename = "type")]
    pub kind: EventKind,
    pub service: Option<String>,
    /// `allow` or `deny`.
    pub verdict: Option<Cow<'static, str>>,
    /// Whether the verdict was carried out.
    pub enforced: Option<bool>,
    pub reason: Option<Cow<'static, str>>,
    pub method: Option<String>,
    /// Routes are not judged in this version: always null.
    pub route: Option<String>,
    pub id: Option<TokenId>,
    /// In hexadecimal.
    pub digest: Option<String>,
    /// The client's address and port.
    pub peer: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    pub interface: Option<String>,
    /// How many things this stands for.
    pub count: u64,
    /// Who did it, for a `control` event.
    pub actor: Option<Actor>,
    /// What was done, for a `control` event: `issue`, `revoke`, `guard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Cow<'static, str>>,
    /// The mode put in force, for a `guard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<super::ModeWord>,
    /// Where events were lost, for a `lost` event: `kernel`, `agent`, `follower`.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Cow<'static, str>>,
}

/// What kind of event it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody changed something through the control socket.
    Control,
    /// Events are missing here.
    Lost,
    /// The kernel judged a request or a packet.
    Verdict,
}

/// Which events to tell. A `lost` one always is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Those to come, rather than the latest ones.
    #[serde(default)]
    pub follow: bool,
    #[serde(
        default,
        deserialize_with = "verdict",
        skip_serializing_if = "Option::is_none"
    )]
    pub verdict: Option<String>,
    #[serde(
        default,
        deserialize_with = "reason",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<std::net::IpAddr>,
}

impl Event {
    /// An event of this kind that says nothing yet.
    #[must_use]
    pub const fn new(kind: EventKind, time: Timestamp) -> Self {
        Self {
            time,
            kind,
            service: None,
            verdict: None,
            enforced: None,
            reason: None,
            method: None,
            route: None,
            id: None,
            digest: None,
            peer: None,
            client: None,
            interface: None,
            count: 1,
            actor: None,
            action: None,
            mode: None,
            place: None,
        }
    }

    /// Somebody did something.
    #[must_use]
    pub fn control(action: &'static str, actor: Actor, time: Timestamp) -> Self {
        Self {
            actor: Some(actor),
            action: Some(action.into()),
            ..Self::new(EventKind::Control, time)
        }
    }

    /// `count` events are missing.
    #[must_use]
    pub fn lost(place: &'static str, count: u64, time: Timestamp) -> Self {
        Self {
            count,
            place: Some(place.into()),
            ..Self::new(EventKind::Lost, time)
        }
    }
}

impl EventQuery {
    /// Whether `event` is asked for.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        fn agrees(wanted: Option<&str>, found: Option<&str>) -> bool {
            wanted.is_none() || wanted == found
        }
        let client = self.client.map(|client| client.to_canonical().to_string());
        event.kind == EventKind::Lost
            || (agrees(self.verdict.as_deref(), event.verdict.as_deref())
                && agrees(self.reason.as_deref(), event.reason.as_deref())
                && agrees(self.service.as_deref(), event.service.as_deref())
                && agrees(client.as_deref(), event.client.as_deref())
                && (self.token.is_none() || self.token == event.id))
    }
}

/// The words one of which is to be given.
struct OneOf(Vec<&'static str>);

impl Expected for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of `{}`", self.0.join("`, `"))
    }
}

impl OneOf {
    /// A word that no event has would pick none, and look as if nothing had happened.
    fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<String>, D::Error> {
        let word = String::deserialize(deserializer)?;
        if self.0.contains(&word.as_str()) {
            Ok(Some(word))
        } else {
            Err(D::Error::invalid_value(Unexpected::Other("a word"), &self))
        }
    }
}

fn verdict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let words = [Verdict::Allow, Verdict::Deny].map(Verdict::as_str);
    OneOf(words.into()).read(deserializer)
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let words = Reason::ALL.map(Reason::as_str);
    OneOf(words.into()).read(deserializer)
}
