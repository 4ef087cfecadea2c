//! How connections begin, end and follow one another.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    client::Client,
    host::{Namespace, run, wait_for},
};

use crate::{
    application::{self, Digest},
    place::{APPLICATION, Case, LONG, NGINX, Scene, connect_patiently},
    uploads::{CHUNK, Framing, upload},
};

/// How many requests are sent in one write.
const PIPELINED: usize = 1_000;
/// How many short connections there are, and from how many ports.
const CONNECTIONS: usize = 5_000;
const PORTS: usize = 1_000;
/// How long the downloads are that nobody waits for.
const LEFT: u64 = 64 << 20;
/// How much goes each way at once.
const BOTH_WAYS: u64 = 128 << 20;

pub(crate) const CASES: &[Case] = &[
    ("clients that close their side", half_closed),
    (
        "clients that close after answers of all lengths",
        close_after,
    ),
    ("clients that leave in the middle of a download", leave),
    ("a thousand requests in one write", pipelined),
    ("short connections that the client closes", |scene| {
        short_connections(scene, First::Client)
    }),
    ("short connections that the server closes", |scene| {
        short_connections(scene, First::Server)
    }),
    ("uploads and downloads at once", both_ways),
];

fn answered(client: &mut Client) -> Result<()> {
    let status = client.answer(LONG)?;
    ensure!(status == 200, "{status}");
    Ok(())
}

fn half_closed(scene: &Scene<'_>) -> Result<()> {
    for port in [APPLICATION, NGINX] {
        for round in 0..50 {
            let mut client = Client::connect(scene.layout.client, scene.at(port))?;
            let body = if port == APPLICATION { "half" } else { "" };
            let length = format!("Content-Length: {}\r\n", body.len());
            let request = scene.request("POST", "half", &length) + body;
            // The end comes with the last byte, or after all was acknowledged.
            client.send(request.as_bytes())?;
            if round % 2 == 1 {
                thread::sleep(Duration::from_millis(5));
            }
            client.close()?;
            answered(&mut client)?;
            if port == APPLICATION {
                scene.expect("/half", Digest::of(body.as_bytes()));
            }
        }
    }
    Ok(())
}

/// Of some the last acknowledgment stands as far from the beginning as what it acknowledges.
fn close_after(scene: &Scene<'_>) -> Result<()> {
    for more in (0..700).step_by(7) {
        let mut client = scene.connect()?;
        let more = format!("X-More: {}\r\n", "x".repeat(more));
        client.send(scene.request("GET", "closed", &more).as_bytes())?;
        answered(&mut client)?;
    }
    scene.expect_empty("/closed", 100);
    // Who does not get it asks again and again.
    wait_for("the server to have all ends", || {
        let mut ss = scene.layout.server.command("ss");
        let at = format!(":{APPLICATION}");
        Ok(run(ss.args(["-Htn", "state", "last-ack", "sport", "=", &at]))?.is_empty())
    })
}

/// Their kernels answer what still comes with a RST: behind the FIN, where that went first.
fn leave(scene: &Scene<'_>) -> Result<()> {
    for round in 0..10 {
        let mut client = scene.connect()?;
        let target = format!("download/{LEFT}");
        client.send(scene.request("GET", &target, "").as_bytes())?;
        client.read_exactly(100, LONG)?;
        if round % 2 == 1 {
            client.close()?;
            thread::sleep(Duration::from_millis(5));
        }
    }
    // The server has nobody left to send to.
    wait_for("the server to give up", || {
        let mut ss = scene.layout.server.command("ss");
        let sockets = run(ss.args(["-Htn", "sport", "=", &format!(":{APPLICATION}")]))?;
        let sends = |line: &str| {
            line.split_whitespace()
                .nth(2)
                .is_some_and(|queue| queue != "0")
        };
        Ok(!sockets.lines().any(sends))
    })
}

fn pipelined(scene: &Scene<'_>) -> Result<()> {
    // More is on its way at once than is kept to be compared with repetitions.
    scene.tolerate("unrepeatable");
    for port in [APPLICATION, NGINX] {
        let mut client = Client::connect(scene.layout.client, scene.at(port))?;
        let requests = scene.request("GET", "pipelined", "").repeat(PIPELINED);
        thread::scope(|scope| {
            let mut writer = client.twin()?;
            let written = scope.spawn(move || writer.send(requests.as_bytes()));
            for at in 0..PIPELINED {
                answered(&mut client).with_context(|| format!("answer {at}"))?;
            }
            written.join().expect("it does not panic")
        })?;
    }
    scene.expect_empty("/pipelined", PIPELINED);
    // It answers before it logs.
    let logged = || {
        let requests = scene.nginx.requests();
        let of_these = requests.iter().filter(|line| line.contains("pipelined"));
        of_these.count()
    };
    wait_for("nginx to log", || Ok(logged() >= PIPELINED))?;
    ensure!(logged() == PIPELINED, "nginx got {}", logged());
    Ok(())
}

/// Who closes first, and thus has its end of the connection wait.
#[derive(Clone, Copy)]
enum First {
    Client,
    Server,
}

fn short_connections(scene: &Scene<'_>, first: First) -> Result<()> {
    const AT_ONCE: usize = 4;
    let set = |variable: &str, value: &str| {
        let script = format!("echo {value} > /proc/sys/net/ipv4/{variable}");
        run(scene.layout.client.command("sh").args(["-c", &script]))
    };
    // Ports are used again as soon as the kernel allows.
    set("ip_local_port_range", &format!("40000 {}", 39_999 + PORTS))?;
    set("tcp_tw_reuse", "1")?;
    let (target, more) = match first {
        First::Client => ("short", ""),
        First::Server => ("shorter", "Connection: close\r\n"),
    };
    let request = scene.request("GET", target, more);
    let server = scene.at(APPLICATION);
    let several = || -> Result<()> {
        let here = Namespace::current();
        for at in 0..CONNECTIONS / AT_ONCE {
            let mut client = connect_patiently(&here, server)?;
            client.send(request.as_bytes())?;
            answered(&mut client).with_context(|| format!("connection {at}"))?;
            if matches!(first, First::Server) {
                client.wait_for_end(LONG)?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(|| scene.layout.client.within(several)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("it does not panic")?)
    })?;
    set("ip_local_port_range", "32768 60999")?;
    scene.expect_empty(&format!("/{target}"), CONNECTIONS);
    Ok(())
}

fn download(scene: &Scene<'_>, length: u64) -> Result<()> {
    let mut client = scene.connect()?;
    let target = format!("download/{length}");
    client.send(scene.request("GET", &target, "").as_bytes())?;
    let (status, body) = client.answer_with_body(LONG)?;
    let mut expected = blake3::Hasher::new();
    let mut pattern = application::download(length);
    while let Some(block) = pattern.next() {
        expected.update(block);
    }
    ensure!(
        status == 200 && blake3::hash(&body) == expected.finalize(),
        "{status} with another body of {} bytes",
        body.len()
    );
    Ok(())
}

fn both_ways(scene: &Scene<'_>) -> Result<()> {
    thread::scope(|scope| {
        let down = scope.spawn(|| download(scene, BOTH_WAYS));
        let mut client = scene.connect()?;
        let up = upload(scene, &mut client, "up", BOTH_WAYS, Framing::Chunks(CHUNK));
        up.and(down.join().expect("it does not panic"))
    })
}
