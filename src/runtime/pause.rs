//! Whether workers take tasks from the queues.

use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Condvar, Mutex, mutant};

#[derive(Debug)]
pub(super) struct Pause {
    /// Changes under the lock. Relaxed: a worker that looks at the same moment may take one more task.
    paused: AtomicBool,
    lock: Mutex<()>,
    over: Condvar,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self { paused: AtomicBool::new(false), lock: Mutex::new(()), over: Condvar::new() }
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.paused.load(Relaxed)
    }

    /// Begins it, unless `refused` says otherwise.
    pub(super) fn begin(&self, refused: impl FnOnce() -> bool) {
        let _lock = self.lock.lock();
        if !refused() {
            self.paused.store(true, Relaxed);
        }
    }

    pub(super) fn end(&self) {
        let lock = self.lock.lock();
        self.paused.store(false, Relaxed);
        drop(lock);
        if !mutant("pause_ends_untold") {
            self.over.notify_all();
        }
    }

    /// Waits for its end.
    pub(super) fn wait(&self) {
        let mut lock = self.lock.lock();
        while self.is_on() {
            self.over.wait(&mut lock);
        }
    }
}
