//! What is left of the throughput: the same work guarded and unguarded, by turns.

use std::time::Duration;

use anyhow::Result;
use token_agent_tests::host::{Nginx, Pair};

use crate::{
    bulk,
    host::{self, ADDRESS, Hook, Programs, SMALL},
    wrk,
};

/// How much is uploaded at once, in bytes.
const UPLOAD: u64 = 1 << 30;

/// For how long at least there are uploads in one run.
const UPLOADING: Duration = Duration::from_secs(2);

/// How long `wrk` asks, in seconds, and on how many connections.
const ASKING: (u64, u32) = (3, 32);

/// Measures all of it, in so many pairs of runs each.
pub(crate) fn measure_all(pairs: usize) -> Result<()> {
    println!(
        "throughput: medians of {pairs} pairs of runs; unguarded means no program (TC), an empty one (XDP)\n"
    );
    println!(
        "{:<40}{:>12}{:>12}{:>10}",
        "", "unguarded", "guarded", "ratio"
    );
    for hook in Hook::ALL {
        println!("{}", hook.name());
        for is_lossy in [false, true] {
            let what = if is_lossy {
                "upload, 1 % lost, Gbit/s"
            } else {
                "upload, Gbit/s"
            };
            // What is lost is made good soon only where what is sent does not depend on it.
            let upload = if is_lossy {
                bulk::upload
            } else {
                bulk::upload_unpaced
            };
            compare(hook, is_lossy, pairs, what, |pair, token| {
                let (mut uploaded, mut taken) = (0, Duration::ZERO);
                while taken < UPLOADING {
                    taken += host::on(place(0), || upload(pair, token, UPLOAD))?;
                    uploaded += UPLOAD;
                }
                Ok(uploaded as f64 * 8.0 / 1e9 / taken.as_secs_f64())
            })?;
        }
        compare(
            hook,
            false,
            pairs,
            "nginx, thousand requests/s",
            |pair, token| {
                let (seconds, connections) = ASKING;
                Ok(wrk::ask(pair, token, seconds, connections)? / 1e3)
            },
        )?;
    }
    println!();
    Ok(())
}

fn compare(
    hook: Hook,
    is_lossy: bool,
    pairs: usize,
    what: &str,
    run: impl Fn(&Pair, &str) -> Result<f64>,
) -> Result<()> {
    let (open, closed) = (Pair::new()?, Pair::new()?);
    let mut kept = Vec::new();
    let mut servers = Vec::new();
    for pair in [&open, &closed] {
        servers.push(Nginx::silent(
            &pair.server,
            &[&format!("{ADDRESS}:{SMALL}")],
        )?);
        host::on(place(1), || bulk::serve(pair))?;
        if is_lossy {
            kept.push(host::lose(pair)?);
        }
    }
    let _empty = (hook == Hook::Xdp)
        .then(|| Programs::empty(&open, hook))
        .transpose()?;
    let agent = host::guard(&closed, hook)?;
    let (_, token) = agent.issue(&[])?;
    let (mut unguarded, mut guarded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let (a, b) = (run(&open, &token)?, run(&closed, &token)?);
        unguarded.push(a);
        guarded.push(b);
        ratios.push(b / a);
    }
    let [unguarded, guarded, ratio] = [unguarded, guarded, ratios].map(median);
    println!("  {what:<38}{unguarded:>12.2}{guarded:>12.2}{ratio:>10.2}");
    Ok(())
}

/// The processor of that number, if there are as many: left to the system, who sends and who receives meet on one processor
/// in one run and not in the next.
fn place(number: usize) -> Option<usize> {
    host::has(number).then_some(number)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
