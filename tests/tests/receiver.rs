//! The model of Linux's TCP against this machine's: what an attacker's segments come to.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use token_agent_tests::{
    frame::{ACK, SYN},
    host::Namespace,
    model::{
        attack::{Attack, Event},
        check::Judges,
        guard::{Guard, Policy, Verdict},
        receiver::{Coalescing, Connection, Kernel, Linux, Options, Receiver},
        segment::{Segment, ServerPacket, Time},
        world::{Fate, Host, Trace},
    },
};

/// How many schedules are compared.
const SCHEDULES: u64 = 3_000;

/// How often a schedule is sent to the kernel if its answer is not the model's.
const TRIES: u32 = 3;

/// So many that differ are shown.
const SHOWN: u32 = 10;

/// Passes everything, and notes it.
#[derive(Default)]
struct Recorder {
    segments: Vec<Recorded>,
    /// The server's initial sequence numbers so far.
    isns: Vec<u32>,
}

struct Recorded {
    segment: Segment,
    /// Of which of the server's sequence numbers its acknowledgment number speaks, and how far on it is.
    acknowledges: Option<(usize, u32)>,
}

impl Guard for Recorder {
    fn reset(&mut self) {}

    fn client(&mut self, segment: &Segment, _: &Policy, _: Time) -> Verdict {
        let isns = self.isns.iter().enumerate();
        let mut offsets = isns.map(|(i, isn)| (i, segment.acknowledgment.wrapping_sub(*isn)));
        let is_near = |offset: &(usize, u32)| offset.1.cast_signed().unsigned_abs() < 1 << 20;
        self.segments.push(Recorded {
            segment: segment.clone(),
            acknowledges: offsets.rfind(is_near),
        });
        Verdict::Pass
    }

    fn server(&mut self, packet: &ServerPacket, _: &Policy, _: Time) -> Verdict {
        note(&mut self.isns, packet);
        Verdict::Pass
    }
}

/// The kernel does not answer every SYN that is sent again.
fn note(isns: &mut Vec<u32>, packet: &ServerPacket) {
    if packet.has(SYN | ACK) && !isns.contains(&packet.sequence) {
        isns.push(packet.sequence);
    }
}

/// What an application has got: streams, and how they ended.
type Got = Vec<(String, String)>;

fn got(connections: &[Connection]) -> Got {
    let shown = connections.iter().map(|connection| {
        (
            connection.stream.escape_ascii().to_string(),
            format!("{:?}", connection.end),
        )
    });
    shown.collect()
}

/// Sends the same segments to another server, whose sequence numbers differ.
fn replay(recorder: &Recorder, receiver: &mut dyn Receiver) -> Got {
    let mut isns = Vec::new();
    let mut out = Vec::new();
    for recorded in &recorder.segments {
        let mut segment = recorded.segment.clone();
        if let Some((number, offset)) = recorded.acknowledges {
            let isn = isns.get(number).copied().unwrap_or(0);
            segment.acknowledgment = offset.wrapping_add(isn);
        }
        receiver.receive(&segment, Duration::ZERO, &mut out);
        for packet in out.drain(..) {
            note(&mut isns, &packet);
        }
    }
    got(receiver.connections())
}

/// A schedule without what only a model can do: time, and losses that would be none of the server's business.
fn schedule(seed: u64, cookies: bool) -> Attack {
    let mut attack = Attack::new(seed);
    attack.host = Host::Linux(Options {
        cookies,
        ..Options::default()
    });
    attack
        .steps
        .retain(|step| matches!(step.event, Event::Send(_)));
    for step in &mut attack.steps {
        step.wait = Duration::ZERO;
        if let Event::Send(crafted) = &mut step.event {
            // No other protocols, for which this kernel may be set up or not.
            if crafted.options.iter().any(|kind| [30, 34].contains(kind)) {
                crafted.options.clear();
            }
            crafted.replies = Fate::Arrives;
            if !matches!(crafted.fate, Fate::Corrupt) {
                crafted.fate = Fate::Arrives;
            }
        }
    }
    attack
}

fn variants(cookies: bool) -> Vec<Options> {
    let mut variants = Vec::new();
    for coalescing in [Coalescing::Neighbour, Coalescing::Never, Coalescing::Any] {
        for is_old in [false, true] {
            variants.push(Options {
                coalescing,
                is_old,
                cookies,
                ..Options::default()
            });
        }
    }
    variants
}

fn compare(cookies: bool) -> Result<()> {
    let setting = if cookies { "2" } else { "0" };
    fs::write("/proc/sys/net/ipv4/tcp_syncookies", setting)?;
    let mut kernel = Kernel::new()?;
    let mut differing = 0;
    for seed in 0..SCHEDULES {
        let attack = schedule(seed, cookies);
        let mut recorder = Recorder::default();
        let _ = attack.run(&mut recorder, &Judges::new(), &mut Trace::default());
        let variants = variants(cookies).into_iter();
        let models: Vec<_> = variants
            .map(|options| replay(&recorder, &mut Linux::new(options)))
            .collect();
        let mut real = Got::new();
        // A busy machine answers late, and then another time as it should.
        for _ in 0..TRIES {
            kernel.reset()?;
            real = replay(&recorder, &mut kernel);
            if models.contains(&real) {
                break;
            }
        }
        if !models.contains(&real) {
            differing += 1;
            if differing <= SHOWN {
                show(seed, &recorder, &real, &models[0]);
            }
        }
    }
    ensure!(differing == 0, "{differing} of {SCHEDULES} differ");
    Ok(())
}

fn show(seed: u64, recorder: &Recorder, real: &Got, model: &Got) {
    println!("schedule {seed}:");
    for Recorded {
        segment,
        acknowledges,
    } in &recorder.segments
    {
        println!(
            "  {:#04x} {:10} + {:4} ack {acknowledges:?} urgent {}{}  {}",
            segment.flags,
            segment.sequence.cast_signed(),
            segment.len(),
            segment.urgent,
            if segment.is_corrupt { " corrupt" } else { "" },
            short(&segment.payload.escape_ascii().to_string())
        );
    }
    for (name, got) in [("kernel", real), ("model", model)] {
        for (stream, end) in got {
            println!("  {name}: {} {end}  {}", stream.len(), short(stream));
        }
    }
}

fn short(text: &str) -> String {
    if text.len() < 100 {
        return text.to_owned();
    }
    format!("{} ... {}", &text[..50], &text[text.len() - 40..])
}

fn compare_in_namespace(cookies: bool) -> Result<()> {
    Namespace::new()?.within(|| compare(cookies))?
}

#[test]
fn the_model_is_as_this_kernel_is() -> Result<()> {
    compare_in_namespace(false)
}

#[test]
fn the_model_is_as_this_kernel_is_with_cookies() -> Result<()> {
    compare_in_namespace(true)
}
