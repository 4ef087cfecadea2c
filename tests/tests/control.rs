//! Tokens by the command line: issued, listed, shown and revoked.

use std::{
    fs::File,
    io,
    process::{Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use token_agent_tests::{
    host::{Agent, Namespace, Nginx, bearer, curl, is_denied, wait_for},
    said::{done, exit_code, names, request, say, send_once, words},
};

const SECTIONS: &str = "[datapath]\ninterfaces = [\"lo\"]\n\
    [tokens]\nmax_ttl = \"48h\"\n\
    [[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n\
    [[service]]\nname = \"keys\"\nlisten = [\"*:8081\"]\nheader = \"x-api-key\"\n";

const RECORD: &str =
    "id family owner purpose scopes services issued_at not_before expires_at supersedes revision";
const DETAIL: &str =
    "state uses last_used_at effective_expires_at revoked_at revoke_reason superseded_by key_id";

const UNKNOWN_ID: &str = "t-0000000000000000";

fn state(agent: &Agent<'_>, id: &str) -> Result<String> {
    let shown = done(agent, &["show", id])?;
    Ok(shown["state"].as_str().context("a state")?.to_owned())
}

fn revisions(agent: &Agent<'_>) -> Result<Value> {
    let (_, status) = agent.json(&["status"])?;
    Ok(status["revision"].clone())
}

#[test]
fn tokens_are_issued_listed_and_shown() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let issue = [
        "issue",
        "--owner",
        "orders",
        "--purpose",
        "ci",
        "--service",
        "web",
        "--ttl",
        "90s",
    ];
    let issued = done(&agent, &issue)?;
    assert_eq!(
        names(&issued),
        words(&format!("schema_version token {RECORD}"))
    );
    let secret = issued["token"].as_str().context("a token")?;
    assert!(
        secret.starts_with("tka_") && secret.len() == 48,
        "the secret's form"
    );
    assert!(
        secret[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "the secret's form"
    );
    let time = |name: &str| -> Result<jiff::Timestamp> {
        Ok(issued[name].as_str().context("a time")?.parse()?)
    };
    assert_eq!(
        time("expires_at")?.as_second() - time("not_before")?.as_second(),
        90
    );
    let id = issued["id"].as_str().context("an id")?;

    let shown = done(&agent, &["show", id])?;
    assert_eq!(
        names(&shown),
        words(&format!("schema_version {RECORD} {DETAIL}"))
    );
    for name in words(RECORD) {
        assert_eq!(shown[name], issued[name], "{name}");
    }
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["services"], json!(["web"]));

    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
    let (pending, _) = agent.issue(&["--not-before", &later])?;
    let (revoked, _) = agent.issue(&["--service", "keys", "--ttl", "2h"])?;
    agent.tell(["revoke", &revoked, "--reason", "leaked"])?;
    let (expired, _) = agent.issue(&["--ttl", "1s"])?;
    thread::sleep(Duration::from_millis(1_100));
    let listed = |more: &[&str]| -> Result<Vec<String>> {
        let listing = done(&agent, &[&["list"], more].concat())?;
        assert_eq!(names(&listing), words("schema_version tokens"));
        let tokens = listing["tokens"].as_array().context("tokens")?;
        let mut ids = Vec::new();
        for token in tokens {
            assert_eq!(names(token), words(&format!("{RECORD} {DETAIL}")));
            ids.push(token["id"].as_str().context("an id")?.to_owned());
        }
        ids.sort();
        Ok(ids)
    };
    let sorted = |ids: &[&str]| {
        let mut ids: Vec<_> = ids.iter().map(|&id| id.to_owned()).collect();
        ids.sort();
        ids
    };
    for (more, expected) in [
        (&[] as &[&str], sorted(&[id, &pending, &revoked, &expired])),
        (&["--owner", "orders"], sorted(&[id])),
        (&["--owner", "nobody"], sorted(&[])),
        (&["--service", "web"], sorted(&[id, &pending, &expired])),
        (&["--state", "active"], sorted(&[id])),
        (&["--state", "pending"], sorted(&[&pending])),
        (&["--state", "revoked"], sorted(&[&revoked])),
        (&["--state", "expired"], sorted(&[&expired])),
        (&["--expiring", "10m"], sorted(&[id])),
    ] {
        assert_eq!(listed(more)?, expected, "{more:?}");
    }
    assert_eq!(listed(&["--limit", "2"])?.len(), 2);
    assert_eq!(
        done(&agent, &["show", &revoked])?["revoke_reason"],
        "leaked"
    );

    // For scripts: the bare secret, the bare ids.
    let bare = agent.tell(["--quiet", "issue", "--owner", "a", "--purpose", "b"])?;
    assert!(
        bare.starts_with("tka_") && bare.len() == 49 && bare.ends_with('\n'),
        "{} bytes",
        bare.len()
    );
    assert_eq!(
        agent.tell(["--quiet", "list", "--owner", "orders"])?,
        format!("{id}\n")
    );

    for args in [
        &["show", UNKNOWN_ID] as &[&str],
        &["list", "--service", "nowhere"],
        &[
            "issue",
            "--owner",
            "a",
            "--purpose",
            "b",
            "--service",
            "nowhere",
        ],
        &["issue", "--owner", "a", "--purpose", "b", "--ttl", "49h"],
        &["guard", "nowhere", "--mode", "monitor"],
    ] {
        assert_eq!(exit_code(&agent, args)?, Some(1), "{args:?}");
    }
    let version = done(&agent, &["version"])?;
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[test]
fn a_secret_that_cannot_be_printed_is_told() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let issue = ["issue", "--owner", "lost", "--purpose", "b"];
    let print = |args: &[&str], out: Stdio| -> Result<Output> {
        Ok(agent.command(args).stdout(out).output()?)
    };
    // Its reading end is closed at once.
    let closed = || anyhow::Ok(Stdio::from(io::pipe()?.1));
    let full = || anyhow::Ok(Stdio::from(File::options().write(true).open("/dev/full")?));
    for more in [&[] as &[&str], &["--quiet"], &["--json"]] {
        let args = [more, &issue].concat();
        for (out, cause) in [(closed()?, "roken pipe"), (full()?, "No space")] {
            let said = print(&args, out)?;
            let told = String::from_utf8(said.stderr)?;
            assert_eq!(said.status.code(), Some(1), "{args:?}: {told}");
            assert!(told.contains(cause) && !told.contains("tka_"), "{told}");
            let id = told.split(' ').find(|word| word.starts_with("t-"));
            let id = id.with_context(|| told.clone())?;
            let expected = format!("the token {id} was issued, but could not be printed: ");
            assert!(
                told.contains(&expected) && told.ends_with("; revoke it\n"),
                "{told}"
            );
            assert_eq!(state(&agent, id)?, "active");
        }
    }
    // Whoever reads a list may have seen enough.
    let said = print(&["list"], closed()?)?;
    assert_eq!(
        (said.status.code(), said.stderr.as_slice()),
        (Some(0), b"".as_slice())
    );
    assert_eq!(print(&["list"], full()?)?.status.code(), Some(1));
    Ok(())
}

#[test]
fn revoking_is_by_id_and_all_or_nothing() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let (first, _) = agent.issue(&[])?;
    let (second, _) = agent.issue(&[])?;
    let (third, _) = agent.issue(&[])?;

    let before = revisions(&agent)?;
    let said = say(&mut agent.command(["revoke", &first, UNKNOWN_ID]), "")?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(UNKNOWN_ID), "{said:?}");
    assert_eq!(
        exit_code(&agent, &["revoke", "--dry-run", &first, UNKNOWN_ID])?,
        Some(1)
    );
    let dry = done(&agent, &["revoke", "--dry-run", &first])?;
    assert_eq!(
        (&dry["count"], &dry["dry_run"], &dry["enforced"]),
        (&json!(1), &json!(true), &json!(false))
    );
    let dry = done(&agent, &["revoke", "--dry-run", "--all"])?;
    assert_eq!(dry["count"], 3);
    // Nobody is there to be asked.
    assert_eq!(exit_code(&agent, &["revoke", "--all"])?, Some(2));
    assert_eq!(revisions(&agent)?, before);
    assert_eq!(state(&agent, &first)?, "active");

    let answer = done(&agent, &["revoke", &first, &second])?;
    assert_eq!(
        names(&answer),
        words("schema_version count ids already foreign revision enforced durable dry_run")
    );
    assert_eq!(
        (&answer["count"], &answer["enforced"], &answer["durable"]),
        (&json!(2), &json!(true), &json!(true))
    );
    let after = revisions(&agent)?;
    assert_ne!(after, before);
    assert_eq!(
        (&after["store"], &after["kernel"]),
        (&answer["revision"], &answer["revision"])
    );
    let again = done(&agent, &["revoke", &first])?;
    assert_eq!(
        (&again["count"], &again["already"]),
        (&json!(0), &json!([first]))
    );
    assert_eq!(state(&agent, &third)?, "active");

    let all = done(&agent, &["revoke", "--all", "--yes"])?;
    assert_eq!((&all["count"], &all["ids"]), (&json!(1), &json!([third])));
    assert_eq!(state(&agent, &third)?, "revoked");
    assert_eq!(done(&agent, &["revoke", "--all", "--yes"])?["count"], 0);
    Ok(())
}

#[test]
fn secrets_are_revoked_even_if_never_issued_here() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, SECTIONS)?;
    let (id, secret) = agent.issue(&[])?;
    let foreign = "some-other-issuers-token";
    let revoke = |input: &str, more: &[&str]| {
        say(
            &mut agent.command([&["--json", "revoke", "--stdin"], more].concat()),
            input,
        )
    };
    let counted = |reason: &str| -> Result<bool> {
        let metrics = agent.metrics()?;
        let line = format!("reason=\"{reason}\",enforced=\"true\"}} 1");
        Ok(metrics.lines().any(|found| found.ends_with(&line)))
    };
    send_once(&host, ("127.0.0.1", 8080), &request(Some(foreign)), 1)?;
    wait_for("the unknown one to be counted", || counted("unknown"))?;

    let dry = revoke(&format!("{secret}\n{foreign}\n"), &["--dry-run"])?.json()?;
    assert_eq!((&dry["count"], &dry["foreign"]), (&json!(2), &json!(1)));
    assert_eq!(state(&agent, &id)?, "active");
    let answer = revoke(&format!("{foreign}\n"), &[])?.json()?;
    assert_eq!(
        (&answer["count"], &answer["foreign"], &answer["ids"]),
        (&json!(1), &json!(1), &json!([]))
    );
    send_once(&host, ("127.0.0.1", 8080), &request(Some(foreign)), 1)?;
    wait_for("the foreign one to be known as revoked", || {
        counted("revoked")
    })?;

    let url = "http://127.0.0.1:8080/";
    let with_it = ["-H", &bearer(&secret)];
    assert_eq!(curl(&host, url, &with_it)?, Some(200));
    let said = revoke(&format!("\n {secret} \r\n"), &[])?;
    let answer = said.json()?;
    assert_eq!(
        (said.code, &answer["ids"], &answer["foreign"]),
        (Some(0), &json!([id]), &json!(0))
    );
    assert!(!said.out.contains(&secret), "a secret was printed");
    assert!(is_denied(&host, url, &with_it)?);
    let again = revoke(&format!("{secret}\n{foreign}\n"), &[])?;
    assert_eq!(
        (again.code, &again.json()?["count"]),
        (Some(0), &json!(0)),
        "{again:?}"
    );
    assert_eq!(revoke("", &[])?.code, Some(2));
    let (id, secret) = agent.issue(&[])?;
    for input in [
        format!("Authorization: Bearer {secret}\n"),
        format!("{foreign}\n\"{secret}\"\n"),
        format!("{}\n", &secret[..secret.len() - 1]),
    ] {
        let said = revoke(&input, &[])?;
        assert!(
            said.code != Some(0) && !said.err.contains(&secret[4..40]),
            "{said:?}"
        );
        assert!(said.err.contains("nothing was revoked"), "{said:?}");
        assert_eq!(state(&agent, &id)?, "active");
    }
    assert_eq!(nginx.wait_for_requests(1)?.len(), 1);
    Ok(())
}

#[test]
fn a_request_that_cannot_be_met_is_told_why() -> Result<()> {
    let host = Namespace::new()?;
    let agent = Agent::start(&host, SECTIONS)?;
    let socket = agent.socket();
    let ask = |method: &str, path: &str, body: &str| -> Result<(u64, String)> {
        let mut command = host.command("curl");
        command
            .args([
                "--silent",
                "--request",
                method,
                "--data",
                "@-",
                "--unix-socket",
            ])
            .arg(&socket)
            .arg(format!("http://localhost{path}"));
        let problem = say(&mut command, body)?.json()?;
        assert_eq!(names(&problem), words("type title status detail code"));
        let detail = problem["detail"].as_str().context("a detail")?;
        assert!(!detail.contains("s3cret"), "{detail}");
        let status = problem["status"].as_u64().context("a status")?;
        Ok((status, detail.to_owned()))
    };
    let before = revisions(&agent)?;
    for (method, path, body, status, named) in [
        ("DELETE", "/v1/tokens", "", 405, "GET, HEAD, POST"),
        ("GET", "/v1/revoke", "", 405, "POST"),
        ("GET", "/v1/nowhere", "", 404, ""),
        ("POST", "/v1/tokens", "", 400, "empty"),
        (
            "POST",
            "/v1/tokens",
            r#"{"owner":"a","purpose":"b","ttl":3600}"#,
            400,
            "`ttl`",
        ),
        (
            "POST",
            "/v1/services/web/mode",
            r#"{"mode":"s3cret"}"#,
            400,
            "`mode` has to be `enforce` or `monitor`",
        ),
        (
            "POST",
            "/v1/revoke",
            r#"{"ids":[]}"#,
            400,
            "nothing to revoke",
        ),
        (
            "POST",
            "/v1/revoke",
            r#"{"secrets":[]}"#,
            400,
            "nothing to revoke",
        ),
        ("GET", "/v1/events?reason=s3cret", "", 400, "`reason`"),
        ("GET", "/v1/events?verdict=s3cret", "", 400, "`verdict`"),
    ] {
        let (found, detail) = ask(method, path, body)?;
        assert_eq!(found, status, "{method} {path}: {detail}");
        assert!(detail.contains(named), "{method} {path}: {detail}");
    }
    assert_eq!(revisions(&agent)?, before);
    assert_eq!(agent.get("/v1/events?reason=revoked&verdict=deny")?, "");
    Ok(())
}
