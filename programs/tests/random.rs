//! Random programs against the reference model, under every policy and with 1 to 4 workers.
//!
//! `LOCKGRAIN_PROGRAMS` says how many in all; the full run has 100,000:
//! `LOCKGRAIN_PROGRAMS=100000 cargo test --release --package lockgrain-programs --test random`.
#![cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lockgrain_programs::{Focus, Program, run_watched_under_all};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};

/// So many in an ordinary run.
const PROGRAMS: u32 = 400;

/// How often one is run to see whether it fails, once another has.
const RETRIES: usize = 40;

fn programs(focus: Focus) {
    let programs =
        std::env::var("LOCKGRAIN_PROGRAMS").map_or(PROGRAMS, |text| text.parse().expect("a number of programs"));
    let config = ProptestConfig {
        cases: programs.div_ceil(4),
        failure_persistence: None,
        max_shrink_time: 300_000,
        ..ProptestConfig::default()
    };
    // Eight bytes an operation, so that what makes lists shorter and numbers smaller makes programs simpler.
    let bytes = (any::<[u8; 16]>(), vec(any::<[u8; 8]>(), 0..60));
    let program = bytes.prop_map(move |(settings, ops)| Program::decode(focus, &settings, ops.as_flattened()));
    // A smaller one that fails may not fail each time.
    let failed = AtomicBool::new(false);
    let run = |program| {
        let failure = (0..if failed.load(Relaxed) { RETRIES } else { 1 })
            .find_map(|_| catch_unwind(|| run_watched_under_all(&program)).err());
        failure.map_or(Ok(()), |payload| {
            failed.store(true, Relaxed);
            let why = payload.downcast::<String>().map_or_else(|_| "a panic".to_owned(), |why| *why);
            Err(TestCaseError::fail(why))
        })
    };
    match TestRunner::new(config).run(&program, run) {
        Ok(()) => {}
        Err(TestError::Fail(why, program)) => panic!("{why}\nThe smallest program that fails: {program:?}"),
        Err(error) => panic!("{error}"),
    }
}

// Contract: 122.
#[test]
fn programs_of_all_sorts_end_as_the_model_says() {
    programs(Focus::Executor);
}

#[test]
fn programs_that_name_values_and_keys_end_as_the_model_says() {
    programs(Focus::Guarded);
}

#[test]
fn programs_about_handles_end_as_the_model_says() {
    programs(Focus::Handles);
}

#[test]
fn programs_with_timers_end_as_the_model_says() {
    programs(Focus::Timer);
}
