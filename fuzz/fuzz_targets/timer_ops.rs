//! Programs with timers, under each policy: `cargo xtask fuzz timer_ops`.
#![no_main]

use lockgrain_programs::{Focus, Program, run_watched_under_all};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run_watched_under_all(&Program::decode_all(Focus::Timer, bytes)));
