//! A queue: one deque behind a mutex.

use std::collections::VecDeque;

use lockgrain::Task;
use lockgrain::model::atomic::{AtomicUsize, Ordering::Relaxed};
use lockgrain::model::sync::Mutex;
use lockgrain::run_queue::{Find, QueueConfig, RunQueue, Source};

/// The queue that is right.
pub(crate) const RIGHT: u8 = 0;
/// It has a fixed number of places, and drops a task that finds none.
pub(crate) const LOSES_WHEN_FULL: u8 = 1;
/// What tasks have pushed it does not count.
pub(crate) const FORGETS_ITS_OWN: u8 = 2;
/// To take one it takes all.
pub(crate) const DROPS_WHEN_TAKEN_FROM: u8 = 3;

const PLACES: usize = 64;

/// First in, first out, for all.
pub(crate) struct Ring<const FAULT: u8 = RIGHT> {
    tasks: Mutex<VecDeque<Task>>,
    /// Written under the lock, so that a look costs no lock.
    len: AtomicUsize,
}

impl<const FAULT: u8> Ring<FAULT> {
    fn add(&self, task: Task, counts: bool) {
        let mut tasks = self.tasks.lock();
        if FAULT == LOSES_WHEN_FULL && tasks.len() == PLACES {
            drop(tasks);
            // Which cancels it.
            return drop(task);
        }
        tasks.push_back(task);
        if counts {
            self.len.store(tasks.len(), Relaxed);
        }
    }

    fn pop(&self) -> Find {
        let mut tasks = self.tasks.lock();
        let task = tasks.pop_front();
        self.len.store(tasks.len(), Relaxed);
        drop(tasks);
        task.map_or(Find::Empty, |task| Find::Task(task, Source::Injected))
    }
}

impl<const FAULT: u8> RunQueue for Ring<FAULT> {
    type Local = ();

    fn new(_config: &QueueConfig) -> Self {
        Self { tasks: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    fn local(&self, _index: usize) {}

    fn inject(&self, task: Task) {
        self.add(task, true);
    }

    fn push(&self, (): &(), task: Task) {
        self.add(task, FAULT != FORGETS_ITS_OWN);
    }

    fn find(&self, (): &()) -> Find {
        self.pop()
    }

    fn take(&self) -> Find {
        let found = self.pop();
        if FAULT == DROPS_WHEN_TAKEN_FROM {
            let rest = std::mem::take(&mut *self.tasks.lock());
            self.len.store(0, Relaxed);
            // Outside of the lock: the closures are the user's.
            drop(rest);
        }
        found
    }

    fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        let mut tasks = self.tasks.lock();
        let at = tasks.iter().position(wanted)?;
        let found = tasks.remove(at);
        self.len.store(tasks.len(), Relaxed);
        found
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.len.load(Relaxed)
    }
}
