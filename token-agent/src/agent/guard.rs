//! Switching a service's mode.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::{Agent, AgentError};
use crate::wire::{Actor, Event, ModeAnswer, ModeRequest, ModeWord, Override};

impl Agent {
    /// Puts a mode in force. When this returns, the next packet is treated by it.
    ///
    /// # Errors
    /// [`AgentError::UnknownService`], [`AgentError::Kernel`].
    pub async fn set_mode(
        self: &Arc<Self>,
        actor: Actor,
        service: String,
        request: ModeRequest,
    ) -> Result<ModeAnswer, AgentError> {
        let (number, configured) = self.service(&service)?;
        let configured = ModeWord::from(configured.mode);
        self.with_engine(move |agent, engine| {
            let now = Timestamp::now();
            let mode = request.mode;
            let until = match request.duration {
                // There is nothing to go back from.
                _ if mode == configured => None,
                None => None,
                Some(span) if span.0.is_zero() => {
                    return Err(AgentError::BadRequest(
                        "a mode is put in force for 1s or more",
                    ));
                }
                Some(span) => SignedDuration::try_from(span.0)
                    .ok()
                    .and_then(|span| now.checked_add(span).ok()),
            };
            let wanted = (mode != configured).then(|| (mode.into(), nanoseconds(until)));
            engine
                .kernel
                .override_mode(number, wanted)
                .map_err(|source| AgentError::Kernel {
                    operation: "switch a service's mode",
                    source: source.into(),
                })?;
            engine.overrides.retain(|entry| entry.service != service);
            if mode != configured {
                engine.overrides.push(Override {
                    service: service.clone(),
                    mode,
                    until,
                });
            }
            agent.events.publish(Event {
                service: Some(service.clone()),
                mode: Some(mode),
                ..Event::control("guard", actor.clone(), now)
            });
            warn!(%service, mode = mode.as_str(), by = %actor, "switched a service's mode");
            Ok(ModeAnswer {
                service,
                mode,
                configured,
                until,
            })
        })
        .await
    }
}

/// As the kernel wants it: since the Unix epoch, the end of time for no end.
fn nanoseconds(until: Option<Timestamp>) -> u64 {
    until
        .and_then(|until| u64::try_from(until.as_nanosecond()).ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_without_an_end_lasts() {
        assert_eq!(nanoseconds(None), u64::MAX);
        let second = Timestamp::from_second(1).unwrap();
        assert_eq!(nanoseconds(Some(second)), 1_000_000_000);
    }
}
