//! Models of the global gate.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Entrant, Gate, GlobalGate};
use crate::sync::{Arc, UnsafeCell, check, size, thread};

struct Guarded {
    gate: GlobalGate,
    cell: UnsafeCell<u32>,
}

// SAFETY: the cell is only touched by the holder of the gate, which is what loom checks.
unsafe impl Sync for Guarded {}
// SAFETY: as above.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { gate: GlobalGate::new(), cell: UnsafeCell::new(0) })
    }

    fn add(&self) {
        self.cell.with_mut(|cell| {
            // SAFETY: checked by loom.
            unsafe { *cell += 1 };
        });
    }

    fn section(&self, who: Entrant) {
        self.gate.enter(who);
        self.add();
        self.gate.leave();
    }

    fn total(&self) -> u32 {
        // SAFETY: checked by loom.
        self.cell.with(|cell| unsafe { *cell })
    }
}

#[test]
fn sections_never_overlap_and_each_gets_its_turn() {
    check(Some(4), || {
        let shared = Guarded::new();
        let others: Vec<_> = [Entrant::Ordinary, Entrant::Returner]
            .repeat(size(1, 3))
            .into_iter()
            .map(|who| {
                let shared = shared.clone();
                thread::spawn(move || shared.section(who))
            })
            .collect();
        shared.section(Entrant::Ordinary);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(shared.total() as usize, 1 + 2 * size(1, 3));
    });
}

#[test]
fn a_holder_that_lets_go_and_returns_gets_it_back() {
    check(None, || {
        let shared = Guarded::new();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.section(Entrant::Ordinary))
        };
        shared.gate.enter(Entrant::Ordinary);
        shared.add();
        shared.gate.leave();
        shared.gate.enter(Entrant::Returner);
        shared.add();
        shared.gate.leave();
        other.join().unwrap();
        assert_eq!(shared.total(), 3);
    });
}

/// A checkpoint against a task that comes back and a new one.
#[test]
fn an_interrupted_holder_gets_it_back() {
    check(Some(3), || {
        let shared = Guarded::new();
        let others = [Entrant::Returner, Entrant::Ordinary].map(|who| {
            let shared = shared.clone();
            thread::spawn(move || shared.section(who))
        });
        shared.gate.enter(Entrant::Ordinary);
        shared.add();
        let interrupted = shared.gate.is_wanted_back();
        if interrupted {
            shared.gate.leave();
            shared.gate.enter(Entrant::Interrupted);
            // The returner has had it.
            assert!(shared.total() >= 2);
            assert!(!shared.gate.is_wanted_back());
            shared.add();
        }
        shared.gate.leave();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(shared.total(), 3 + u32::from(interrupted));
    });
}

#[test]
fn a_holder_that_panics_leaves_it_to_the_next() {
    /// As the pool's guards do it.
    struct Leave<'a>(&'a GlobalGate);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.leave();
        }
    }
    check(None, || {
        let shared = Guarded::new();
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.section(Entrant::Returner))
        };
        // Without the panic hook's message.
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            shared.gate.enter(Entrant::Ordinary);
            let _leave = Leave(&shared.gate);
            shared.add();
            resume_unwind(Box::new(()))
        }));
        assert!(panicked.is_err_and(|payload| payload.is::<()>()));
        shared.section(Entrant::Ordinary);
        other.join().unwrap();
        assert_eq!(shared.total(), 3);
    });
}
