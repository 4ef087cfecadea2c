//! Writes what the target `stream` starts from: attacks of the simulation that come to something without a guard.
//!
//! `cargo run --example stream-seeds -- DIRECTORY COUNT`

use std::{env, error::Error, fs, path::PathBuf};

use token_agent_tests::model::{
    attack::Attack, check::Judges, guards::PassAll, input, random::Random, world::Trace,
};

/// Longer ones are left out: they are changed less often where it matters.
const LONGEST: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(directory), Some(count)) = (args.next().map(PathBuf::from), args.next()) else {
        return Err("a directory and a count are needed".into());
    };
    fs::create_dir_all(&directory)?;
    let judges = Judges::new();
    let inputs = (0..).filter_map(|seed| {
        let mut random = Random::new(!seed);
        let choices = std::array::from_fn(|_| random.next() as u8);
        let room = if random.percent(50) {
            input::AMPLE
        } else {
            random.next() as u8
        };
        let input = input::encode(&Attack::new(seed), &choices, room);
        let (attack, _) = input::decode(&input)?;
        let outcome = attack.run(&mut PassAll, &judges, &mut Trace::default()).1;
        (outcome.is_err() && input.len() <= LONGEST).then_some((seed, input))
    });
    for (seed, input) in inputs.take(count.parse()?) {
        fs::write(directory.join(format!("attack-{seed:05}")), input)?;
    }
    Ok(())
}
