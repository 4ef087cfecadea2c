//! Real nginx, real curl, real interfaces: the application's log holds the
//! allowed requests and none of the denied ones.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use token_agent_tests::{
    host::{
        Agent, Namespace, Nginx, PATIENCE, Pair, authority, bearer, curl, is_denied, run, wait_for,
    },
    said::{done, say},
};

const PORT: u16 = 8080;

fn sections(interface: &str, hook: &str) -> String {
    format!(
        "[datapath]\ninterfaces = [\"{interface}\"]\nhook = \"{hook}\"\n\
         [[service]]\nname = \"web\"\nlisten = [\"*:{PORT}\"]\n\
         [[service]]\nname = \"other\"\nlisten = [\"*:8081\"]\n"
    )
}

/// The main job, for one client, one server address and one hook.
fn main_job(client: &Namespace, agent: &Agent<'_>, nginx: &Nginx, server: &str) -> Result<()> {
    let before = nginx.requests().len();
    let url = |path: &str| format!("http://{}/{path}", authority(server, PORT));
    let allow = |path: &str, token: &str, more: &[&str]| {
        let status = curl(
            client,
            &url(path),
            &[&["-H", &bearer(token)], more].concat(),
        )?;
        ensure!(status == Some(200), "{path}: {status:?}\n{}", agent.log());
        Ok(())
    };
    let deny = |path: &str, more: &[&str]| {
        ensure!(is_denied(client, &url(path), more)?, "{path} was answered");
        Ok(())
    };
    let (id, good) = agent.issue(&["--ttl", "1h"])?;
    let (_, bystander) = agent.issue(&["--ttl", "1h"])?;
    let (_, elsewhere) = agent.issue(&["--service", "other"])?;
    let unknown = good.replace(&good[10..14], "0000");
    let credential = bearer(&good);
    let with_good = ["-H", &credential];

    allow("allowed-1", &good, &[])?;
    let (_, brief) = agent.issue(&["--ttl", "10s"])?;
    allow("allowed-2", &brief, &[])?;
    // A body over many segments.
    let body = tempfile::NamedTempFile::new()?;
    body.as_file().set_len(3_000_000)?;
    let upload = format!("@{}", body.path().display());
    let upload = ["-H", "Expect:", "--data-binary", upload.as_str()];
    allow("upload/allowed-3", &good, &upload)?;

    deny("denied-missing", &[])?;
    deny("denied-unknown", &["-H", &bearer(&unknown)])?;
    deny("denied-garbage", &["-H", &bearer("\"")])?;
    deny("denied-elsewhere", &["-H", &bearer(&elsewhere)])?;
    deny("denied-twice", &[with_good, with_good].concat())?;
    let chunked = ["-H", "Transfer-Encoding: chunked", "-d", "x"];
    deny(
        "denied-chunked",
        &[&["-H", &bearer(&unknown)], &chunked[..]].concat(),
    )?;
    allow("upload/allowed-chunked", &good, &chunked)?;

    agent.tell(["revoke", &id])?;
    deny("denied-revoked", &with_good)?;
    // A head of 20 KiB and more, the credential first.
    let filler = "c".repeat(7_000);
    let long = ["Cookie", "X-A", "X-B"].map(|name| format!("{name}: {filler}"));
    let long = long.iter().flat_map(|line| ["-H", line]);
    deny(
        "denied-revoked-long",
        &with_good.into_iter().chain(long).collect::<Vec<_>>(),
    )?;
    allow("allowed-4", &bystander, &[])?;
    // The denials above took longer than its lifetime.
    deny("denied-expired", &["-H", &bearer(&brief)])?;

    let seen = nginx.wait_for_requests(before + 5)?;
    assert_eq!(
        seen[before..],
        [
            "GET /allowed-1",
            "GET /allowed-2",
            "POST /upload/allowed-3",
            "POST /upload/allowed-chunked",
            "GET /allowed-4"
        ]
        .map(|line| format!("{line} HTTP/1.1"))
    );
    Ok(())
}

/// One keep-alive connection: the request after the revocation is dropped.
fn keep_alive(client: &Namespace, agent: &Agent<'_>, nginx: &Nginx, server: &str) -> Result<()> {
    let (id, token) = agent.issue(&[])?;
    let script = format!(
        "import http.client,sys\n\
         c=http.client.HTTPConnection({server:?},{PORT})\n\
         c.connect()\n\
         for line in sys.stdin:\n\
         \x20 path,most=line.split(); c.sock.settimeout(int(most))\n\
         \x20 try:\n\
         \x20   c.request('GET',path,headers={{'Authorization':'Bearer '+sys.argv[1]}})\n\
         \x20   r=c.getresponse(); r.read(); print(r.status,flush=True)\n\
         \x20 except Exception as e: print(type(e).__name__,flush=True)\n"
    );
    let mut child = client
        .command("python3")
        .args(["-c", &script, &token])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut requests = child.stdin.take().context("a pipe")?;
    let mut answers = BufReader::new(child.stdout.take().context("a pipe")?).lines();
    let mut ask = |path: &str, most: u64| -> Result<String> {
        writeln!(requests, "/{path} {most}")?;
        requests.flush()?;
        Ok(answers.next().context("an answer")??)
    };
    assert_eq!(ask("kept-1", PATIENCE.as_secs())?, "200");
    assert_eq!(ask("kept-2", PATIENCE.as_secs())?, "200");
    agent.tell(["revoke", &id])?;
    assert_eq!(ask("kept-3", 2)?, "TimeoutError");
    drop(requests);
    child.wait()?;
    let seen = nginx.requests();
    assert!(seen.iter().any(|line| line.contains("kept-2")));
    assert!(!seen.iter().any(|line| line.contains("kept-3")), "{seen:?}");
    Ok(())
}

fn on_a_pair(hook: &str, expected: (&str, &str)) -> Result<()> {
    let pair = Pair::new()?;
    let nginx = Nginx::start(&pair.server, &["8080", "[::]:8080"])?;
    let agent = Agent::start(&pair.server, &sections("eth0", hook))?;
    let (_, status) = agent.json(&["status"])?;
    let interface = &status["interfaces"][0];
    assert_eq!(
        (interface["hook"].as_str(), interface["mode"].as_str()),
        (Some(expected.0), Some(expected.1)),
        "{status}"
    );
    for server in Pair::SERVER {
        main_job(&pair.client, &agent, &nginx, server)?;
        keep_alive(&pair.client, &agent, &nginx, server)?;
    }
    Ok(())
}

#[test]
fn xdp_on_veth() -> Result<()> {
    on_a_pair("xdp", ("xdp", "native"))
}

#[test]
fn generic_xdp_on_veth() -> Result<()> {
    on_a_pair("xdp-generic", ("xdp", "generic"))
}

#[test]
fn tc_on_veth() -> Result<()> {
    // `auto` is TC there.
    on_a_pair("auto", ("tc", "tcx"))
}

#[test]
fn clsact_on_veth() -> Result<()> {
    on_a_pair("clsact", ("tc", "clsact"))
}

#[test]
fn tc_on_lo() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080", "[::]:8080"])?;
    let agent = Agent::start(&host, &sections("lo", "tc"))?;
    for server in ["127.0.0.1", "::1"] {
        main_job(&host, &agent, &nginx, server)?;
        keep_alive(&host, &agent, &nginx, server)?;
        long_heads(&host, &agent, &nginx, server)?;
    }
    Ok(())
}

/// `lo` carries 64 KiB in one packet: heads of 30 KiB and credentials of 8 KiB are whole.
fn long_heads(host: &Namespace, agent: &Agent<'_>, nginx: &Nginx, server: &str) -> Result<()> {
    let before = nginx.requests().len();
    let (id, token) = agent.issue(&[])?;
    let url = format!("http://{}/long-head", authority(server, PORT));
    let fillers: Vec<String> = (0..4)
        .map(|i| format!("X-{i}: {}", "f".repeat(7_500)))
        .collect();
    let credential = bearer(&token);
    let headers: Vec<&str> = fillers
        .iter()
        .map(String::as_str)
        .chain([credential.as_str()])
        .flat_map(|line| ["-H", line])
        .collect();
    assert_eq!(curl(host, &url, &headers)?, Some(200));
    agent.tell(["revoke", &id])?;
    assert!(is_denied(host, &url, &headers)?);
    assert_eq!(nginx.wait_for_requests(before + 1)?.len(), before + 1);
    Ok(())
}

#[test]
fn monitoring_lets_everything_pass_and_tells() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let text = sections("lo", "tc").replace(
        "[[service]]\nname = \"web\"",
        "[[service]]\nname = \"web\"\nmode = \"monitor\"",
    );
    let agent = Agent::start(&host, &text)?;
    let url = "http://127.0.0.1:8080/monitored";
    let nobody = ["-H", &bearer("nobody")];
    assert_eq!(curl(&host, url, &nobody)?, Some(200));
    nginx.wait_for_requests(1)?;
    let mut events = String::new();
    wait_for("the event", || {
        events = agent.tell(["--json", "events"])?;
        Ok(events.contains("\"reason\":\"unknown\""))
    })?;
    ensure!(events.contains("\"enforced\":false"), "{events}");
    // Enforced for a while, by command, and back by itself.
    let answer = done(
        &agent,
        &["guard", "web", "--mode", "enforce", "--for", "8s"],
    )?;
    let until: Timestamp = answer["until"].as_str().context("an end")?.parse()?;
    assert!(is_denied(&host, url, &nobody)?);
    wait_for("the end", || Ok(Timestamp::now() >= until))?;
    assert_eq!(curl(&host, url, &nobody)?, Some(200));
    Ok(())
}

#[test]
fn pipelined_requests_with_one_revoked_are_dropped_together() -> Result<()> {
    let host = Namespace::new()?;
    let nginx = Nginx::start(&host, &["8080"])?;
    let agent = Agent::start(&host, &sections("lo", "tc"))?;
    let (_, good) = agent.issue(&[])?;
    let (revoked_id, revoked) = agent.issue(&[])?;
    agent.tell(["revoke", &revoked_id])?;
    let request = |path: &str, token: &str| {
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    // Reads so many answers; if there should be none, waits a while for the first.
    let send = |bytes: String, answers: usize| -> Result<()> {
        let script = "import socket,sys\n\
             wanted=int(sys.argv[1]); got=b''\n\
             s=socket.create_connection(('127.0.0.1',8080))\n\
             s.sendall(sys.stdin.buffer.read()); s.settimeout(30 if wanted else 1)\n\
             try:\n\
             \x20 while got.count(b'HTTP/1.1 200')<max(wanted,1): got+=s.recv(65536) or exit('closed')\n\
             except TimeoutError: pass\n\
             if got.count(b'HTTP/1.1 200')!=wanted: exit(repr(got))\n";
        let mut python = host.command("python3");
        let said = say(python.args(["-c", script, &answers.to_string()]), &bytes)?;
        ensure!(said.code == Some(0), "{said:?}");
        Ok(())
    };
    send(request("one", &good).repeat(3), 3)?;
    send(request("two", &good) + &request("three", &revoked), 0)?;
    let seen = nginx.wait_for_requests(3)?;
    assert_eq!(seen, ["GET /one HTTP/1.1"; 3]);
    // What follows a request that is whole may be the beginning of another.
    send(request("four", &good) + &request("five", &good)[..20], 1)?;
    let seen = nginx.wait_for_requests(4)?;
    assert_eq!(seen[3..], ["GET /four HTTP/1.1"]);
    // A body that looks like a request.
    let bait = request("bait", "nobody");
    let upload = format!(
        "POST /post HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\nContent-Length: {}\r\n\r\n",
        bait.len()
    );
    send(upload + &bait, 1)?;
    let seen = nginx.wait_for_requests(5)?;
    assert_eq!(seen[4..], ["POST /post HTTP/1.1"]);
    Ok(())
}

#[test]
fn the_guard_outlives_the_agent_and_a_new_one_takes_over() -> Result<()> {
    use nix::sys::signal::Signal;
    for hook in ["tc", "xdp", "clsact"] {
        let pair = Pair::new()?;
        let nginx = Nginx::start(&pair.server, &["8080"])?;
        let mut agent = Agent::start(&pair.server, &sections("eth0", hook))?;
        let (id, good) = agent.issue(&[])?;
        let url = "http://10.77.0.2:8080/x";
        let with_good = ["-H", &bearer(&good)];
        let ask = || curl(&pair.client, url, &with_good);
        let deny = |more: &[&str]| is_denied(&pair.client, url, more);
        assert_eq!(ask()?, Some(200));
        agent.stop(Signal::SIGKILL)?;
        assert_eq!(ask()?, Some(200), "{hook}: judged without an agent");
        assert!(deny(&[])?, "{hook}: judged without an agent");
        agent.run()?;
        assert_eq!(ask()?, Some(200));
        agent.tell(["revoke", &id])?;
        assert!(
            deny(&with_good)?,
            "{hook}: the new agent's program is the one in force"
        );
        assert_eq!(agent.stop(Signal::SIGTERM)?, Some(0));
        assert!(deny(&with_good)?);
        let config = agent.config();
        let config = config.to_str().context("a path")?;
        agent.tell(["detach", "--config", config, "--all", "--yes"])?;
        assert_eq!(curl(&pair.client, url, &[])?, Some(200), "{hook}: detached");
        ensure!(!agent.pin_dir().exists(), "{hook}: pins are left");
        let left = run(pair.server.command("ip").args(["link", "show", "eth0"]))?;
        ensure!(!left.contains("xdp"), "{hook}: {left}");
        let qdiscs = run(pair
            .server
            .command("tc")
            .args(["qdisc", "show", "dev", "eth0"]))?;
        ensure!(!qdiscs.contains("clsact"), "{hook}: {qdiscs}");
        nginx.wait_for_requests(4)?;
    }
    Ok(())
}
