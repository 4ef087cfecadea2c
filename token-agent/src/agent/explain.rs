//! What would become of a request: the kernel's own code, run on a request made up for it.

use std::sync::Arc;

use jiff::Timestamp;
use token_agent_common::{
    digest::{Digest, KeyWords},
    http1::{Rules, option},
    reason::Reason,
    stream::{Reader, Turn},
    window::Window,
};
use zeroize::Zeroizing;

use super::{Agent, AgentError};
use crate::{
    config::Service,
    datapath::{credential_rule, options},
    token::TokenId,
    wire::{ExplainRequest, Explanation},
};

impl Agent {
    /// The verdict on a request, and why.
    ///
    /// # Errors
    /// [`AgentError::UnknownService`], [`AgentError::UnknownToken`], and the store's.
    pub async fn explain(
        self: &Arc<Self>,
        request: ExplainRequest,
    ) -> Result<Explanation, AgentError> {
        if request.id.is_some() && request.secret.is_some() {
            return Err(AgentError::BadRequest(
                "at most one of id and secret is to be given",
            ));
        }
        let (_, service) = self.service(&request.service)?;
        let head = head(service, &request)?;
        let read = read(service, &head, &KeyWords::new(self.key.expose()));
        self.with_engine(move |_agent, engine| {
            let by_id = match &request.id {
                None => None,
                Some(id) => Some(
                    engine
                        .store
                        .token(id)?
                        .ok_or(AgentError::UnknownToken(*id))?
                        .digest,
                ),
            };
            let (reason, id) = match (read, by_id) {
                // The secret behind an id is not known, so no credential was read; all else was.
                (Err(Reason::Missing), Some(digest)) | (Ok(digest), _) => {
                    let id = engine.store.token_by_digest(&digest)?.map(|token| token.id);
                    let wanted = engine.store.enforced_by_digest(&digest)?;
                    let now = request.at.unwrap_or_else(Timestamp::now).as_nanosecond();
                    let now = u64::try_from(now).unwrap_or_default();
                    let reason = wanted.map_or(Reason::Unknown, |wanted| {
                        engine.reconciler.judge(&wanted, &request.service, now)
                    });
                    (reason, id)
                }
                (Err(reason), _) => (reason, request.id),
            };
            Ok(explanation(request.service, reason, id))
        })
        .await
    }
}

fn explanation(service: String, reason: Reason, id: Option<TokenId>) -> Explanation {
    Explanation {
        verdict: reason.verdict().as_str().into(),
        reason: reason.as_str().into(),
        service,
        route: None,
        id,
        requires: "token".into(),
        http_status: http_status(reason),
    }
}

/// The request as it would arrive.
fn head(service: &Service, request: &ExplainRequest) -> Result<Zeroizing<Vec<u8>>, AgentError> {
    let breaks_line = |text: &str| text.contains(['\r', '\n']);
    let secret = request.secret.as_ref().map(|secret| secret.0.expose());
    if breaks_line(&request.method) || breaks_line(&request.path) || secret.is_some_and(breaks_line)
    {
        return Err(AgentError::BadRequest(
            "method, path and secret are one line each",
        ));
    }
    let (method, path) = (&request.method, &request.path);
    let start = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    // The whole length at once: a growing buffer would leave copies of the secret behind.
    let room = start.len() + service.header.len() + service.scheme.len() + 16;
    let mut head = Vec::with_capacity(room + secret.map_or(0, str::len));
    head.extend_from_slice(start.as_bytes());
    if let Some(secret) = secret {
        for part in [&service.header, ": ", &service.scheme] {
            head.extend_from_slice(part.as_bytes());
        }
        if !service.scheme.is_empty() {
            head.push(b' ');
        }
        head.extend_from_slice(secret.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Ok(Zeroizing::new(head))
}

/// The digest of the credential in `head`, or why it is not looked up.
fn read(service: &Service, head: &[u8], key: &KeyWords) -> Result<Digest, Reason> {
    let rules = Rules {
        credential: &credential_rule(service),
        key,
        // It is asked about a request, not about what stands before a connection's first one.
        options: options(service) & !option::PROXY_PROTOCOL,
    };
    let mut reader = Reader::new(key);
    let mut window = Window::new();
    let Ok(len) = u32::try_from(head.len()) else {
        return Err(Reason::HeadTooLong);
    };
    reader.begin(0, len);
    for _turn in 0..Reader::turns(len) {
        let fill = |window: &mut Window, offset, len| {
            let rest = head.get(offset as usize..).unwrap_or_default();
            window.fill(rest) == len
        };
        match reader.turn(&mut window, &rules, fill) {
            Turn::Going => {}
            Turn::Request(credential) => return credential,
            Turn::Lost(reason) => return Err(reason),
            Turn::End => break,
        }
    }
    Err(Reason::Undecided)
}

/// The status that stands for a reason; none for what is no request or no HTTP/1.
const fn http_status(reason: Reason) -> Option<u16> {
    match reason {
        Reason::Malformed
        | Reason::DuplicateCredential
        | Reason::HeadTooLong
        | Reason::UpgradeRefused
        | Reason::Undecided => Some(400),
        Reason::Missing
        | Reason::MalformedToken
        | Reason::CredentialTooLong
        | Reason::Unknown
        | Reason::Revoked
        | Reason::Superseded
        | Reason::Expired
        | Reason::MaxAge
        | Reason::NotYetValid
        | Reason::WrongService => Some(401),
        Reason::InsufficientScope | Reason::MethodNotCovered | Reason::NoncanonicalPath => {
            Some(403)
        }
        Reason::Throttled => Some(429),
        Reason::Stale => Some(503),
        Reason::Allowed
        | Reason::Public
        | Reason::UnsupportedProtocol
        | Reason::NoFlow
        | Reason::OldConnection
        | Reason::OutOfOrder
        | Reason::Busy
        | Reason::ChangedRetransmission
        | Reason::Unrepeatable
        | Reason::Undelivered
        | Reason::UnguardedPath
        | Reason::BadPacket
        | Reason::Unjudged
        | Reason::TableFull
        | Reason::AnsweredEarly => None,
    }
}

#[cfg(test)]
mod tests {
    use token_agent_common::reason::Verdict;

    use super::*;
    use crate::{
        config::{ExistingConnections, Mode, OnDeny},
        token::Secret,
        wire::SecretText,
    };

    const KEY: [u8; 32] = [7; 32];

    fn service(header: &str, scheme: &str) -> Service {
        Service {
            name: "orders".into(),
            listen: Vec::new(),
            header: header.into(),
            scheme: scheme.into(),
            mode: Mode::Enforce,
            on_deny: OnDeny::Drop,
            existing_connections: ExistingConnections::Close,
            proxy_protocol: false,
            websocket: false,
            connect: false,
            body_on_get: true,
        }
    }

    fn judge(
        service: &Service,
        method: &str,
        path: &str,
        secret: Option<&str>,
    ) -> Result<Digest, Reason> {
        let request = ExplainRequest {
            service: "orders".into(),
            method: method.into(),
            path: path.into(),
            id: None,
            secret: secret.map(|secret| SecretText(Secret::from(secret.to_owned()))),
            at: None,
        };
        let head = head(service, &request).unwrap();
        read(service, &head, &KeyWords::new(&KEY))
    }

    fn digest(secret: &str) -> Digest {
        let hash = blake3::keyed_hash(&KEY, secret.as_bytes());
        Digest::from_bytes(*hash.as_bytes().first_chunk().unwrap())
    }

    #[test]
    fn a_credential_is_read_as_the_kernel_reads_it() {
        let bearer = service("authorization", "Bearer");
        let key = service("x-api-key", "");
        let longest = "a".repeat(8192);
        let too_long = "a".repeat(8193);
        for (service, secret, outcome) in [
            (&bearer, None, Err(Reason::Missing)),
            (&bearer, Some("tka_abc"), Ok(digest("tka_abc"))),
            (&bearer, Some("a b"), Err(Reason::MalformedToken)),
            (&bearer, Some("a!b"), Err(Reason::MalformedToken)),
            (&bearer, Some("ä"), Err(Reason::MalformedToken)),
            (&bearer, Some(&longest), Ok(digest(&longest))),
            (&bearer, Some(&too_long), Err(Reason::CredentialTooLong)),
            (&key, Some("a!b"), Ok(digest("a!b"))),
            (&key, Some("a b"), Err(Reason::MalformedToken)),
        ] {
            assert_eq!(
                judge(service, "GET", "/", secret),
                outcome,
                "{:?}",
                secret.map(str::len)
            );
        }
    }

    #[test]
    fn the_rest_of_the_request_is_judged_too() {
        let bearer = service("authorization", "Bearer");
        assert_eq!(
            judge(&bearer, "G T", "/", Some("abc")),
            Err(Reason::Malformed)
        );
        assert_eq!(
            judge(&bearer, "CONNECT", "a:1", Some("abc")),
            Err(Reason::UpgradeRefused)
        );
        // As the service allows; what stands before a connection's first request is not asked about.
        let tunnel = Service {
            connect: true,
            proxy_protocol: true,
            ..service("authorization", "Bearer")
        };
        assert!(judge(&tunnel, "CONNECT", "a:1", Some("abc")).is_ok());
        assert!(judge(&bearer, "POST", "/a?b=c", Some("abc")).is_ok());
    }

    #[test]
    fn a_line_cannot_be_smuggled_in() {
        let request = ExplainRequest {
            service: "orders".into(),
            method: "GET".into(),
            path: "/ HTTP/1.1\r\nAuthorization: Bearer abc".into(),
            id: None,
            secret: None,
            at: None,
        };
        assert!(head(&service("authorization", "Bearer"), &request).is_err());
    }

    #[test]
    fn only_denials_have_a_status() {
        for reason in Reason::ALL {
            if reason.verdict() == Verdict::Allow {
                assert_eq!(http_status(reason), None);
            }
        }
        assert_eq!(http_status(Reason::Revoked), Some(401));
        assert_eq!(http_status(Reason::DuplicateCredential), Some(400));
    }
}
