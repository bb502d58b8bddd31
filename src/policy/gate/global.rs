//! One lock for all, handed over: `docs/gate.md` has the argument.

use std::collections::VecDeque;

use super::{Entrant, ExclusiveGate, Gate};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, Parker, mutant};

/// The gate of [`GlobalLock`](crate::GlobalLock): one at a time, handed directly to the next in line, so that whoever
/// leaves can't snatch it back. Returners go before ordinary entrants, at most 16 in a row.
#[derive(Debug)]
pub struct GlobalGate {
    line: Mutex<Line>,
    /// Whether the line is not empty; written under its lock.
    wanted: AtomicBool,
    waits: AtomicU64,
}

#[derive(Debug, Default)]
struct Line {
    held: bool,
    returners: VecDeque<Arc<Parker>>,
    ordinary: VecDeque<Arc<Parker>>,
    /// Returners let in since the last ordinary entrant.
    streak: u32,
}

const RETURNERS_IN_A_ROW: u32 = 16;

impl Line {
    fn next(&mut self) -> Option<Arc<Parker>> {
        let returner_first = self.streak < RETURNERS_IN_A_ROW || self.ordinary.is_empty();
        if returner_first && let Some(next) = self.returners.pop_front() {
            self.streak += 1;
            return Some(next);
        }
        self.streak = 0;
        self.ordinary.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.returners.is_empty() && self.ordinary.is_empty()
    }
}

// SAFETY: `held` is only changed under the lock. `enter` returns after it set `held` itself, or after `leave`, which leaves it
// set, unparked this one entrant, taken from the line. The mutex and the parker order the one before the other.
unsafe impl Gate for GlobalGate {
    const EXCLUSIVE: bool = true;

    fn new() -> Self {
        Self { line: Mutex::new(Line::default()), wanted: AtomicBool::new(false), waits: AtomicU64::new(0) }
    }

    fn enter(&self, who: Entrant) {
        let mut line = self.line.lock();
        if !line.held || mutant("gate_enter_ignores_holder") {
            line.held = true;
            return;
        }
        let parker = Arc::new(Parker::new());
        match who {
            Entrant::Returner => line.returners.push_back(parker.clone()),
            Entrant::Ordinary => line.ordinary.push_back(parker.clone()),
        }
        self.wanted.store(true, Relaxed);
        drop(line);
        self.waits.fetch_add(1, Relaxed);
        parker.park();
    }

    fn leave(&self) {
        let mut line = self.line.lock();
        let next = line.next();
        line.held = next.is_some() && !mutant("gate_leave_opens");
        self.wanted.store(!line.is_empty(), Relaxed);
        drop(line);
        // After unlocking, so that it wakes to a free lock.
        if let Some(next) = next
            && !mutant("gate_leave_forgets_wake")
        {
            next.unpark();
        }
    }

    #[inline]
    fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    fn waits(&self) -> u64 {
        self.waits.load(Relaxed)
    }
}

// SAFETY: `EXCLUSIVE` is true.
unsafe impl ExclusiveGate for GlobalGate {}
