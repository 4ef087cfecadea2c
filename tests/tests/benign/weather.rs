//! Lines that lose, double and reorder segments, before the guard and behind it.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    host::{Namespace, join, run},
    line::{Line, Weather},
};

use crate::{
    place::{self, Case, LONG, Layout, Scene, Way},
    segments::long_head,
    uploads::{Framing, upload},
};

const BAD: Weather = Weather {
    lost: 200,
    doubled: 100,
    overtaken: 500,
    delay: Duration::ZERO,
};

/// How much is uploaded at once, on how many connections.
const UPLOAD: u64 = 8 << 20;
const UPLOADS: usize = 4;
/// The same in chunks, of which a lost segment costs more.
const CHUNKED: u64 = 1 << 20;
/// How many requests there are on each of so many connections.
const REQUESTS: usize = 50;
const CONNECTIONS: usize = 20;
/// How many long heads there are on each of them.
const HEADS: usize = 2;

const CASES: &[Case] = &[
    ("uploads of known length over a bad line", |scene| {
        uploads(scene, UPLOAD, Framing::Length)
    }),
    ("uploads in chunks over a bad line", |scene| {
        uploads(scene, CHUNKED, Framing::Chunks(16 << 10))
    }),
    ("small requests over a bad line", |scene| {
        let request = scene.request("GET", "small", "");
        requests(scene, "/small", &request, REQUESTS)
    }),
    ("heads of 32 KiB over a bad line", |scene| {
        let request = long_head("long", &scene.long[1]);
        requests(scene, "/long", &request, HEADS)
    }),
];

/// Does something on several connections at once.
fn several(count: usize, what: &(dyn Fn() -> Result<()> + Sync)) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(what)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

fn uploads(scene: &Scene<'_>, length: u64, framing: Framing) -> Result<()> {
    several(UPLOADS, &|| {
        let mut client = scene.connect()?;
        upload(scene, &mut client, "upload", length, framing)?;
        upload(scene, &mut client, "upload", 1_000, framing)
    })
}

fn requests(scene: &Scene<'_>, target: &str, request: &str, count: usize) -> Result<()> {
    several(CONNECTIONS, &|| {
        let mut client = scene.connect()?;
        for at in 0..count {
            client.send(request.as_bytes())?;
            let status = client
                .answer(LONG)
                .with_context(|| format!("answer {at}"))?;
            ensure!(status == 200, "answer {at}: {status}");
        }
        Ok(())
    })?;
    scene.expect_empty(target, CONNECTIONS * count);
    Ok(())
}

/// Plays the cases through a host in the middle, with the line on one side of it bad.
fn through(
    way: Way,
    before: Option<Weather>,
    behind: Option<Weather>,
    cases: &[Case],
) -> Result<()> {
    let (client, middle, server) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
    let mut lines = Vec::new();
    let mut lay = |ends, weather| -> Result<()> {
        match weather {
            Some(weather) => lines.push(Line::join(ends, weather, 1)?),
            None => join(ends)?,
        }
        Ok(())
    };
    lay(
        [
            (&client, "eth0", &["10.77.0.1/24"]),
            (&middle, "eth0", &["10.77.0.2/24"]),
        ],
        before,
    )?;
    lay(
        [
            (&middle, "eth1", &["10.79.0.1/24"]),
            (&server, "eth0", &["10.79.0.2/24"]),
        ],
        behind,
    )?;
    let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
    run(middle.command("sh").args(["-c", forward]))?;
    for (host, over) in [(&client, "10.77.0.2"), (&server, "10.79.0.1")] {
        let mut ip = host.command("ip");
        run(ip.args(["route", "add", "default", "via", over]))?;
    }
    let (interface, hook) = match way {
        Way::Xdp => ("\"eth0\"", "xdp"),
        Way::Service => ("{ name = \"eth1\", facing = \"service\" }", "tc"),
        Way::Lo | Way::LoXdp | Way::Tc => ("\"eth0\"", "tc"),
    };
    place::play(
        &Layout {
            way,
            client: &client,
            guarded: &middle,
            server: &server,
            address: "10.79.0.2",
            interface,
            hook,
            // What decides and comes before what it follows waits until it is sent again; what comes late,
            // when the server has closed its side or the connection is over, is not needed.
            tolerated: &["out_of_order", "bad_packet", "no_flow"],
        },
        cases,
    )?;
    ensure!(
        lines.iter().all(|line| line.lost() > 100),
        "the lines were good: {lines:?}"
    );
    Ok(())
}

#[test]
fn bad_before_tc() -> Result<()> {
    through(Way::Tc, Some(BAD), None, CASES)
}

#[test]
fn bad_before_xdp() -> Result<()> {
    through(Way::Xdp, Some(BAD), None, CASES)
}

#[test]
fn bad_behind_tc() -> Result<()> {
    through(Way::Tc, None, Some(BAD), CASES)
}

#[test]
fn bad_behind_xdp() -> Result<()> {
    through(Way::Xdp, None, Some(BAD), CASES)
}

#[test]
fn bad_on_both_sides_of_what_faces_the_service() -> Result<()> {
    through(Way::Service, Some(BAD), Some(BAD), CASES)
}
