//! Tries a guard out in simulated connections, as many as there is time for.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use token_agent_tests::model::{
    cases::cases,
    check::Judges,
    guards::{GUARDS, Make},
    schedule::{Kind, Outcome, Schedule},
    world::{Counts, Trace},
};

/// So many lines are shown of a log's start, and of its end.
const SHOWN: usize = 60;

/// Runs simulated connections through a guard, and looks at what the servers would have served.
#[derive(Parser)]
struct Args {
    /// The guard: hold, naive, pass-all, stream
    #[arg(long, default_value = GUARDS[0].0)]
    guard: String,
    /// How many schedules to run
    #[arg(long, short = 'n', default_value_t = 100_000)]
    count: u64,
    /// Stop after as many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The first schedule's seed; alone, it is the only one
    #[arg(long)]
    seed: Option<u64>,
    /// The seed to start from, for many schedules
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Threads
    #[arg(long, short = 'j', default_value_t = 2)]
    threads: usize,
    /// Only schedules of this kind
    #[arg(long)]
    only: Option<Only>,
    /// Let no stream begin with other bytes than its client's, either, as SYN cookies allow it
    #[arg(long)]
    starts: bool,
    /// Fail if one of the guard's transitions, which are counted in the end, was taken less often: 1,000 is to be
    /// expected of 20,000,000 schedules
    #[arg(long, value_name = "TIMES")]
    transitions: Option<u64>,
    /// Compare the time that honest clients take with that without a guard
    #[arg(long)]
    compare: bool,
    /// The only schedule: one of those in `tests/model/cases.txt`
    #[arg(long, conflicts_with = "seed")]
    case: Option<String>,
    /// Print a schedule that fails as a line for `tests/model/cases.txt`
    #[arg(long)]
    save: bool,
    /// Tell what happens
    #[arg(long, short)]
    verbose: bool,
    /// Show a schedule that fails as it is, not made shorter
    #[arg(long)]
    whole: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Only {
    Attack,
    Honest,
}

impl Args {
    fn kind(&self, seed: u64) -> Kind {
        match self.only {
            None => Schedule::kind(seed),
            Some(Only::Attack) => Kind::Attack,
            Some(Only::Honest) => Kind::Honest,
        }
    }

    fn guard(&self) -> Result<Make> {
        let found = GUARDS.iter().find(|(name, _)| *name == self.guard);
        let names: Vec<_> = GUARDS.iter().map(|(name, _)| *name).collect();
        let make = found.with_context(|| format!("{}: the guards are {names:?}", self.guard))?;
        Ok(make.1)
    }
}

/// What all runs came to.
#[derive(Default)]
struct Total {
    runs: u64,
    counts: Counts,
    served: u64,
    honest: u64,
    taken: Duration,
    unguarded: Duration,
    transitions: Vec<(String, u64)>,
    failed: Option<u64>,
}

/// Exits with 1 if something was found, and with 2 if nothing could be tried.
fn main() -> ExitCode {
    let args = Args::parse();
    match simulate(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn simulate(args: &Args) -> Result<ExitCode> {
    let make = args.guard()?;
    if let Some(name) = &args.case {
        let mut cases = cases()?.into_iter();
        let case = cases.find(|case| case.name == *name);
        let case = case.with_context(|| format!("there is no case {name}"))?;
        return one(args, make, name, case.schedule, true);
    }
    if let Some(seed) = args.seed {
        return seeded(args, make, seed);
    }
    let start = Instant::now();
    let total = Mutex::new(Total::default());
    let next = AtomicU64::new(args.from);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| work(args, make, start, &next, &is_over, &total));
        }
    });
    let total = total
        .into_inner()
        .unwrap_or_else(|error| error.into_inner());
    report(&total, start.elapsed());
    if let Some(seed) = total.failed {
        if seeded(args, make, seed)? == ExitCode::SUCCESS {
            println!("seed {seed} failed behind the others: the guard keeps something of them");
        }
        return Ok(ExitCode::FAILURE);
    }
    let least = args.transitions.unwrap_or(0);
    let rare = total.transitions.iter().filter(|(_, count)| *count < least);
    let rare: Vec<_> = rare.map(|(name, _)| &name[..]).collect();
    if rare.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("fewer than {least} times: {}", rare.join("; "));
    Ok(ExitCode::FAILURE)
}

fn work(
    args: &Args,
    make: Make,
    start: Instant,
    next: &AtomicU64,
    is_over: &AtomicBool,
    total: &Mutex<Total>,
) {
    let mut guard = make();
    let mut unguarded = GUARDS
        .iter()
        .find(|(name, _)| *name == "pass-all")
        .map(|(_, make)| make());
    let mut judges = Judges::new();
    judges.looks_at_starts = args.starts;
    let mut mine = Total::default();
    let limit = args.seconds.map(Duration::from_secs);
    while !is_over.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed - args.from >= args.count || limit.is_some_and(|limit| start.elapsed() >= limit) {
            break;
        }
        judges.is_thorough = Schedule::is_thorough(seed);
        let schedule = Schedule::new(args.kind(seed), seed);
        let outcome = schedule.run(&mut *guard, &judges, &mut Trace::default());
        mine.add(&outcome);
        if outcome.violation.is_some() {
            is_over.store(true, Ordering::Relaxed);
            mine.failed = Some(seed);
        }
        if let (true, Some(_), Some(unguarded)) = (args.compare, outcome.taken, &mut unguarded) {
            let outcome = schedule.run(&mut **unguarded, &judges, &mut Trace::default());
            mine.unguarded += outcome.taken.unwrap_or_default();
        }
    }
    mine.transitions = guard.transitions();
    let mut total = total.lock().unwrap_or_else(|error| error.into_inner());
    total.merge(mine);
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        self.served += outcome.served;
        add(&mut self.counts, &outcome.counts);
        if let Some(taken) = outcome.taken {
            self.honest += 1;
            self.taken += taken;
        }
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.served += other.served;
        self.honest += other.honest;
        self.taken += other.taken;
        self.unguarded += other.unguarded;
        add(&mut self.counts, &other.counts);
        if self.transitions.is_empty() {
            self.transitions = other.transitions;
        } else {
            // Each guard has the same ones.
            for (mine, others) in self.transitions.iter_mut().zip(other.transitions) {
                mine.1 += others.1;
            }
        }
        // The first of several.
        self.failed = self.failed.into_iter().chain(other.failed).min();
    }
}

fn add(counts: &mut Counts, more: &Counts) {
    counts.passed += more.passed;
    counts.dropped += more.dropped;
    counts.rewritten += more.rewritten;
    counts.answered += more.answered;
    counts.replies += more.replies;
    counts.held += more.held;
}

fn report(total: &Total, elapsed: Duration) {
    let rate = total.runs as f64 / elapsed.as_secs_f64();
    println!(
        "{} schedules in {:.1} s: {rate:.0} a second",
        total.runs,
        elapsed.as_secs_f64()
    );
    let Counts {
        passed,
        dropped,
        rewritten,
        answered,
        replies,
        held,
    } = total.counts;
    println!(
        "segments: {passed} passed, {dropped} dropped, {rewritten} changed, {answered} answered"
    );
    println!("packets of the server: {replies}, of which {held} held back");
    println!("requests served: {}", total.served);
    if total.honest > 0 {
        let mean = |sum: Duration| sum.as_secs_f64() / total.honest as f64;
        print!(
            "honest clients: {}, {:.3} s each",
            total.honest,
            mean(total.taken)
        );
        if total.unguarded > Duration::ZERO {
            print!(", without a guard {:.3} s", mean(total.unguarded));
        }
        println!();
    }
    for (name, count) in &total.transitions {
        println!("{count:12}  {name}");
    }
}

fn seeded(args: &Args, make: Make, seed: u64) -> Result<ExitCode> {
    let schedule = Schedule::new(args.kind(seed), seed);
    let is_thorough = Schedule::is_thorough(seed);
    one(args, make, &format!("seed {seed}"), schedule, is_thorough)
}

/// Runs a single schedule, and shows why it fails.
fn one(
    args: &Args,
    make: Make,
    name: &str,
    mut schedule: Schedule,
    is_thorough: bool,
) -> Result<ExitCode> {
    let mut guard = make();
    let mut judges = Judges::new();
    judges.is_thorough = is_thorough;
    judges.looks_at_starts = args.starts;
    let mut trace = Trace::kept();
    let mut outcome = schedule.run(&mut *guard, &judges, &mut trace);
    if outcome.violation.is_some() && !args.whole {
        schedule = schedule.shrink(&mut *guard, &judges);
        trace = Trace::kept();
        outcome = schedule.run(&mut *guard, &judges, &mut trace);
    }
    let Some(violation) = outcome.violation else {
        if args.verbose {
            show(&schedule, &trace);
        }
        println!("{name}: all is well, {} requests served", outcome.served);
        return Ok(ExitCode::SUCCESS);
    };
    show(&schedule, &trace);
    if args.save {
        println!("name-it {}", serde_json::to_string(&schedule)?);
    }
    println!("{name}: {violation}");
    Ok(ExitCode::FAILURE)
}

fn show(schedule: &Schedule, trace: &Trace) {
    match schedule {
        Schedule::Attack(attack) => println!("{:?}\n{:?}", attack.host, attack.policy),
        Schedule::Honest(honest) => println!("{:?}\n{:?}", honest.host, honest.habits),
    }
    let lines = trace.lines();
    let left_out = SHOWN..lines.len().saturating_sub(SHOWN).max(SHOWN);
    for (i, line) in lines.iter().enumerate() {
        if !left_out.contains(&i) {
            println!("{line}");
        } else if i == left_out.start {
            println!("    ... {} lines ...", left_out.len());
        }
    }
}
