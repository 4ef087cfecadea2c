//! Clients that take their time, and kernels that ask whether the other end is still there.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::client::Client;

use crate::{
    application::Digest,
    place::{Case, LONG, Scene},
};

/// Longer than it takes a kernel that asks every second to give up; see [`Client::probe`].
const IDLE: Duration = Duration::from_millis(4_500);

fn answered(client: &mut Client) -> Result<()> {
    let status = client.answer(LONG)?;
    ensure!(status == 200, "{status}");
    Ok(())
}

fn post(scene: &Scene<'_>, target: &str, body: &str) -> String {
    scene.expect(&format!("/{target}"), Digest::of(body.as_bytes()));
    let length = format!("Content-Length: {}\r\n", body.len());
    scene.request("POST", target, &length) + body
}

pub(crate) const CASES: &[Case] = &[
    ("every byte in a segment of its own", single_bytes),
    ("probes whether the server is there", probes),
];

fn single_bytes(scene: &Scene<'_>) -> Result<()> {
    let mut client = scene.connect()?;
    for round in 0..20 {
        let chunked = scene.request("POST", "bytes", "Transfer-Encoding: chunked\r\n");
        let chunks = "5;a=b\r\nhello\r\n00b\r\n in chunks.\r\n0\r\nX-Trailer: y\r\n\r\n";
        scene.expect("/bytes", Digest::of(b"hello in chunks."));
        for request in [post(scene, "bytes", "one by one"), chunked + chunks] {
            for byte in request.bytes() {
                client.send(&[byte])?;
                // Else the kernel would take several at once.
                if round < 2 {
                    thread::sleep(Duration::from_micros(200));
                }
            }
            answered(&mut client)?;
        }
    }
    Ok(())
}

/// Where a client pauses, and its kernel asks meanwhile.
type Pause = (&'static str, fn(&Scene<'_>, &mut Client) -> Result<()>);

const PAUSES: [Pause; 5] = [
    ("before anything was sent", |scene, client| {
        thread::sleep(IDLE);
        client.send(post(scene, "paused", "late").as_bytes())
    }),
    ("in a head", |scene, client| {
        let request = post(scene, "paused", "in a head");
        let (begin, end) = request.split_at(60);
        client.send(begin.as_bytes())?;
        thread::sleep(IDLE);
        client.send(end.as_bytes())
    }),
    ("in a body", |scene, client| {
        let request = post(scene, "paused", "in a body");
        let (begin, end) = request.split_at(request.len() - 4);
        client.send(begin.as_bytes())?;
        thread::sleep(IDLE);
        client.send(end.as_bytes())
    }),
    ("in the line of a chunk", |scene, client| {
        scene.expect("/paused", Digest::of(b"in the line of a chunk"));
        let request = scene.request("POST", "paused", "Transfer-Encoding: chunked\r\n");
        client.send((request + "1").as_bytes())?;
        thread::sleep(IDLE);
        client.send(b"6\r\nin the line of a chunk\r\n0\r\n")?;
        thread::sleep(IDLE);
        client.send(b"\r\n")
    }),
    ("between two requests", |scene, client| {
        client.send(post(scene, "paused", "first").as_bytes())?;
        answered(client)?;
        thread::sleep(IDLE);
        client.send(post(scene, "paused", "second").as_bytes())
    }),
];

fn probes(scene: &Scene<'_>) -> Result<()> {
    thread::scope(|scope| {
        let pauses: Vec<_> = PAUSES
            .iter()
            .map(|(what, pause)| {
                let run = move || {
                    let mut client = scene.connect()?;
                    client.probe()?;
                    pause(scene, &mut client)?;
                    answered(&mut client)
                };
                (what, scope.spawn(run))
            })
            .collect();
        for (what, pause) in pauses {
            let paused = pause.join().expect("it does not panic");
            paused.with_context(|| format!("paused {what}"))?;
        }
        Ok(())
    })
}
