//! What tasks do that name something in common: it is noted who came when, and whether two overlap that must not.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::ledger::Record;
use crate::sync::yield_now;

/// One value, key or strand.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Readers, or -1 for a writer.
    inside: AtomicIsize,
    visits: Mutex<Vec<Visit>>,
    /// How often the value that it is about has been dropped.
    drops: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Visit {
    record: Arc<Record>,
    shared: bool,
}

/// The guarded value itself.
#[derive(Debug)]
pub(crate) struct Value(pub(crate) Arc<Line>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, SeqCst);
    }
}

/// A task that is inside; ends with its code, also by a panic.
#[derive(Debug)]
pub(crate) struct Inside {
    line: Arc<Line>,
    shared: bool,
}

impl Inside {
    pub(crate) fn enter(line: Arc<Line>, shared: bool, record: &Arc<Record>) -> Self {
        let before = if shared { line.inside.fetch_add(1, SeqCst) } else { line.inside.swap(-1, SeqCst) };
        if before < 0 || (before > 0 && !shared) {
            record.fault("overlaps with a task that names the same");
        }
        line.visits.lock().unwrap().push(Visit { record: record.clone(), shared });
        // So that one that could overlap does.
        yield_now();
        Self { line, shared }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if self.shared {
            self.line.inside.fetch_sub(1, SeqCst);
        } else {
            self.line.inside.store(0, SeqCst);
        }
    }
}

impl Line {
    pub(crate) fn drops(&self) -> usize {
        self.drops.load(SeqCst)
    }

    /// Tasks of one client that conflict have run in the order in which they were submitted.
    pub(crate) fn check_order(&self) {
        let visits = self.visits.lock().unwrap();
        for (at, later) in visits.iter().enumerate() {
            let overtaken = visits[..at].iter().find(|earlier| {
                earlier.record.client == later.record.client
                    && !(earlier.shared && later.shared)
                    && earlier.record.number > later.record.number
            });
            if let Some(earlier) = overtaken {
                later.record.fault(&format!("came after {:?}, which was submitted later", earlier.record));
            }
        }
    }

    /// Whether its value is poisoned in the end, if it can be; nobody has been let in after that.
    pub(crate) fn check_poison(&self) -> bool {
        let visits = self.visits.lock().unwrap();
        let poisons = |visit: &Visit| !visit.shared && visit.record.panics();
        let Some(first) = visits.iter().position(poisons) else { return false };
        if let Some(late) = visits.get(first + 1) {
            late.record.fault("was let in although the value is poisoned");
        }
        true
    }
}
