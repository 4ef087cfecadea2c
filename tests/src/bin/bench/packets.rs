//! Packets by themselves: nanoseconds each, by the kernel's own timing, and how much the
//! verifier had to look at.

use std::{net::IpAddr, thread};

use anyhow::Result;
use token_agent::datapath::{Denials, Program};
use token_agent_common::verdict::{Audience, TokenState};
use token_agent_tests::{
    frame::{ACK, Frame},
    guard::{Guard, entry},
};

use crate::request::{bare, get};

/// Runs that the kernel averages over.
const REPEAT: u32 = 200_000;

/// Averages of which the median is told.
const ROUNDS: usize = 9;

const SERVICE: &str = r#"
[[service]]
name = "orders"
listen = ["10.0.0.5:8080"]
"#;

pub(crate) fn measure_all() -> Result<()> {
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
        "nanoseconds a packet: BPF_PROG_TEST_RUN, repeat {REPEAT}, median (minimum) of {ROUNDS}\n\
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
            let (median, least) = measure(&mut guard, program, &frame, passes)?;
            row += &format!("{:>16}", format!("{median} ({least})"));
        }
        println!("{row}");
    }
    let answer = answer(&mut guard, &request("good"))?;
    let (median, least) = measure(&mut guard, Program::Witness, &answer, true)?;
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
    /// Where the sequence number is: behind the headers of Ethernet and IPv4, and the ports.
    const SEQUENCE: usize = 14 + 20 + 4;
    let opened = guard.open(&request.build())?;
    let (passed, _) = guard.go_on(Program::Tc, &opened)?;
    anyhow::ensure!(passed, "the request is denied");
    let sequence = u32::from_be_bytes(opened[SEQUENCE..][..4].try_into()?);
    let answer = Frame {
        client: request.server,
        server: request.client,
        client_port: request.server_port,
        server_port: request.client_port,
        sequence: request.acknowledgment,
        acknowledgment: sequence.wrapping_add(u32::try_from(request.payload.len())?),
        payload: b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n".to_vec(),
        ..request.clone()
    };
    Ok(answer.build())
}

fn measure(
    guard: &mut Guard,
    program: Program,
    frame: &[u8],
    passes: bool,
) -> Result<(u128, u128)> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let ran = guard.kernel.rehearse(program, frame, REPEAT)?;
        anyhow::ensure!(ran.passed == passes, "the wrong verdict was measured");
        rounds.push(ran.duration.as_nanos());
    }
    rounds.sort_unstable();
    Ok((rounds[ROUNDS / 2], rounds[0]))
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
