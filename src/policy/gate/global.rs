//! One lock for all, handed over: `docs/gate.md` has the argument.

use std::collections::VecDeque;

use super::{Entrant, ExclusiveGate, Gate, GateCounts};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Instant, MODEL, Mutex, Parker, hint, mutant};

/// The gate of [`GlobalLock`](crate::GlobalLock): one at a time, handed directly to the next in line, so that whoever
/// leaves can't snatch it back. Returners go before ordinary entrants, at most 16 in a row.
#[derive(Debug)]
pub struct GlobalGate {
    line: Mutex<Line>,
    /// Who is in the line: [`ORDINARY`], [`RETURNERS`]; written under its lock.
    wanted: AtomicU32,
}

#[derive(Debug, Default)]
struct Line {
    /// Since when somebody holds it; none while it is free.
    held_since: Option<Instant>,
    counts: GateCounts,
    returners: VecDeque<Arc<Parker>>,
    ordinary: VecDeque<Arc<Parker>>,
    /// Returners let in since the last ordinary entrant.
    streak: u32,
}

const RETURNERS_IN_A_ROW: u32 = 16;

const ORDINARY: u32 = 1;
const RETURNERS: u32 = 2;

/// Looks of an entrant before it parks, some 20 µs: a returner is let in at the next checkpoint, and often has soon blocked again.
const LOOKS: u32 = if MODEL { 0 } else { 100 };
/// Spins between two looks, some 200 ns.
const PAUSE: u32 = 8;

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

    /// The gate goes to somebody now, or to nobody.
    fn pass(&mut self, to_somebody: bool) {
        let now = Instant::now();
        if let Some(since) = self.held_since.take() {
            let held = now.duration_since(since);
            self.counts.held += held;
            self.counts.hold_times.record(held);
        }
        if to_somebody {
            self.held_since = Some(now);
            self.counts.holds += 1;
        }
    }

    /// As in [`GlobalGate::wanted`].
    fn wanted(&self) -> u32 {
        let ordinary = if self.ordinary.is_empty() { 0 } else { ORDINARY };
        ordinary | if self.returners.is_empty() { 0 } else { RETURNERS }
    }
}

// SAFETY: `held_since` is only changed under the lock. `enter` returns after it set it itself, or after `leave`, which leaves it
// set, unparked this one entrant, taken from the line. The mutex and the parker order the one before the other.
unsafe impl Gate for GlobalGate {
    const EXCLUSIVE: bool = true;

    fn new() -> Self {
        Self { line: Mutex::new(Line::default()), wanted: AtomicU32::new(0) }
    }

    fn enter(&self, who: Entrant) {
        let mut line = self.line.lock();
        if line.held_since.is_none() || mutant("gate_enter_ignores_holder") {
            line.pass(true);
            return;
        }
        let asked = Instant::now();
        line.counts.waits += 1;
        let parker = Arc::new(Parker::new());
        match who {
            Entrant::Returner => line.returners.push_back(parker.clone()),
            Entrant::Interrupted => line.ordinary.push_front(parker.clone()),
            Entrant::Ordinary => line.ordinary.push_back(parker.clone()),
        }
        self.wanted.store(line.wanted(), Relaxed);
        drop(line);
        let has_it = (0..LOOKS).any(|_| {
            (0..PAUSE).for_each(|_| hint::spin_loop());
            parker.try_take()
        });
        if !has_it {
            parker.park();
        }
        let waited = Instant::now().duration_since(asked);
        let mut line = self.line.lock();
        line.counts.waited += waited;
        line.counts.wait_times.record(waited);
    }

    fn leave(&self) {
        let mut line = self.line.lock();
        let next = line.next();
        line.pass(next.is_some() && !mutant("gate_leave_opens"));
        self.wanted
            .store(if mutant("gate_forgets_to_clear") { self.wanted.load(Relaxed) } else { line.wanted() }, Relaxed);
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
        self.wanted.load(Relaxed) != 0
    }

    #[inline]
    fn is_wanted_back(&self) -> bool {
        self.wanted.load(Relaxed) & RETURNERS != 0
    }

    fn counts(&self) -> GateCounts {
        self.line.lock().counts
    }
}

// SAFETY: `EXCLUSIVE` is true.
unsafe impl ExclusiveGate for GlobalGate {}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_interrupted_holder_goes_before_who_came_earlier() {
        let (gate, log) = (GlobalGate::new(), Mutex::new(Vec::new()));
        let ordinary_in_line = |count| while gate.line.lock().ordinary.len() < count {};
        let section = |who, name| {
            gate.enter(who);
            log.lock().push(name);
            gate.leave();
        };
        gate.enter(Entrant::Ordinary);
        thread::scope(|scope| {
            scope.spawn(|| section(Entrant::Ordinary, "ordinary"));
            ordinary_in_line(1);
            assert!(gate.is_wanted() && !gate.is_wanted_back());
            scope.spawn(|| {
                gate.enter(Entrant::Returner);
                log.lock().push("returner");
                ordinary_in_line(2);
                gate.leave();
            });
            while !gate.is_wanted_back() {}
            gate.leave();
            section(Entrant::Interrupted, "interrupted");
        });
        assert_eq!(*log.lock(), ["returner", "interrupted", "ordinary"]);
    }
}
