//! One queue behind one mutex.

use super::{Fairness, Find, LocalOrder, QueueConfig, RunQueue, Source};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::task::{Task, TaskList};

/// The run queue of [`GlobalLock`](crate::GlobalLock): all tasks behind one mutex, linked through themselves.
#[derive(Debug)]
pub struct Shared {
    lists: Mutex<Lists>,
    /// Written under the lock.
    len: AtomicUsize,
    order: LocalOrder,
}

#[derive(Debug)]
struct Lists {
    injected: TaskList,
    own: TaskList,
}

/// A worker's part of [`Shared`]: it has no tasks of its own.
#[derive(Debug, Default)]
pub struct SharedLocal(Fairness);

impl Shared {
    fn add(&self, add: impl FnOnce(&mut Lists)) {
        let mut lists = self.lists.lock();
        add(&mut lists);
        self.publish(&lists);
    }

    fn publish(&self, lists: &Lists) {
        self.len.store(lists.injected.len() + lists.own.len(), Relaxed);
    }

    fn pop(&self, injected_first: bool) -> Find {
        if self.is_empty() {
            return Find::Empty;
        }
        let mut lists = self.lists.lock();
        let Lists { injected, own } = &mut *lists;
        let task = if injected_first {
            injected.pop_front().or_else(|| own.pop_front())
        } else {
            own.pop_front().or_else(|| injected.pop_front())
        };
        self.publish(&lists);
        match task {
            Some(task) => Find::Task(task, Source::Injected),
            None => Find::Empty,
        }
    }
}

impl RunQueue for Shared {
    type Local = SharedLocal;

    fn new(config: &QueueConfig) -> Self {
        let lists = Lists { injected: TaskList::new(), own: TaskList::new() };
        Self { lists: Mutex::new(lists), len: AtomicUsize::new(0), order: config.order }
    }

    fn local(&self, _index: usize) -> SharedLocal {
        SharedLocal::default()
    }

    fn inject(&self, task: Task) {
        self.add(|lists| lists.injected.push_back(task));
    }

    fn push(&self, _local: &SharedLocal, task: Task) {
        self.add(|lists| match self.order {
            LocalOrder::Lifo => lists.own.push_front(task),
            LocalOrder::Fifo => lists.own.push_back(task),
        });
    }

    fn find(&self, local: &SharedLocal) -> Find {
        self.pop(local.0.injected_first())
    }

    fn take(&self) -> Find {
        self.pop(true)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.len.load(Relaxed)
    }
}
