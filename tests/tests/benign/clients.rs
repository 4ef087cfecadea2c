//! Clients as they are used, each with many requests on few connections.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    host::{bearer, run, wait_for},
    said::say,
};

use crate::{
    application::Digest,
    pattern::Pattern,
    place::{APPLICATION, Case, NGINX, Scene},
};

/// Debian's, for which its packages of modules are.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// How many requests each client sends.
const REQUESTS: usize = 300;
/// How many it sends that is made for that.
const MANY: usize = 20_000;
/// How long wrk sends.
const WHILE: &str = "2s";
/// What curl uploads.
const UPLOAD: u64 = 20 << 20;

pub(crate) const CASES: &[Case] = &[
    ("curl", curl),
    ("curl that uploads", curl_uploads),
    ("wrk", wrk),
    ("h2load", h2load),
    ("Python's http.client", |scene| {
        let mut python = scene.layout.client.command(PYTHON);
        python.arg(script("http_client.py"));
        python.args([scene.layout.address, &APPLICATION.to_string()]);
        all_bodies(scene, &mut python, &["/http_client"])
    }),
    ("requests and urllib3", |scene| {
        let mut python = scene.layout.client.command(PYTHON);
        python.arg(script("requests_urllib3.py"));
        python.arg(scene.url(APPLICATION, ""));
        all_bodies(scene, &mut python, &["/requests", "/urllib3"])
    }),
    ("Node's fetch", |scene| {
        let mut node = scene.layout.client.command("node");
        node.arg(script("fetch.js"));
        node.arg(scene.url(APPLICATION, ""));
        all_bodies(scene, &mut node, &["/fetch"])
    }),
];

/// The path of a client's source.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benign")
        .join(name)
}

/// Has a script send its requests, whose bodies are those that are told here, too.
fn all_bodies(scene: &Scene<'_>, command: &mut Command, targets: &[&str]) -> Result<()> {
    command.args([&scene.good, &REQUESTS.to_string()]);
    for target in targets {
        for at in 0..REQUESTS {
            let body = format!("{at} ").repeat(37 * at % 5_000);
            scene.expect(target, Digest::of(body.as_bytes()));
        }
    }
    run(command).map(drop)
}

/// A curl that sends the valid token, and tells of each request the status and how many connections it opened.
fn new_curl(scene: &Scene<'_>) -> Command {
    let mut curl = scene.layout.client.command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
    curl.args([
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{num_connects}\n",
    ]);
    curl.args(["--header", &bearer(&scene.good)]);
    curl
}

/// How many requests were answered with 200 on a new connection, and how many on one that was there.
fn statuses(said: &str) -> (usize, usize) {
    let count = |what| said.lines().filter(|line| *line == what).count();
    (count("200 1"), count("200 0"))
}

fn curl(scene: &Scene<'_>) -> Result<()> {
    let mut curl = new_curl(scene);
    let url = scene.url(APPLICATION, "/curl");
    let said = run(curl.args(vec![url; REQUESTS]))?;
    ensure!(statuses(&said) == (1, REQUESTS - 1), "{said}");
    scene.expect_empty("/curl", REQUESTS);
    Ok(())
}

fn curl_uploads(scene: &Scene<'_>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("upload");
    let body = Pattern::new(1, UPLOAD, &scene.bait()).whole();
    fs::write(&file, &body)?;
    for framing in ["Content-Length:", "Transfer-Encoding: chunked"] {
        let mut curl = new_curl(scene);
        // It waits for the server's 100.
        curl.args([
            "--header",
            "Expect: 100-continue",
            "--expect100-timeout",
            "60",
        ]);
        if framing != "Content-Length:" {
            curl.args(["--header", framing]);
        }
        for _ in 0..2 {
            curl.arg("--upload-file").arg(&file);
            curl.arg(scene.url(APPLICATION, "/curl/upload"));
            scene.expect("/curl/upload", Digest::of(&body));
        }
        let said = run(&mut curl)?;
        ensure!(statuses(&said) == (1, 1), "{framing}: {said}");
    }
    Ok(())
}

/// How many requests with this target nginx has logged, once they are so many.
fn logged(scene: &Scene<'_>, target: &str, least: usize) -> Result<usize> {
    let count = || {
        let requests = scene.nginx.requests();
        requests.iter().filter(|line| line.contains(target)).count()
    };
    wait_for("nginx to log", || Ok(count() >= least))?;
    Ok(count())
}

fn wrk(scene: &Scene<'_>) -> Result<()> {
    let mut wrk = scene.layout.client.command("wrk");
    wrk.args(["--threads", "2", "--connections", "32", "--duration", WHILE]);
    wrk.args(["--timeout", "30", "--header", &bearer(&scene.good)]);
    let said = run(wrk.arg(scene.url(NGINX, "/wrk")))?;
    ensure!(
        !said.contains("Socket errors") && !said.contains("Non-2xx"),
        "{said}"
    );
    let (before, _) = said.split_once(" requests in").context("a count")?;
    let count = before.split_whitespace().last().context("a number")?;
    let count: usize = count.parse()?;
    ensure!(count > 0, "{said}");
    logged(scene, "/wrk", count).map(drop)
}

fn h2load(scene: &Scene<'_>) -> Result<()> {
    let mut h2load = scene.layout.client.command("h2load");
    h2load.args(["--h1", "--clients", "16", "--requests", &MANY.to_string()]);
    h2load.args(["--header", &bearer(&scene.good)]);
    let said = say(h2load.arg(scene.url(NGINX, "/h2load")), "")?;
    let all = format!("{MANY} succeeded, 0 failed, 0 errored, 0 timeout");
    ensure!(
        said.out.contains(&all) && said.out.contains(&format!("{MANY} 2xx")),
        "{said:?}"
    );
    let count = logged(scene, "/h2load", MANY)?;
    ensure!(count == MANY, "nginx got {count}");
    Ok(())
}
