//! Random sequences of operations, under every policy and with 1 to 4 workers.

#[path = "suite/operations.rs"]
mod operations;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy};
use operations::{End, Operation, run};
use proptest::prelude::*;

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        Just(Operation::Spawn),
        any::<u16>().prop_map(Operation::Submit),
        Just(Operation::SubmitPanicking),
        any::<u16>().prop_map(Operation::SubmitNested),
        any::<u16>().prop_map(Operation::SubmitBlocking),
        any::<u8>().prop_map(Operation::Cancel),
        any::<u8>().prop_map(Operation::Result),
        any::<u8>().prop_map(Operation::Detach),
        any::<u8>().prop_map(Operation::TryResult),
    ]
}

fn on<P: LockPolicy>(workers: usize, operations: &[Operation], end: End) {
    run(Builder::<P>::new().max_workers(workers).build().unwrap(), operations, end);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Contract: 122.
    #[test]
    fn every_task_comes_to_the_end_that_the_ledger_says(
        workers in 1_usize..=4,
        operations in proptest::collection::vec(operation(), 0..80),
        end in prop_oneof![Just(End::Shutdown), Just(End::ShutdownNow), Just(End::Drop)],
    ) {
        on::<GlobalLock>(workers, &operations, end);
        on::<FineGrained>(workers, &operations, end);
        on::<LockFree>(workers, &operations, end);
    }
}
