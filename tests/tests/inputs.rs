//! Inputs of the fuzz target `stream` that are kept: what it starts from, and what it once found.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::model::{
    check::Judges,
    guards::PassAll,
    input::{Trial, decode, told_late},
    world::Trace,
};

fn seeds() -> Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/stream");
    let files = fs::read_dir(folder)?.map(|file| {
        let path = file?.path();
        Ok((path.display().to_string(), fs::read(path)?))
    });
    files.collect()
}

#[test]
fn every_seed_holds() -> Result<()> {
    let mut trial = Trial::default();
    for (name, input) in seeds()? {
        let result = trial
            .check(&input)
            .and_then(|()| trial.check(&told_late(&input)));
        result.map_err(anyhow::Error::msg).context(name)?;
    }
    Ok(())
}

/// What comes to nothing without a guard, too, shows nothing.
#[test]
fn many_seeds_come_to_something_without_a_guard() -> Result<()> {
    let seeds = seeds()?;
    let judges = Judges::new();
    let wrong = seeds.iter().filter(|(_, input)| {
        let Some((attack, _)) = decode(input) else {
            return false;
        };
        let outcome = attack.run(&mut PassAll, &judges, &mut Trace::default());
        outcome.1.is_err()
    });
    let wrong = wrong.count();
    ensure!(
        wrong * 4 > seeds.len() && wrong > 50,
        "{wrong} of {}",
        seeds.len()
    );
    Ok(())
}
