//! How many workers a pool has, and how that changes while it runs. `docs/idle.md` says why a submission that overlaps a change is found.

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex};

#[derive(Debug)]
pub(super) struct Size {
    /// Changes under the lock only.
    workers: AtomicUsize,
    changes: Mutex<()>,
    /// Workers that have decided to end, as they were idle for long, and that still count as threads.
    leaving: Mutex<usize>,
    /// The most threads there were at once.
    largest: AtomicUsize,
}

impl Size {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: AtomicUsize::new(workers),
            changes: Mutex::new(()),
            leaving: Mutex::new(0),
            largest: AtomicUsize::new(0),
        }
    }

    /// Whether an idle worker ends, so that so many stay: of two that decide at the same time, the second one counts the first one out.
    pub(super) fn begin_leave(&self, threads: impl FnOnce() -> usize, stay: usize) -> bool {
        let mut leaving = self.leaving.lock();
        let leaves = threads() > stay + *leaving;
        *leaving += usize::from(leaves);
        leaves
    }

    /// It does not count as a thread any more, or has found work after all.
    pub(super) fn end_leave(&self) {
        *self.leaving.lock() -= 1;
    }

    pub(super) fn has_started(&self, threads: usize) {
        self.largest.fetch_max(threads, Relaxed);
    }

    pub(super) fn largest(&self) -> usize {
        self.largest.load(Relaxed)
    }
}

impl<P: LockPolicy> Core<P> {
    /// How many tasks may run at once, but for an exclusive gate.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.size.workers.load(Relaxed)
    }

    /// How many idle workers stay.
    pub(super) fn kept_workers(&self) -> usize {
        let workers = self.workers();
        self.config.min_workers.map_or(workers, |least| least.min(workers))
    }

    /// The most workers there is room for.
    pub(crate) fn most_workers(&self) -> usize {
        self.idle.max_threads()
    }

    /// Changes the number of workers, for which there is room; the old one.
    pub(crate) fn resize(self: &Arc<Self>, workers: usize) -> usize {
        let changes = self.size.changes.lock();
        let before = self.workers();
        self.size.workers.store(workers, Relaxed);
        // Behind an exclusive gate one is active, however many there are.
        if !P::Gate::EXCLUSIVE {
            self.idle.set_target(workers);
        }
        drop(changes);
        if workers < before {
            // Who went to sleep for ever now does so for a while.
            for index in self.idle.rouse() {
                self.parkers[index].unpark();
            }
        }
        if self.has_queued() {
            self.notify();
        }
        before
    }
}
