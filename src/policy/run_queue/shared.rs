//! One queue for all.

use super::inbox::Inbox;
use super::slot::Slot;
use super::{Fairness, Find, LocalOrder, QueueConfig, RunQueue, Source, take_all_and_put_back};
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Mutex, mutant};
use crate::task::{Task, TaskList};

/// The run queue of [`GlobalLock`](crate::GlobalLock): one for all, linked through the tasks. Those from outside wait in an
/// inbox, those from the pool's own tasks in a list behind a mutex, but for one that finds the list empty, which takes no lock.
#[derive(Debug)]
pub struct Shared {
    injected: Inbox,
    /// Older than all in the list.
    oldest: Slot,
    own: Mutex<TaskList>,
    /// Those in the list, or one more. Written under the lock.
    own_len: AtomicUsize,
    order: LocalOrder,
}

/// A worker's part of [`Shared`]: it has no tasks of its own.
#[derive(Debug, Default)]
pub struct SharedLocal(Fairness);

impl Shared {
    /// Whoever looks at the slot first does not miss a task that goes from there to the list.
    #[inline]
    fn has_own(&self) -> bool {
        !self.oldest.is_empty() || self.own_len.load(Relaxed) > 0
    }

    #[inline]
    fn pop_own(&self) -> Option<Task> {
        if self.has_own() { self.pop_one_of_own() } else { None }
    }

    fn pop_one_of_own(&self) -> Option<Task> {
        match self.order {
            LocalOrder::Lifo => self.pop_listed().or_else(|| self.oldest.take()),
            LocalOrder::Fifo => self.oldest.take().or_else(|| self.pop_listed()),
        }
    }

    fn pop_listed(&self) -> Option<Task> {
        if self.own_len.load(Relaxed) == 0 {
            return None;
        }
        let mut own = self.own.lock();
        let task = own.pop_front();
        self.own_len.store(own.len(), Relaxed);
        task
    }

    /// Gives the task back if it is not the only one.
    #[inline]
    fn push_only(&self, task: Task) -> Option<Task> {
        if self.own_len.load(Relaxed) == 0 { self.oldest.put(task) } else { Some(task) }
    }

    fn extract_own(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        let mut own = self.own.lock();
        // See `has_own`.
        if !mutant("shared_hides_the_oldest") {
            self.own_len.store(own.len() + 1, Relaxed);
        }
        if let Some(oldest) = self.oldest.take() {
            match self.order {
                LocalOrder::Lifo => own.push_back(oldest),
                LocalOrder::Fifo => own.push_front(oldest),
            }
        }
        let found = own.extract(wanted);
        self.own_len.store(own.len(), Relaxed);
        found
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
        Self { injected: Inbox::new(), oldest: Slot::new(), own, own_len: AtomicUsize::new(0), order: config.order }
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
        let Some(task) = self.push_only(task) else { return };
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
        self.injected.extract(wanted).or_else(|| self.extract_own(wanted))
    }

    fn is_empty(&self) -> bool {
        !self.has_own() && self.injected.is_empty()
    }

    fn len(&self) -> usize {
        usize::from(!self.oldest.is_empty()) + self.own_len.load(Relaxed) + self.injected.len()
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;
    use crate::sync::Arc;
    use crate::task::{Tally, detached};

    /// Three tasks of the pool's own; the one that an extract takes out which looks for the so manieth; another task; and then all as they are found.
    fn order_of_own_tasks(order: LocalOrder, wanted: usize) -> Vec<u32> {
        let queue = Shared::new(&QueueConfig { locals: 1, order });
        let local = queue.local(0);
        let log = Arc::new(Mutex::new(Vec::new()));
        let push = |number| {
            let log = log.clone();
            queue.push(&local, detached(move || log.lock().push(number)));
        };
        let run = |task: Task| {
            let _ran = task.run(&Tally::default());
        };
        (0..3).for_each(push);
        let mut asked = 0;
        let extracted = queue.extract(&mut |_| {
            asked += 1;
            asked == wanted
        });
        extracted.into_iter().for_each(run);
        push(3);
        while let Find::Task(task, _) = queue.find(&local) {
            assert_eq!(queue.len() + 1 + log.lock().len(), 4);
            run(task);
        }
        assert!(queue.is_empty());
        log.lock().clone()
    }

    #[test]
    fn own_tasks_keep_their_order() {
        use LocalOrder::{Fifo, Lifo};
        assert_eq!(
            [0, 1, 2].map(|wanted| order_of_own_tasks(Fifo, wanted)),
            [[0, 1, 2, 3], [0, 1, 2, 3], [1, 0, 2, 3]]
        );
        assert_eq!(
            [0, 1, 3].map(|wanted| order_of_own_tasks(Lifo, wanted)),
            [[3, 2, 1, 0], [2, 3, 1, 0], [0, 3, 2, 1]]
        );
    }
}
