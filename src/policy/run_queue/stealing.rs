//! Lock-free: injectors, and a work-stealing deque a worker.

use crossbeam_utils::CachePadded;

use super::{Fairness, Find, QueueConfig, RunQueue, Source};
use crate::policy::deque::{ChaseLev, Deque, Steal};
use crate::policy::injector::Taken;
use crate::policy::injectors::{Cursor, Injectors};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::task::{Task, TaskList};

/// The run queue of [`LockFree`](crate::LockFree): queues of injected tasks chained through themselves, and a deque `D` for
/// each worker, from which the others steal.
pub struct Stealing<D: Deque = ChaseLev> {
    injected: Injectors,
    stealers: Box<[CachePadded<D::Stealer>]>,
    /// The owners' halves, until their workers ask for them.
    owners: Mutex<Vec<Option<D>>>,
    /// Deques from here on were never used.
    used: AtomicUsize,
}

/// A worker's part of [`Stealing`].
#[derive(Debug)]
pub struct StealingLocal<D> {
    index: usize,
    deque: D,
    fairness: Fairness,
    cursor: Cursor,
}

impl<D: Deque> Stealing<D> {
    fn used(&self) -> &[CachePadded<D::Stealer>] {
        &self.stealers[..self.used.load(Relaxed)]
    }

    fn pop_injected(&self, cursor: &Cursor) -> Find {
        match self.injected.pop(cursor) {
            Ok(task) => Find::Task(task, Source::Injected),
            Err(Taken::Retry) => Find::Retry,
            Err(_) => Find::Empty,
        }
    }

    fn steal(&self, thief: Option<&StealingLocal<D>>) -> Find {
        let stealers = self.used();
        let start = thief.map_or(0, |local| local.index + 1);
        let mut retry = false;
        for step in 0..stealers.len() {
            let victim = (start + step) % stealers.len();
            let stolen = match thief {
                Some(local) if local.index == victim => continue,
                Some(local) => local.deque.steal_half(&stealers[victim]),
                None => D::steal(&stealers[victim]),
            };
            match stolen {
                Steal::Task(task) => return Find::Task(task, Source::Stolen),
                Steal::Retry => retry = true,
                Steal::Empty => {}
            }
        }
        if retry { Find::Retry } else { Find::Empty }
    }

    /// What is injected, else what can be stolen; for a worker without tasks of its own.
    fn find_elsewhere(&self, thief: Option<&StealingLocal<D>>) -> Find {
        // One at a time: a batch in the deque would be overtaken whenever the injector has its turn.
        let found = match thief {
            Some(local) => self.pop_injected(&local.cursor),
            None => self.pop_injected(&Cursor::default()),
        };
        match found {
            Find::Empty => self.steal(thief),
            Find::Retry => match self.steal(thief) {
                Find::Empty => Find::Retry,
                other => other,
            },
            found => found,
        }
    }
}

impl<D: Deque> RunQueue for Stealing<D> {
    type Local = StealingLocal<D>;

    fn new(config: &QueueConfig) -> Self {
        let owners: Vec<_> = (0..config.locals).map(|_| D::new(config.order)).collect();
        Self {
            injected: Injectors::new(),
            stealers: owners.iter().map(|owner| CachePadded::new(owner.stealer())).collect(),
            owners: Mutex::new(owners.into_iter().map(Some).collect()),
            used: AtomicUsize::new(0),
        }
    }

    fn local(&self, index: usize) -> StealingLocal<D> {
        let deque = self.owners.lock()[index].take().expect("a local is asked for once an index");
        self.used.fetch_max(index + 1, Relaxed);
        StealingLocal { index, deque, fairness: Fairness::default(), cursor: Cursor::new(index) }
    }

    #[inline]
    fn inject(&self, task: Task) {
        self.injected.push(task);
    }

    fn inject_all(&self, tasks: TaskList) {
        self.injected.push_all(tasks);
    }

    #[inline]
    fn push(&self, local: &StealingLocal<D>, task: Task) {
        local.deque.push(task);
    }

    #[inline]
    fn find(&self, local: &StealingLocal<D>) -> Find {
        if local.fairness.injected_first() {
            local.cursor.advance();
            if let Ok(task) = self.injected.pop(&local.cursor) {
                return Find::Task(task, Source::Injected);
            }
        }
        match local.deque.pop() {
            Some(task) => Find::Task(task, Source::Own),
            None => self.find_elsewhere(Some(local)),
        }
    }

    fn retract(&self, local: &StealingLocal<D>) -> Option<Task> {
        local.deque.retract()
    }

    fn take(&self) -> Find {
        self.find_elsewhere(None)
    }

    fn is_empty(&self) -> bool {
        self.injected.is_empty() && self.used().iter().all(|deque| D::is_empty(deque))
    }

    fn len(&self) -> usize {
        self.injected.len() + self.used().iter().map(|deque| D::len(deque)).sum::<usize>()
    }
}

impl<D: Deque> std::fmt::Debug for Stealing<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stealing").field("len", &self.len()).finish_non_exhaustive()
    }
}
