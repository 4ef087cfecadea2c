//! Packets by themselves: nanoseconds each, by the kernel's own timing, and how much the
//! verifier had to look at.

use std::{net::IpAddr, thread};

use anyhow::{Context as _, Result};
use token_agent::datapath::{Denials, Program};
use token_agent_common::verdict::{Audience, TokenState};
use token_agent_tests::{
    frame::{ACK, Frame},
    guard::{Guard, entry},
};

use crate::request::{bare, get};

/// Requests of a connection that is measured while it goes on.
const REQUESTS: usize = 301;

const SERVICE: &str = r#"
[[service]]
name = "orders"
listen = ["10.0.0.5:8080"]
"#;

/// Judges every packet `runs` times in each of some rounds.
pub(crate) fn measure_all(runs: u32, rounds: u32) -> Result<()> {
    let repeat = Repeat { runs, rounds };
    let mut guard = Guard::load(SERVICE)?;
    let token = |name: &str| format!("tka_{name:x<44}");
    let long = token(&"j".repeat(1020));
    guard.allow(&token("good"))?;
    guard.put(&long, entry(TokenState::Revoked, Audience::EVERY))?;
    guard.put(
        &token("revoked"),
        entry(TokenState::Revoked, Audience::EVERY),
    )?;
    if let Some(denials) = guard.kernel.denials() {
        read_along(denials);
    }

    let server: IpAddr = "10.0.0.5".parse()?;
    let request = |name| Frame::new(server, 8080, get(&token(name)));
    let frames = [
        (
            "unguarded port",
            Frame::new(server, 9090, get(&token("good"))),
            true,
        ),
        (
            "pure ACK",
            Frame {
                flags: ACK,
                ..Frame::new(server, 8080, "")
            },
            true,
        ),
        ("denied: revoked", request("revoked"), false),
        (
            "denied: bare",
            Frame::new(server, 8080, bare(&token("unknown"))),
            false,
        ),
        (
            "denied: long token",
            Frame::new(server, 8080, bare(&long)),
            false,
        ),
        ("denied: unknown", request("unknown"), false),
    ];
    println!(
        "nanoseconds a packet: BPF_PROG_TEST_RUN, repeat {runs}, median (minimum) of {rounds}\n\
         request: GET of {} bytes with a token of {} bytes; long: one of {}\n",
        get(&token("good")).len(),
        token("good").len(),
        long.len(),
    );
    println!("{:<20}{:>16}{:>16}", "", "TC", "XDP");
    for (what, frame, passes) in frames {
        let mut row = format!("{what:<20}");
        for program in [Program::Tc, Program::Xdp] {
            // What passes moves its connection on, and is another packet the next time. So requests are
            // measured that are denied, and change nothing.
            let frame = guard.open(&frame.build())?;
            let (median, least) = measure(&mut guard, program, &frame, passes, repeat)?;
            row += &format!("{:>16}", format!("{median} ({least})"));
        }
        println!("{row}");
    }
    let (guarded, witnessed) = go_on(&mut guard, request("good"))?;
    for (what, (median, least)) in [
        ("allowed, once each", guarded),
        ("witness, once each", witnessed),
    ] {
        println!("{what:<20}{:>16}", format!("{median} ({least})"));
    }
    let answer = answer(&mut guard, &request("good"))?;
    let (median, least) = measure(&mut guard, Program::Witness, &answer, true, repeat)?;
    println!(
        "{:<20}{:>16}",
        "witness: answer",
        format!("{median} ({least})")
    );
    println!(
        "{:<20}{:>16}",
        "one BLAKE3 block",
        format!("{} (userspace)", blake3_block())
    );
    println!("\ninstructions the verifier looked at (limit 1,000,000):");
    for program in [Program::Tc, Program::Xdp, Program::Witness] {
        println!(
            "{program:?}: {}",
            guard.kernel.verified_instructions(program)?
        );
    }
    Ok(())
}

/// What the server answers to a request that has passed.
fn answer(guard: &mut Guard, request: &Frame) -> Result<Vec<u8>> {
    let request = begin(guard, request.clone())?;
    let (passed, _) = guard.go_on(Program::Tc, &request.build())?;
    anyhow::ensure!(passed, "the request is denied");
    Ok(answer_to(&request)?.build())
}

/// A request on a connection that is open, with its numbers.
fn begin(guard: &mut Guard, request: Frame) -> Result<Frame> {
    /// Where the sequence number is: behind the headers of Ethernet and IPv4, and the ports.
    const SEQUENCE: usize = 14 + 20 + 4;
    let opened = guard.open(&request.build())?;
    let [sequence, acknowledgment] = [0, 4].map(|at| opened[SEQUENCE + at..].first_chunk());
    Ok(Frame {
        sequence: u32::from_be_bytes(*sequence.context("a sequence number")?),
        acknowledgment: u32::from_be_bytes(*acknowledgment.context("an acknowledgment")?),
        ..request
    })
}

fn answer_to(request: &Frame) -> Result<Frame> {
    Ok(Frame {
        client: request.server,
        server: request.client,
        client_port: request.server_port,
        server_port: request.client_port,
        sequence: request.acknowledgment,
        acknowledgment: end(request)?,
        payload: b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n".to_vec(),
        ..request.clone()
    })
}

/// The sequence number behind a packet.
fn end(packet: &Frame) -> Result<u32> {
    Ok(packet
        .sequence
        .wrapping_add(u32::try_from(packet.payload.len())?))
}

/// What the guard takes for requests of a connection, one after the other, and the witness for the answers to them.
fn go_on(guard: &mut Guard, request: Frame) -> Result<((u128, u128), (u128, u128))> {
    let mut request = begin(guard, request)?;
    let (mut guarded, mut witnessed) = (Vec::new(), Vec::new());
    for _ in 0..REQUESTS {
        let answer = answer_to(&request)?;
        for (program, packet, times) in [
            (Program::Tc, &request, &mut guarded),
            (Program::Witness, &answer, &mut witnessed),
        ] {
            let ran = guard.kernel.rehearse(program, &packet.build(), 1)?;
            anyhow::ensure!(ran.passed, "the wrong verdict was measured");
            times.push(ran.duration.as_nanos());
        }
        request.sequence = end(&request)?;
        request.acknowledgment = end(&answer)?;
    }
    Ok((summary(guarded), summary(witnessed)))
}

/// How often a packet is judged: so many runs, which the kernel averages over, in so many rounds.
#[derive(Clone, Copy)]
struct Repeat {
    runs: u32,
    rounds: u32,
}

fn measure(
    guard: &mut Guard,
    program: Program,
    frame: &[u8],
    passes: bool,
    repeat: Repeat,
) -> Result<(u128, u128)> {
    let mut rounds = Vec::new();
    for _ in 0..repeat.rounds {
        let ran = guard.kernel.rehearse(program, frame, repeat.runs)?;
        anyhow::ensure!(ran.passed == passes, "the wrong verdict was measured");
        rounds.push(ran.duration.as_nanos());
    }
    Ok(summary(rounds))
}

/// The median and the least.
fn summary(mut times: Vec<u128>) -> (u128, u128) {
    times.sort_unstable();
    (times[times.len() / 2], times[0])
}

/// Empties the ring buffer, as the agent does.
fn read_along(mut denials: Denials) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            while denials
                .drain(|denial| {
                    std::hint::black_box(denial);
                })
                .await
                .is_ok()
            {}
        });
    });
}

/// The same work outside the kernel, to know the machine by.
fn blake3_block() -> u128 {
    let runs = 2_000_000;
    let started = std::time::Instant::now();
    for i in 0..runs {
        let input = std::hint::black_box([i as u8; 48]);
        std::hint::black_box(blake3::keyed_hash(&[7; 32], &input));
    }
    started.elapsed().as_nanos() / runs
}
