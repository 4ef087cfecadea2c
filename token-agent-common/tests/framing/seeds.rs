//! What the fuzz targets start from, and what they once found.

use std::{fs, path::Path};

use crate::input::{Target, check};

#[test]
fn every_seed_holds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for (target, name) in [
        (Target::Head, "head"),
        (Target::Chunked, "chunked"),
        (Target::Proxy, "proxy"),
    ] {
        let seeds = fs::read_dir(seeds.join(name)).unwrap();
        let mut count = 0;
        for seed in seeds {
            check(target, &fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{target:?}");
    }
}
