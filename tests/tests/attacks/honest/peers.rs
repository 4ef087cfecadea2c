//! Those whose TCP is made by hand, to do what kernels do only sometimes.

use std::time::Duration;

use anyhow::{Result, ensure};
use token_agent_tests::raw::{
    End, Peer,
    flags::{ACK, CWR, ECE, FIN, PSH, SYN},
};

use super::{Honest, SOON, Scene, statuses};

/// A VLAN tag that only gives a priority.
const PRIORITY_TAG: (u16, u16) = (0x8100, 0xa000);

pub(super) const ALL: &[Honest] = &[
    Honest {
        id: "E07",
        what: "three segments of which the first is lost, sent again as one",
        run: |scene| {
            let (mut peer, bytes) = long_head(scene)?;
            peer.data(500, &bytes[500..1_000]).send()?;
            peer.data(1_000, &bytes[1_000..]).send()?;
            peer.pause(Duration::from_millis(50))?;
            finish(&mut peer, &bytes)
        },
    },
    Honest {
        id: "E07b",
        what: "three segments of which no acknowledgment arrives, sent again as one",
        run: |scene| {
            let (mut peer, bytes) = long_head(scene)?;
            peer.data(0, &bytes[..500]).send()?;
            peer.data(500, &bytes[500..1_000]).send()?;
            peer.data(0, &bytes).send()?;
            finish(&mut peer, &bytes)
        },
    },
    Honest {
        id: "E07c",
        what: "a segment that was too long for some link, sent again in pieces, the last one first",
        run: |scene| {
            let (mut peer, bytes) = long_head(scene)?;
            for start in [1_200, 800, 400, 0] {
                let end = bytes.len().min(start + 400);
                let place = i32::try_from(start)?;
                peer.data(place, &bytes[start..end]).send()?;
            }
            finish(&mut peer, &bytes)
        },
    },
    Honest {
        id: "E07d",
        what: "a request sent again though it was acknowledged, with the next one",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.connect()?;
            let first = scene.request("GET", "e07d", "");
            peer.deliver(first.as_bytes(), 1_460, SOON)?;
            statuses(&mut peer, 1)?;
            peer.data(0, first.repeat(2).as_bytes()).send()?;
            statuses(&mut peer, 2)
        },
    },
    Honest {
        id: "E17",
        what: "timestamps, SACK, a window scale of 14, AccECN, and options no one knows",
        run: |scene| {
            let mut peer = scene.peer()?;
            let mut options = Peer::usual_options();
            if let Some(scale) = options.last_mut() {
                *scale = 14;
            }
            options.extend([28, 4, 0, 30, 254, 4, 0xf9, 0x89]);
            peer.syn()
                .and(ECE | CWR)
                .reserved(1)
                .tcp_options(&options)
                .send()?;
            ensure!(peer.is_offered()?, "no answer to the SYN");
            peer.use_timestamps();
            peer.ack().reserved(1).send()?;
            let request = scene.request("GET", "e17", "");
            let (begin, end) = request.as_bytes().split_at(40);
            peer.data(0, begin).reserved(1).and(CWR).send()?;
            peer.data(40, end)
                .tcp_options(&[254, 4, 0xf9, 0x89])
                .send()?;
            finish(&mut peer, request.as_bytes())
        },
    },
    Honest {
        id: "E20",
        what: "a RST after the answer, and a new connection from the same port",
        run: |scene| {
            let mut peer = scene.peer()?;
            let first = ask(scene, &mut peer, "")?;
            let end = peer_end(&mut peer)?;
            peer.rst(end).send()?;
            peer.restart(70_000);
            let then = ask(scene, &mut peer, "")?;
            Ok([first, then].concat())
        },
    },
    Honest {
        id: "E20b",
        what: "both sides close at the same time, and a new connection from the same port",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.connect()?;
            let request = scene.request("GET", "e20b", "Connection: close\r\n");
            peer.be_silent();
            peer.data(0, request.as_bytes()).send()?;
            peer.wait(SOON, |peer| peer.end().is_some())?;
            let first = statuses(&mut peer, 1)?;
            // It does not know yet that the server has closed.
            let end = peer_end(&mut peer)?;
            peer.fin(end).acknowledging(-1).send()?;
            peer.pause(Duration::from_millis(20))?;
            peer.segment(ACK, end + 1, b"").send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.restart(70_000);
            let then = ask(scene, &mut peer, "")?;
            Ok([first, then].concat())
        },
    },
    Honest {
        id: "E21",
        what: "the server closes, and a new connection from the same port while it still remembers",
        run: |scene| {
            let mut peer = scene.peer()?;
            let first = ask(scene, &mut peer, "Connection: close\r\n")?;
            peer.wait(SOON, |peer| peer.end() == Some(End::Closed))?;
            let end = peer_end(&mut peer)?;
            peer.fin(end).send()?;
            peer.pause(Duration::from_millis(50))?;
            peer.restart(70_000);
            let then = ask(scene, &mut peer, "")?;
            Ok([first, then].concat())
        },
    },
    Honest {
        id: "E23",
        what: "a SYN sent twice, and an acknowledgment of the SYN-ACK that is lost",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.syn().send()?;
            peer.syn().send()?;
            // The server sends its SYN-ACK again after a second.
            peer.wait(SOON, |peer| peer.offers().len() >= 3)?;
            peer.ack().send()?;
            let request = scene.request("GET", "e23", "");
            finish(&mut peer, request.as_bytes())
        },
    },
    Honest {
        id: "E23b",
        what: "the acknowledgment of the SYN-ACK comes after the data",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.syn().send()?;
            ensure!(peer.is_offered()?, "no answer to the SYN");
            let request = scene.request("GET", "e23", "");
            peer.data(0, request.as_bytes()).send()?;
            peer.segment(ACK, 0, b"").send()?;
            finish(&mut peer, request.as_bytes())
        },
    },
    Honest {
        id: "E26",
        what: "a VLAN tag that only gives a priority",
        run: |scene| {
            let (protocol, content) = PRIORITY_TAG;
            let mut peer = scene.peer()?;
            peer.syn().tag(protocol, content).send()?;
            ensure!(peer.is_offered()?, "no answer to the SYN");
            peer.ack().tag(protocol, content).send()?;
            let request = scene.request("GET", "e26", "");
            peer.data(0, request.as_bytes())
                .tag(protocol, content)
                .send()?;
            statuses(&mut peer, 1)
        },
    },
    Honest {
        id: "E35",
        what: "the token cut in two at each of its bytes, one connection after the other",
        run: |scene| {
            let mut all = Vec::new();
            let request = scene.request("GET", "e35", "");
            let start = request.find("tka_").unwrap_or_default();
            for cut in start..=start + scene.ground.good.len() {
                let mut peer = scene.peer()?;
                peer.connect()?;
                let (begin, end) = request.as_bytes().split_at(cut);
                peer.data(0, begin).send()?;
                peer.data(i32::try_from(cut)?, end).send()?;
                all.extend(finish(&mut peer, request.as_bytes())?);
            }
            Ok(all)
        },
    },
    Honest {
        id: "E48",
        what: "a request and a FIN in one segment",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.connect()?;
            let request = scene.request("GET", "e48", "");
            peer.data(0, request.as_bytes()).and(FIN).send()?;
            statuses(&mut peer, 1)
        },
    },
    Honest {
        id: "blind-handshake",
        what: "someone guesses at the connection while it begins, and the server answers him",
        run: |scene| {
            let mut peer = scene.peer()?;
            peer.data(0, b"GET / HTTP/1.1\r\n")
                .acknowledging(77)
                .send()?;
            peer.syn().send()?;
            ensure!(peer.is_offered()?, "no answer to the SYN");
            for guess in [1, 1_000, -1_000, 1 << 20, i32::MAX] {
                // To a wrong acknowledgment the server sends a RST, which is not for this one.
                peer.ack().acknowledging(guess).send()?;
                peer.data(guess, b"GET / HTTP/1.1\r\n").send()?;
                peer.rst(guess).send()?;
            }
            peer.forget_reset()?;
            peer.ack().send()?;
            let request = scene.request("GET", "blind", "");
            finish(&mut peer, request.as_bytes())
        },
    },
    Honest {
        id: "blind-connection",
        what: "someone guesses at the connection while it stands",
        run: |scene| {
            let mut peer = scene.peer()?;
            let first = ask(scene, &mut peer, "")?;
            let end = peer_end(&mut peer)?;
            let head = scene.request("GET", "blind", "");
            let (begin, rest) = head.as_bytes().split_at(50);
            peer.deliver(begin, 1_460, SOON)?;
            for guess in [1_000_000, -1_000_000, 1 << 29, i32::MIN, i32::MAX - 100_000] {
                let place = end.wrapping_add(guess);
                peer.segment(SYN, place, b"").send()?;
                peer.rst(place).send()?;
                peer.data(place, b"GET / HTTP/1.1\r\n").send()?;
                peer.fin(place).send()?;
                peer.data(end, b"GET / HTTP/1.1\r\n")
                    .acknowledging(guess)
                    .send()?;
            }
            peer.deliver(rest, 1_460, SOON)?;
            let then = statuses(&mut peer, 2)?;
            Ok([first, then].concat())
        },
    },
    Honest {
        id: "probe",
        what: "probes of a quiet connection, empty and with a byte that was sent already",
        run: |scene| {
            let mut peer = scene.peer()?;
            let first = ask(scene, &mut peer, "")?;
            let end = peer_end(&mut peer)?;
            for _ in 0..3 {
                peer.segment(ACK, end - 1, b"").send()?;
                peer.segment(ACK, end - 1, b"\n").send()?;
                peer.segment(ACK | PSH, end - 1, b"\0").send()?;
                peer.pause(Duration::from_millis(20))?;
            }
            let request = scene.request("GET", "probe", "");
            peer.deliver(request.as_bytes(), 1_460, SOON)?;
            let then = statuses(&mut peer, 2)?;
            Ok([first, then].concat())
        },
    },
];

/// A connection, and a request of 1,500 bytes for it.
fn long_head(scene: &Scene<'_>) -> Result<(Peer, Vec<u8>)> {
    let mut peer = scene.peer()?;
    peer.connect()?;
    let request = scene.request("GET", "e07", "");
    let filler = format!("X: {}\r\n", "p".repeat(1_400 - request.len() - 5));
    Ok((peer, scene.request("GET", "e07", &filler).into_bytes()))
}

/// Sends again what is not acknowledged; gives the answer.
fn finish(peer: &mut Peer, bytes: &[u8]) -> Result<Vec<u16>> {
    peer.deliver(bytes, 1_460, SOON)?;
    statuses(peer, 1)
}

/// Connects and sends a request; gives the answer.
fn ask(scene: &Scene<'_>, peer: &mut Peer, more: &str) -> Result<Vec<u16>> {
    peer.connect()?;
    finish(peer, scene.request("GET", "asked", more).as_bytes())
}

/// The place behind all that the server acknowledged.
fn peer_end(peer: &mut Peer) -> Result<i32> {
    Ok(peer.acked()?.cast_signed())
}
