//! A gate: a mutex and a condition variable.

use lockgrain::gate::{Entrant, ExclusiveGate, Gate, GateCounts};
use lockgrain::model::atomic::{AtomicUsize, Ordering::Relaxed};
use lockgrain::model::sync::{Condvar, Mutex};

/// The gate that is right.
pub(crate) const RIGHT: u8 = 0;
/// Who leaves notifies nobody.
pub(crate) const FORGETS_TO_WAKE: u8 = 1;
/// Between the look and the entrance the mutex is let go.
pub(crate) const LETS_TWO_IN: u8 = 2;

/// Lets in one at a time, in no order.
pub(crate) struct Turnstile<const FAULT: u8 = RIGHT> {
    taken: Mutex<bool>,
    free: Condvar,
    waiting: AtomicUsize,
    returning: AtomicUsize,
}

// SAFETY: `taken` is looked at and set under one hold of the mutex, which orders a `leave` before the next `enter`. With a fault it is not so, and the
// example's point is that the check says it; the tasks that it runs touch nothing that is not an atomic.
unsafe impl<const FAULT: u8> Gate for Turnstile<FAULT> {
    const EXCLUSIVE: bool = true;

    fn new() -> Self {
        let (waiting, returning) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { taken: Mutex::new(false), free: Condvar::new(), waiting, returning }
    }

    fn enter(&self, who: Entrant) {
        let returns = usize::from(who == Entrant::Returner);
        self.waiting.fetch_add(1, Relaxed);
        self.returning.fetch_add(returns, Relaxed);
        let mut taken = self.taken.lock();
        while *taken {
            self.free.wait(&mut taken);
        }
        if FAULT == LETS_TWO_IN {
            drop(taken);
            taken = self.taken.lock();
        }
        *taken = true;
        drop(taken);
        self.waiting.fetch_sub(1, Relaxed);
        self.returning.fetch_sub(returns, Relaxed);
    }

    fn leave(&self) {
        *self.taken.lock() = false;
        if FAULT != FORGETS_TO_WAKE {
            self.free.notify_one();
        }
    }

    fn is_wanted(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    fn is_wanted_back(&self) -> bool {
        self.returning.load(Relaxed) > 0
    }

    fn counts(&self) -> GateCounts {
        GateCounts::default()
    }
}

// SAFETY: `EXCLUSIVE` is true.
unsafe impl<const FAULT: u8> ExclusiveGate for Turnstile<FAULT> {}
