//! The guard's core in simulated connections; `cargo xtask simulate --guard stream` runs many more.

use token_agent_tests::model::{
    check::Judges,
    guard::Guard as _,
    guards::StreamGuard,
    schedule::{Kind, Schedule},
    world::Trace,
};

/// Runs attackers' schedules and tells of the first that gets something denied served.
fn none_is_served(seeds: impl Iterator<Item = u64>) {
    let mut guard = StreamGuard::default();
    let mut judges = Judges::new();
    for seed in seeds {
        judges.is_thorough = Schedule::is_thorough(seed);
        let schedule = Schedule::new(Kind::Attack, seed);
        let outcome = schedule.run(&mut guard, &judges, &mut Trace::default());
        assert!(
            outcome.violation.is_none(),
            "cargo xtask simulate --guard stream --only attack --seed {seed}: {:?}",
            outcome.violation
        );
    }
    assert!(
        guard.transitions().len() > 20,
        "the schedules go everywhere"
    );
}

#[test]
fn nothing_denied_is_served() {
    none_is_served(1..=150_000);
}
