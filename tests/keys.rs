//! What keys leave behind: resident memory, measured where the system tells. Contract 115.
#![cfg(target_os = "linux")]

#[path = "suite/resident.rs"]
mod resident;

use std::sync::mpsc;

use lockgrain::{Builder, FineGrained, LockFree, LockPolicy};
use resident::resident;

const KEYS: u64 = 1_000_000;

/// How much the process has grown over the last nine tenths of all keys, each named by one task.
fn growth<P: LockPolicy>() -> usize {
    let pool = Builder::<P>::new().max_workers(2).build().unwrap();
    let keys = pool.keyed::<u64>();
    let (open, gate) = mpsc::channel::<()>();
    let held = keys.submit(KEYS, move || gate.recv().is_err());
    assert_eq!((keys.len(), keys.is_empty()), (1, false), "one is in use");
    drop(open);
    assert!(held.result().unwrap());
    let mut before = 0;
    for key in 0..KEYS {
        let task = keys.submit(key, move || key);
        // Not more than some hundreds at once.
        if key % 500 == 0 {
            assert_eq!(task.result().unwrap(), key);
        }
        if key == KEYS / 10 {
            before = resident();
        }
    }
    pool.shutdown();
    assert_eq!(keys.len(), 0);
    resident().saturating_sub(before)
}

// Contract: 115.
/// One test, as it measures the process.
#[test]
fn a_million_keys_in_sequence_leave_nothing() {
    for (policy, grown) in [("lock-free", growth::<LockFree>()), ("fine", growth::<FineGrained>())] {
        println!("{policy}: {grown} bytes more");
        // A byte for each key would be more than this.
        assert!(grown < KEYS as usize, "{policy}: {grown} bytes");
    }
}
