//! The seeds of the fuzz targets, without a fuzzer.
#![cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]

use std::fs;
use std::path::Path;

use lockgrain_programs::{Focus, Program, run_watched_under_all};

#[test]
fn seeds_end_as_the_model_says() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    for focus in Focus::ALL {
        let mut seeds = 0;
        for seed in fs::read_dir(all.join(focus.name())).unwrap() {
            let bytes = fs::read(seed.unwrap().path()).unwrap();
            run_watched_under_all(&Program::decode_all(focus, &bytes));
            seeds += 1;
        }
        assert!(seeds > 0, "{focus:?} has no seeds");
    }
}
