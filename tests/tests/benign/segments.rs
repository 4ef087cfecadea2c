//! Segments of all lengths: as many as the shortest of them make, and as long as kernels make them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    client::Client,
    host::{Namespace, run},
};

use crate::{
    place::{APPLICATION, Case, LONG, Scene, Way},
    uploads::{Framing, upload},
};

/// The longest segments of a connection, options included.
const LONGEST: [u32; 6] = [88, 216, 536, 1_220, 1_460, 8_960];
/// How long the heads are.
const HEAD: usize = 32 << 10;
/// How much is uploaded in the shortest segments.
const SHORTEST: u64 = 300_000;

/// A head with the credential behind everything else.
pub(crate) fn long_head(target: &str, token: &str) -> String {
    let mut head = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n");
    // Of a server's default limits: at most a hundred fields, none above 8 KiB.
    for at in 0.. {
        if head.len() + token.len() > HEAD - 1_100 {
            break;
        }
        let _ = write!(
            head,
            "X-Field-{at}: {}\r\n",
            format!("{at}").repeat(950 / (1 + at / 10))
        );
    }
    let _ = write!(head, "Authorization: Bearer {token}\r\n\r\n");
    head
}

pub(crate) const CASES: &[Case] = &[
    ("segments of all lengths", all_lengths),
    ("segments of all lengths without offloads", without_offloads),
    ("jumbo frames", jumbo),
];

fn all_lengths(scene: &Scene<'_>) -> Result<()> {
    // A kernel that waits long for its turn sends again what has arrived; and of what frames a body that is cut this
    // short, more is on its way than is kept.
    scene.tolerate("unrepeatable");
    LONGEST
        .map(Some)
        .into_iter()
        .chain([None])
        .try_for_each(|longest| {
            cut_at(scene, longest).with_context(|| format!("at most {longest:?} bytes"))
        })
}

fn cut_at(scene: &Scene<'_>, longest: Option<u32>) -> Result<()> {
    let mut client = match longest {
        Some(longest) => {
            Client::connect_cutting(scene.layout.client, scene.at(APPLICATION), longest)?
        }
        None => scene.connect()?,
    };
    let rough = longest.unwrap_or(9_000);
    let length = SHORTEST * u64::from(rough / 88);
    // A chunk in some segments, and none in most.
    let chunk = 16 * rough as usize;
    for framing in [Framing::Length, Framing::Chunks(chunk)] {
        upload(scene, &mut client, "cut", length, framing)?;
        for _ in 0..4 {
            for token in scene.long.iter().chain([&scene.good]) {
                client.send(long_head("head", token).as_bytes())?;
                ensure!(client.answer(LONG)? == 200);
                scene.expect_empty("/head", 1);
            }
        }
    }
    Ok(())
}

/// Every segment in a packet of its own.
fn without_offloads(scene: &Scene<'_>) -> Result<()> {
    let set = |most| link(scene, scene.layout.client, &["gso_max_segs", most]);
    set("1")?;
    all_lengths(scene)?;
    set("65535")
}

/// Packets of 9,000 bytes, where there is a cable for them.
fn jumbo(scene: &Scene<'_>) -> Result<()> {
    let set = |length| {
        [scene.layout.client, scene.layout.server]
            .into_iter()
            .try_for_each(|host| link(scene, host, &["mtu", length]))
    };
    match scene.layout.way {
        Way::Lo | Way::LoXdp | Way::Service => Ok(()),
        Way::Tc | Way::Xdp => {
            set("9000")?;
            [Some(8_960), None]
                .into_iter()
                .try_for_each(|longest| cut_at(scene, longest))?;
            set("1500")
        }
    }
}

fn link(scene: &Scene<'_>, host: &Namespace, what: &[&str]) -> Result<()> {
    let mut ip = host.command("ip");
    run(ip.args(["link", "set", scene.layout.cable()]).args(what)).map(drop)
}
