//! One queue for all.

use super::inbox::Inbox;
use super::{Fairness, Find, LocalOrder, QueueConfig, RunQueue, Source, take_all_and_put_back};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Mutex, mutant};
use crate::task::{Task, TaskList};

/// The run queue of [`GlobalLock`](crate::GlobalLock): one for all, linked through the tasks. Those from outside wait in an
/// inbox, those from the pool's own tasks in a list behind a mutex.
#[derive(Debug)]
pub struct Shared {
    injected: Inbox,
    own: Mutex<TaskList>,
    /// Written under the lock.
    own_len: AtomicUsize,
    order: LocalOrder,
}

/// A worker's part of [`Shared`]: it has no tasks of its own.
#[derive(Debug, Default)]
pub struct SharedLocal(Fairness);

impl Shared {
    fn pop_own(&self) -> Option<Task> {
        if self.own_len.load(Relaxed) == 0 {
            return None;
        }
        let mut own = self.own.lock();
        let task = own.pop_front();
        self.own_len.store(own.len(), Relaxed);
        task
    }

    fn pop(&self, injected_first: bool) -> Find {
        let task = if injected_first {
            self.injected.pop().or_else(|| self.pop_own())
        } else {
            self.pop_own().or_else(|| self.injected.pop())
        };
        task.map_or(Find::Empty, |task| Find::Task(task, Source::Injected))
    }
}

impl RunQueue for Shared {
    type Local = SharedLocal;

    fn new(config: &QueueConfig) -> Self {
        let own = Mutex::new(TaskList::new());
        Self { injected: Inbox::new(), own, own_len: AtomicUsize::new(0), order: config.order }
    }

    fn local(&self, _index: usize) -> SharedLocal {
        SharedLocal::default()
    }

    fn inject(&self, task: Task) {
        self.injected.push(task);
    }

    fn inject_all(&self, tasks: TaskList) {
        self.injected.push_all(tasks);
    }

    fn push(&self, _local: &SharedLocal, task: Task) {
        let mut own = self.own.lock();
        match self.order {
            LocalOrder::Lifo => own.push_front(task),
            LocalOrder::Fifo => own.push_back(task),
        }
        self.own_len.store(own.len(), Relaxed);
    }

    fn find(&self, local: &SharedLocal) -> Find {
        self.pop(local.0.injected_first())
    }

    fn retract(&self, _local: &SharedLocal) -> Option<Task> {
        match self.order {
            LocalOrder::Lifo => self.pop_own(),
            // At the far end of the list.
            LocalOrder::Fifo => None,
        }
    }

    fn take(&self) -> Find {
        self.pop(true)
    }

    fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        if mutant("shared_extract_puts_back") {
            return take_all_and_put_back(self, wanted);
        }
        self.injected.extract(wanted).or_else(|| {
            let mut own = self.own.lock();
            let found = own.extract(wanted);
            self.own_len.store(own.len(), Relaxed);
            found
        })
    }

    fn is_empty(&self) -> bool {
        self.own_len.load(Relaxed) == 0 && self.injected.is_empty()
    }

    fn len(&self) -> usize {
        self.own_len.load(Relaxed) + self.injected.len()
    }
}
