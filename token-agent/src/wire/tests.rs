use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Value, json, to_value};

use super::*;
use crate::token::Secret;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

fn sorted(words: &'static str) -> Vec<&'static str> {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words
}

fn record() -> TokenRecord {
    TokenRecord {
        id: "t-0000000000000001".parse().unwrap(),
        family: "f-0000000000000001".parse().unwrap(),
        owner: "orders".parse().unwrap(),
        purpose: "ci".parse().unwrap(),
        scopes: Vec::new(),
        services: vec!["orders".into()],
        issued_at: Timestamp::from_second(1_700_000_000).unwrap(),
        not_before: Timestamp::from_second(1_700_000_000).unwrap(),
        expires_at: Timestamp::from_second(1_700_086_400).unwrap(),
        supersedes: None,
        revision: crate::store::Revision(7),
    }
}

#[test]
fn an_issued_token_has_the_names_of_the_contract() {
    let issued = Issued {
        token: SecretText(Secret::from("s3cret".to_owned())),
        record: record(),
    };
    let json = to_value(Document::new(&issued)).unwrap();
    assert_eq!(
        keys(&json),
        sorted(
            "schema_version id family token owner purpose scopes services issued_at not_before
             expires_at supersedes revision"
        )
    );
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["token"], "s3cret");
    assert_eq!(json["issued_at"], "2023-11-14T22:13:20Z");
    assert_eq!(json["revision"], 7);
    assert!(!format!("{issued:?}").contains("s3cret"));
}

#[test]
fn a_token_told_of_has_the_names_of_the_contract_and_no_secret() {
    let detail = TokenDetail {
        record: record(),
        state: crate::store::TokenState::Active,
        uses: None,
        last_used_at: None,
        effective_expires_at: record().expires_at,
        revoked_at: None,
        revoke_reason: None,
        superseded_by: None,
        key_id: "k-0000000000000001".parse().unwrap(),
    };
    let json = to_value(&detail).unwrap();
    assert_eq!(
        keys(&json),
        sorted(
            "id family owner purpose scopes services issued_at not_before expires_at supersedes
             revision state uses last_used_at effective_expires_at revoked_at revoke_reason
             superseded_by key_id"
        )
    );
    assert_eq!(serde_json::from_value::<TokenDetail>(json).unwrap(), detail);
}

#[test]
fn an_event_has_the_names_of_the_contract() {
    let event = Event::new(EventKind::Verdict, Timestamp::UNIX_EPOCH);
    let json = to_value(&event).unwrap();
    assert_eq!(
        keys(&json),
        sorted(
            "time type service verdict enforced reason method route id digest peer client
             interface count actor"
        )
    );
    assert_eq!(json["type"], "verdict");
    assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    let lost = to_value(Event::lost("kernel", 3, Timestamp::UNIX_EPOCH)).unwrap();
    assert_eq!(
        (&lost["type"], &lost["where"], &lost["count"]),
        (&json!("lost"), &json!("kernel"), &json!(3))
    );
}

#[test]
fn a_status_has_the_names_of_the_contract() {
    let status = Status {
        enforcing: true,
        degraded: Vec::new(),
        notes: Vec::new(),
        since: Timestamp::UNIX_EPOCH,
        version: "0".into(),
        interfaces: vec![
            crate::datapath::Interface {
                name: "eth0".into(),
                ifindex: Some(2),
                facing: "client",
                hook: Some("tc"),
                mode: Some("tcx"),
                state: crate::datapath::InterfaceState::Failed("no".into()),
            }
            .into(),
        ],
        services: vec![ServiceStatus {
            name: "orders".into(),
            mode: ModeWord::Enforce,
            on_deny: "drop".into(),
            uncovered: vec!["lo".into()],
            older_connections: OlderConnections {
                adopted: 1,
                closed: 2,
                left: 3,
            },
        }],
        tokens: Tokens::default(),
        maps: Vec::new(),
        revision: Revisions {
            store: crate::store::Revision(1),
            kernel: crate::store::Revision(1),
        },
        overrides: Vec::new(),
    };
    let json = to_value(&status).unwrap();
    assert_eq!(
        keys(&json),
        sorted(
            "enforcing degraded notes since version interfaces services tokens maps revision
             overrides"
        )
    );
    assert_eq!(
        json["interfaces"][0],
        json!({"name": "eth0", "ifindex": 2, "facing": "client", "hook": "tc", "mode": "tcx",
               "state": "failed", "error": "no"})
    );
    assert_eq!(
        json["services"][0],
        json!({"name": "orders", "mode": "enforce", "on_deny": "drop", "uncovered": ["lo"],
               "older_connections": {"adopted": 1, "closed": 2, "left": 3}})
    );
    assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
}

#[test]
fn requests_refuse_unknown_fields() {
    for text in [
        r#"{"owner":"a","purpose":"b","scopes":["x"]}"#,
        r#"{"owner":"a","purpose":"b","Owner":"c"}"#,
    ] {
        assert!(
            serde_json::from_str::<IssueRequest>(text).is_err(),
            "{text}"
        );
    }
    assert!(serde_json::from_str::<RevokeRequest>(r#"{"id":"t-0000000000000001"}"#).is_err());
    assert!(serde_json::from_str::<ModeRequest>(r#"{"mode":"enforce","until":1}"#).is_err());
    let request: ModeRequest = serde_json::from_str(r#"{"mode":"monitor","for":"90s"}"#).unwrap();
    assert_eq!(
        request.duration,
        Some(Span(std::time::Duration::from_secs(90)))
    );
}

#[test]
fn a_secret_in_a_request_is_not_shown() {
    let request: RevokeRequest = serde_json::from_str(r#"{"secrets":["s3cret"]}"#).unwrap();
    assert!(!format!("{request:?}").contains("s3cret"));
}

#[test]
fn a_problem_names_its_code() {
    for code in Code::ALL {
        let json = to_value(Problem::new(code, "so it is")).unwrap();
        assert_eq!(json["code"], code.as_str());
        assert_eq!(json["status"], code.status());
        assert_eq!(keys(&json), sorted("type title status detail code"));
    }
}

#[test]
fn events_are_picked_by_what_is_asked_for() {
    let event = Event {
        verdict: Some("deny".into()),
        reason: Some("revoked".into()),
        service: Some("orders".into()),
        id: Some(record().id),
        client: Some("10.0.0.9".into()),
        ..Event::new(EventKind::Verdict, Timestamp::UNIX_EPOCH)
    };
    let all = EventQuery::default();
    let right = EventQuery {
        follow: false,
        verdict: Some("deny".into()),
        reason: Some("revoked".into()),
        service: Some("orders".into()),
        token: Some(record().id),
        client: Some("::ffff:10.0.0.9".parse::<IpAddr>().unwrap()),
    };
    assert!(all.matches(&event) && right.matches(&event));
    for wrong in [
        EventQuery {
            verdict: Some("allow".into()),
            ..right.clone()
        },
        EventQuery {
            reason: Some("expired".into()),
            ..right.clone()
        },
        EventQuery {
            service: Some("stock".into()),
            ..right.clone()
        },
        EventQuery {
            token: Some("t-0000000000000002".parse().unwrap()),
            ..right.clone()
        },
        EventQuery {
            client: Some("10.0.0.8".parse().unwrap()),
            ..right.clone()
        },
    ] {
        assert!(!wrong.matches(&event), "{wrong:?}");
        assert!(wrong.matches(&Event::lost("kernel", 1, Timestamp::UNIX_EPOCH)));
    }
}
