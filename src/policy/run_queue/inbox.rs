//! The tasks from outside, for the queues with locks: producers and consumers each have a list and a lock of their own.
//!
//! After the two-lock queue of M. Michael and M. Scott, "Simple, fast, and practical non-blocking and blocking concurrent queue
//! algorithms", PODC 1996, with lists through the tasks: a consumer that has none left takes all that has come in.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicUsize, Ordering::*};
use crate::sync::{Mutex, mutant};
use crate::task::{Task, TaskList};

/// First in, first out.
#[derive(Debug)]
pub(super) struct Inbox {
    incoming: CachePadded<Half>,
    ready: CachePadded<Half>,
}

#[derive(Debug)]
struct Half {
    tasks: Mutex<TaskList>,
    /// Written under the lock.
    len: AtomicUsize,
}

impl Half {
    fn new() -> CachePadded<Self> {
        CachePadded::new(Self { tasks: Mutex::new(TaskList::new()), len: AtomicUsize::new(0) })
    }
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { incoming: Half::new(), ready: Half::new() }
    }

    #[inline]
    pub(super) fn push(&self, task: Task) {
        let mut incoming = self.incoming.tasks.lock();
        incoming.push_back(task);
        self.incoming.len.store(incoming.len(), Relaxed);
    }

    pub(super) fn push_all(&self, tasks: TaskList) {
        let mut incoming = self.incoming.tasks.lock();
        incoming.append(tasks);
        self.incoming.len.store(incoming.len(), Relaxed);
    }

    /// The oldest task.
    #[inline]
    pub(super) fn pop(&self) -> Option<Task> {
        // `ready` first: to read the other takes its line away from the producers.
        if self.ready.len.load(Relaxed) == 0 && self.is_empty() {
            return None;
        }
        let mut ready = self.ready.tasks.lock();
        if ready.is_empty() {
            self.refill(&mut ready);
        }
        let task = ready.pop_front();
        self.ready.len.store(ready.len(), Relaxed);
        task
    }

    /// Takes out the oldest one that is wanted; the others stay in their order, and nobody gets one meanwhile.
    pub(super) fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        // In the order of `pop`, so that none is between the two.
        let mut ready = self.ready.tasks.lock();
        let found = ready.extract(wanted);
        self.ready.len.store(ready.len(), Relaxed);
        found.or_else(|| {
            let mut incoming = self.incoming.tasks.lock();
            let found = incoming.extract(wanted);
            self.incoming.len.store(incoming.len(), Relaxed);
            found
        })
    }

    fn refill(&self, ready: &mut TaskList) {
        let mut incoming = self.incoming.tasks.lock();
        std::mem::swap(ready, &mut incoming);
        // In this order, so that `is_empty` never finds the tasks in neither: release pairs with its acquire.
        if mutant("inbox_refill_empties_first") {
            self.incoming.len.store(0, Release);
            self.ready.len.store(ready.len(), Relaxed);
        } else {
            self.ready.len.store(ready.len(), Relaxed);
            self.incoming.len.store(0, Release);
        }
    }

    /// Never more than there are, as none goes from the one list to the other meanwhile.
    pub(super) fn len(&self) -> usize {
        let ready = self.ready.tasks.lock();
        self.incoming.len.load(Relaxed) + ready.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Acquire pairs with the release in `refill`.
        self.incoming.len.load(Acquire) == 0 && self.ready.len.load(Relaxed) == 0
    }
}
