//! Whether workers take tasks from the queues.

use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Condvar, Mutex, mutant};

#[derive(Debug)]
pub(super) struct Pause {
    /// Changes under the lock. Relaxed: a worker that looks at the same moment may take one more task.
    paused: AtomicBool,
    /// How many workers wait for its end.
    resting: Mutex<usize>,
    over: Condvar,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self { paused: AtomicBool::new(false), resting: Mutex::new(0), over: Condvar::new() }
    }

    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.paused.load(Relaxed)
    }

    /// Begins it, unless `refused` says otherwise.
    pub(super) fn begin(&self, refused: impl FnOnce() -> bool) {
        let _resting = self.resting.lock();
        if !refused() {
            self.paused.store(true, Relaxed);
        }
    }

    pub(super) fn end(&self) {
        let resting = self.resting.lock();
        self.paused.store(false, Relaxed);
        drop(resting);
        if !mutant("pause_ends_untold") {
            self.over.notify_all();
        }
    }

    /// Waits for its end. `rests` is called once this worker counts as resting.
    pub(super) fn wait(&self, rests: impl FnOnce()) {
        *self.resting.lock() += 1;
        rests();
        let mut resting = self.resting.lock();
        while self.is_on() {
            self.over.wait(&mut resting);
        }
        *resting -= 1;
    }

    /// Calls `f` with the number of workers that rest, which does not change meanwhile.
    pub(super) fn with_resting<R>(&self, f: impl FnOnce(usize) -> R) -> R {
        let resting = self.resting.lock();
        f(*resting)
    }
}
