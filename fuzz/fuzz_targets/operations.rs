//! Sequences of operations against a ledger, policy and number of workers of the fuzzer's choice:
//! `cargo +nightly fuzz run operations -- -detect_leaks=0`. Without the leak detector, as it takes what a thread that is just ending
//! has for leaked: a pool whose last handle is dropped in a task is not joined.
#![no_main]

#[path = "../../tests/suite/operations.rs"]
mod operations;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy};
use operations::{End, Operation, run};

#[derive(Debug)]
struct Input {
    policy: u8,
    workers: usize,
    operations: Vec<Operation>,
    end: End,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (policy, workers) = (u.int_in_range(0..=2)?, u.int_in_range(1..=4)?);
        let end = *u.choose(&[End::Shutdown, End::ShutdownNow, End::Drop])?;
        let mut operations = Vec::new();
        while !u.is_empty() && operations.len() < 200 {
            operations.push(match u.int_in_range(0..=8_u8)? {
                0 => Operation::Spawn,
                1 => Operation::Submit(u.arbitrary()?),
                2 => Operation::SubmitPanicking,
                3 => Operation::SubmitNested(u.arbitrary()?),
                4 => Operation::SubmitBlocking(u.arbitrary()?),
                5 => Operation::Cancel(u.arbitrary()?),
                6 => Operation::Result(u.arbitrary()?),
                7 => Operation::Detach(u.arbitrary()?),
                _ => Operation::TryResult(u.arbitrary()?),
            });
        }
        Ok(Self { policy, workers, operations, end })
    }
}

fn on<P: LockPolicy>(input: &Input) {
    run(Builder::<P>::new().max_workers(input.workers).build().unwrap(), &input.operations, input.end);
}

fuzz_target!(|input: Input| match input.policy {
    0 => on::<GlobalLock>(&input),
    1 => on::<FineGrained>(&input),
    _ => on::<LockFree>(&input),
});
