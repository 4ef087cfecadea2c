//! What the kernel remembers of connections, and for how long, on both programs.

use std::{thread, time::Duration};

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};
use token_agent::datapath::{Datapath, Program, ServiceNumber};
use token_agent_common::{abi::Mode, reason::Reason};
use token_agent_tests::{
    frame::{DATA, FIN, Frame, RST, URG},
    guard::Guard,
    request::{bait, request},
    rows::PROGRAMS,
};

/// Connections with a body under way, of which the table holds a few.
struct Uploads {
    guard: Guard,
    program: Program,
}

impl Uploads {
    const HEAD: &str =
        "PUT / HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Length: 100\r\n\r\n";
    const BODY: u32 = 1_000 + Self::HEAD.len() as u32;
    const ROOM: u16 = 8;

    fn new(program: Program) -> Result<Self> {
        let mut guard = Guard::load(&format!(
            "max_flows = {}\n[[service]]\nname = \"web\"\nlisten = [\"*:8080\"]\n",
            Self::ROOM
        ))?;
        guard.allow("good")?;
        Ok(Self { guard, program })
    }

    fn send(&mut self, client_port: u16, flags: u8, sequence: u32, payload: &str) -> Result<bool> {
        let frame = Frame {
            client_port,
            flags,
            sequence,
            ..Frame::new("10.0.0.5".parse()?, 8080, payload)
        };
        let (passed, counted) = self.guard.go_on(self.program, &frame.build())?;
        if !passed {
            let (_, _, reason) = counted[0].0;
            assert!(
                matches!(
                    reason,
                    Reason::Undecided | Reason::Malformed | Reason::Unknown | Reason::BadPacket
                ),
                "{reason:?}"
            );
        }
        Ok(passed)
    }

    fn begin(&mut self, client_port: u16) -> Result<bool> {
        self.send(client_port, DATA, 1_000, Self::HEAD)
    }

    /// Fills the table and gives a port that found no room.
    fn fill(&mut self) -> Result<u16> {
        let mut ports = 1..=4 * Self::ROOM;
        for port in ports.by_ref() {
            if !self.begin(port)? {
                assert!(port > Self::ROOM / 2, "no room for {port}");
                return Ok(port);
            }
        }
        anyhow::bail!("there is room for {ports:?}")
    }
}

#[test]
fn a_full_table_denies_what_it_cannot_remember() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        assert!(uploads.send(1, DATA, Uploads::BODY, "of the body")?);
        let whole = Uploads::HEAD.replace("100", "0");
        assert!(
            uploads.send(refused, DATA, 1_000, &whole)?,
            "needs no memory"
        );
    }
    Ok(())
}

/// Numbers the bytes of a connection whose segments are dropped and sent again.
struct Client {
    uploads: Uploads,
    port: u16,
}

impl Client {
    fn new(program: Program) -> Result<Self> {
        Ok(Self {
            uploads: Uploads::new(program)?,
            port: 1,
        })
    }

    fn send(&mut self, sequence: usize, payload: &str) -> Result<bool> {
        self.uploads
            .send(self.port, DATA, 1_000 + u32::try_from(sequence)?, payload)
    }
}

/// A request that hides what follows it, where it is read as one.
fn hiding(token: &str) -> String {
    bait(token) + &request("GET", "denied", "bad", "")
}

#[test]
fn what_lies_behind_something_denied_waits_for_it() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client::new(program)?;
        let length = bait("good").len();
        let head = request(
            "POST",
            "up",
            "good",
            &format!("Content-Length: {length}\r\n"),
        );
        let hiding = hiding("good");
        // A head in two pieces, and behind it what would hide a request.
        assert!(!client.send(0, &head[..30])?);
        assert!(!client.send(30, &head[30..])?);
        assert!(!client.send(head.len(), &hiding)?);
        // Sent again in one piece, the head passes; the rest is then what it is.
        assert!(client.send(0, &head)?);
        assert!(!client.send(head.len(), &hiding)?);
        // The same for one that comes before the denied one was sent again.
        let behind = head.len() + hiding.len();
        assert!(!client.send(behind, &request("GET", "after", "good", ""))?);
        assert!(!client.send(head.len(), &hiding)?);
        assert!(client.send(head.len(), &bait("good"))?);
        assert!(client.send(head.len() + length, &request("GET", "next", "good", ""))?);
    }
    Ok(())
}

/// What an ordinary segment carries.
const SEGMENT: usize = 1_448;

#[test]
fn what_was_lost_once_is_sent_again() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client::new(program)?;
        let head = request("POST", "up", "good", "Content-Length: 2900\r\n");
        let whole = head + &"x".repeat(2_900);
        let [first, second] = [&whole[..SEGMENT], &whole[SEGMENT..2 * SEGMENT]];
        // The first was lost, and comes again behind the second.
        assert!(!client.send(SEGMENT, second)?);
        assert!(client.send(0, first)?);
        assert!(client.send(SEGMENT, second)?);
        assert!(client.send(2 * SEGMENT, &whole[2 * SEGMENT..])?);
        assert!(client.send(whole.len(), &request("GET", "next", "good", ""))?);
    }
    Ok(())
}

#[test]
fn a_part_sent_again_is_no_head() -> Result<()> {
    for program in PROGRAMS {
        let tail = format!("{:x<SEGMENT$}", bait("good"));
        let upload = request("POST", "up", "good", "Content-Length: 2000\r\n");
        for whole in [
            upload + &"x".repeat(2_000 - SEGMENT) + &tail,
            request(
                "GET",
                "long",
                "good",
                &format!("Cookie: {}\r\n", "c".repeat(2_000)),
            ),
        ] {
            let mut client = Client::new(program)?;
            assert!(client.send(0, &whole)?);
            // What TCP sends again if the acknowledgement was lost (RFC 8985, section 7).
            let last = whole.len() - SEGMENT;
            client.send(last, &whole[last..])?;
            let next = request("GET", "next", "good", "");
            assert!(client.send(whole.len(), &next)?);
            assert!(!client.send(
                whole.len() + next.len(),
                &request("GET", "denied", "bad", "")
            )?);
        }
    }
    Ok(())
}

#[test]
fn a_probe_of_one_byte_stops_nothing() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client::new(program)?;
        let next = request("GET", "next", "good", "");
        assert!(client.send(0, &next)?);
        assert!(!client.send(next.len() - 1, "\0")?);
        assert!(client.send(next.len(), &next)?);
        // What may be the start of a request is waited for.
        assert!(!client.send(2 * next.len(), "P")?);
        assert!(!client.send(2 * next.len() + 1, &hiding("good"))?);
    }
    Ok(())
}

#[test]
fn nothing_is_judged_behind_urgent_data() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let length = bait("good").len();
        let head = request(
            "POST",
            "up",
            "good",
            &format!("Content-Length: {length}\r\n"),
        );
        let behind = 1_000 + u32::try_from(head.len())?;
        assert!(!uploads.send(1, DATA | URG, 1_000, &head)?);
        assert!(!uploads.send(1, DATA, behind, &hiding("good"))?);
        assert!(uploads.send(1, DATA, 1_000, &head)?);
        assert!(!uploads.send(1, DATA, behind, &hiding("good"))?);
    }
    Ok(())
}

#[test]
fn a_body_under_way_is_not_forgotten_for_what_was_denied() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let head = request("POST", "up", "good", "Content-Length: 2000\r\n");
        let body = 1_000 + u32::try_from(head.len())?;
        // Denied in this order, the last one farther away than the body reaches.
        for at in [1_000, body, body + 5_000] {
            assert!(!uploads.send(1, DATA | URG, at, "x")?);
        }
        assert!(uploads.send(1, DATA, 1_000, &head)?);
        assert!(
            uploads.send(1, DATA, body, &hiding("good"))?,
            "it is the body"
        );
        let behind = body + 2_000;
        assert!(!uploads.send(1, DATA, behind, &request("GET", "denied", "bad", ""))?);
    }
    Ok(())
}

#[test]
fn what_was_lost_among_short_ones_holds_nobody_back() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client::new(program)?;
        let short = request("GET", "short", "good", "");
        let long = request(
            "GET",
            "long",
            "good",
            &format!("Cookie: {}\r\n", "c".repeat(800)),
        );
        let behind = short.len() + long.len();
        assert!(client.send(0, &short)?);
        // The long one was lost.
        assert!(client.send(behind, &short)?);
        assert!(client.send(short.len(), &long)?);
        assert!(client.send(behind + short.len(), &short)?);
    }
    Ok(())
}

#[test]
fn connections_that_have_ended_make_room_soon() -> Result<()> {
    let soon = Duration::from_secs(6 * 60);
    for program in PROGRAMS {
        for flags in [FIN, RST] {
            let mut uploads = Uploads::new(program)?;
            assert!(uploads.begin(1)?);
            // With a gap, or behind what was denied.
            assert!(uploads.send(1, DATA, Uploads::BODY + 50, &"x".repeat(50))?);
            let end = Uploads::BODY + 100;
            assert!(!uploads.send(1, DATA, end, &request("GET", "denied", "bad", ""))?);
            uploads.guard.flows.forget_idle(monotonic()? + soon)?;
            assert_eq!(used(&uploads.guard.kernel), 1);
            assert!(uploads.send(1, flags, end + 300, "")?);
            uploads.guard.flows.forget_idle(monotonic()?)?;
            assert_eq!(used(&uploads.guard.kernel), 1);
            uploads.guard.flows.forget_idle(monotonic()? + soon)?;
            assert_eq!(used(&uploads.guard.kernel), 0);
        }
    }
    Ok(())
}

#[test]
fn a_connection_that_ends_with_a_gap_is_remembered() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let part = |at: u32| (Uploads::BODY + at, "x".repeat(50));
        let [(start, first), (middle, second)] = [part(0), part(50)];
        assert!(uploads.begin(1)?);
        assert!(uploads.send(1, DATA | FIN, middle, &second)?);
        assert!(uploads.send(1, DATA, start, &first)?);
        assert!(uploads.send(1, DATA | FIN, middle, &second)?);
        // A reset ends it all the same.
        uploads.send(1, RST, Uploads::BODY + 100, "")?;
        uploads.guard.flows.forget_idle(Duration::ZERO)?;
        assert_eq!(used(&uploads.guard.kernel), 0);
    }
    Ok(())
}

#[test]
fn a_lost_connection_in_use_is_not_forgotten() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let service = ServiceNumber(1);
        uploads
            .guard
            .kernel
            .override_mode(service, Some((Mode::Monitor, u64::MAX)))?;
        assert!(uploads.send(1, DATA, 1_000, "half a he")?);
        let lost = monotonic()?;
        thread::sleep(Duration::from_secs(5));
        assert!(uploads.send(1, DATA, 1_009, "ad")?);
        uploads
            .guard
            .flows
            .forget_idle(lost + Duration::from_secs(3_603))?;
        uploads.guard.kernel.override_mode(service, None)?;
        assert!(!uploads.send(1, DATA, 1_011, &request("GET", "next", "good", ""))?);
    }
    Ok(())
}

#[test]
fn a_body_sent_again_with_its_head_is_no_longer() -> Result<()> {
    for program in PROGRAMS {
        let mut client = Client::new(program)?;
        let head = Uploads::HEAD.replace("100", "1000");
        let whole = head.clone() + &"x".repeat(1_000);
        let sent = [10, 100].map(|body| head.len() + body);
        assert!(client.send(0, &whole[..sent[0]])?);
        assert!(client.send(0, &whole[..sent[1]])?);
        assert!(client.send(sent[1], &whole[sent[1]..])?);
        assert!(!client.send(whole.len(), &request("GET", "denied", "bad", ""))?);
    }
    Ok(())
}

#[test]
fn only_a_reset_ends_a_connection_that_was_lost_or_held() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let service = ServiceNumber(1);
        let monitor = Some((Mode::Monitor, u64::MAX));
        uploads.guard.kernel.override_mode(service, monitor)?;
        assert!(uploads.send(1, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
        uploads.guard.kernel.override_mode(service, None)?;
        assert!(!uploads.send(2, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
        let whole = request("GET", "whole", "good", "");
        for (port, sequence) in [(1, 1_022), (2, 1_022)] {
            for (flags, passes) in [(FIN | DATA, false), (RST, true)] {
                assert!(uploads.send(port, flags, sequence, "")?);
                assert_eq!(
                    uploads.send(port, DATA, sequence, &whole)?,
                    passes,
                    "port {port}, flags {flags}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_connection_that_ends_makes_room() -> Result<()> {
    for program in PROGRAMS {
        for flags in [RST, FIN | DATA] {
            let mut uploads = Uploads::new(program)?;
            let refused = uploads.fill()?;
            // Not where the stream has come to: by no sender who knows it.
            assert!(uploads.send(1, flags, Uploads::BODY + 1, "")?);
            assert!(!uploads.begin(refused)?);
            assert!(uploads.send(1, flags, Uploads::BODY, "")?);
            assert!(uploads.begin(refused)?);
        }
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        assert!(uploads.send(2, FIN | DATA, Uploads::BODY, "the last of it")?);
        assert!(uploads.begin(refused)?);
    }
    Ok(())
}

#[test]
fn a_connection_that_was_lost_makes_room_too() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let monitor = Some((Mode::Monitor, u64::MAX));
        uploads
            .guard
            .kernel
            .override_mode(ServiceNumber(1), monitor)?;
        for (port, payload) in [(1, ""), (2, "more of it")] {
            assert!(uploads.send(port, DATA, 1_000, "GET / HTTP/1.1\r\nHost: ")?);
            uploads.guard.flows.forget_idle(Duration::ZERO)?;
            assert_eq!(used(&uploads.guard.kernel), 1);
            assert!(uploads.send(port, FIN | DATA, 1_022, payload)?);
            uploads.guard.flows.forget_idle(Duration::ZERO)?;
            assert_eq!(used(&uploads.guard.kernel), 0);
        }
    }
    Ok(())
}

#[test]
fn an_idle_connection_makes_room_and_no_other() -> Result<()> {
    for program in PROGRAMS {
        let mut uploads = Uploads::new(program)?;
        let refused = uploads.fill()?;
        uploads
            .guard
            .flows
            .forget_idle(monotonic()? + Duration::from_secs(3_500))?;
        assert!(!uploads.begin(refused)?);
        assert!(used(&uploads.guard.kernel) >= u32::from(Uploads::ROOM / 2));
        uploads
            .guard
            .flows
            .forget_idle(monotonic()? + Duration::from_secs(3_700))?;
        assert_eq!(used(&uploads.guard.kernel), 0);
        assert!(uploads.begin(refused)?);
        assert!(
            !uploads.send(1, DATA, Uploads::BODY, "of a body forgotten")?,
            "is no request"
        );
    }
    Ok(())
}

fn monotonic() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

fn used(kernel: &Datapath) -> u32 {
    let maps = kernel.maps();
    let flows = maps.iter().find(|map| map.name == "flows");
    flows.map_or(0, |map| map.used)
}
