//! A mutex-protected deque a worker, and an inbox for tasks from outside.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;

use super::inbox::Inbox;
use super::{Fairness, Find, LocalOrder, QueueConfig, RunQueue, Source};
use crate::sync::TryMutex;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::task::{Task, TaskList};

/// The run queue of [`FineGrained`](crate::FineGrained): every worker's deque has its own small lock; a worker without work
/// takes half of another's.
#[derive(Debug)]
pub struct Sharded {
    injected: Inbox,
    shards: Box<[CachePadded<Shard>]>,
    /// Shards from here on were never used.
    used: AtomicUsize,
    order: LocalOrder,
}

#[derive(Debug)]
struct Shard {
    tasks: TryMutex<VecDeque<Task>>,
    /// Written under the lock.
    len: AtomicUsize,
}

impl Shard {
    fn new() -> Self {
        Self { tasks: TryMutex::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    fn len(&self) -> usize {
        self.len.load(Relaxed)
    }
}

/// A worker's part of [`Sharded`].
#[derive(Debug)]
pub struct ShardedLocal {
    index: usize,
    fairness: Fairness,
}

impl Sharded {
    fn pop_own(&self, index: usize, order: LocalOrder) -> Option<Task> {
        let shard = &self.shards[index];
        if shard.len() == 0 {
            return None;
        }
        let mut tasks = shard.tasks.lock();
        let task = match order {
            LocalOrder::Lifo => tasks.pop_back(),
            LocalOrder::Fifo => tasks.pop_front(),
        };
        shard.len.store(tasks.len(), Relaxed);
        task
    }

    /// The oldest task of another worker; up to half of its tasks go to the thief's own deque.
    fn steal(&self, thief: Option<usize>) -> Find {
        let used = self.used.load(Relaxed);
        let start = thief.map_or(0, |index| index + 1);
        let mut contended = false;
        for victim in (0..used).map(|step| (start + step) % used) {
            let shard = &self.shards[victim];
            if Some(victim) == thief || shard.len() == 0 {
                continue;
            }
            let Some(mut theirs) = shard.tasks.try_lock() else {
                contended = true;
                continue;
            };
            let Some(first) = theirs.pop_front() else { continue };
            if let Some(thief) = thief {
                let own = &self.shards[thief];
                // Never waits for the second lock: two thieves may hold each other's.
                if let Some(mut mine) = own.tasks.try_lock() {
                    let half = theirs.len() / 2;
                    mine.extend(theirs.drain(..half));
                    own.len.store(mine.len(), Relaxed);
                }
            }
            shard.len.store(theirs.len(), Relaxed);
            return Find::Task(first, Source::Stolen);
        }
        if contended { Find::Retry } else { Find::Empty }
    }
}

impl RunQueue for Sharded {
    type Local = ShardedLocal;

    fn new(config: &QueueConfig) -> Self {
        Self {
            injected: Inbox::new(),
            shards: (0..config.locals).map(|_| CachePadded::new(Shard::new())).collect(),
            used: AtomicUsize::new(0),
            order: config.order,
        }
    }

    fn local(&self, index: usize) -> ShardedLocal {
        self.used.fetch_max(index + 1, Relaxed);
        ShardedLocal { index, fairness: Fairness::default() }
    }

    fn inject(&self, task: Task) {
        self.injected.push(task);
    }

    fn inject_all(&self, tasks: TaskList) {
        self.injected.push_all(tasks);
    }

    fn push(&self, local: &ShardedLocal, task: Task) {
        let shard = &self.shards[local.index];
        let mut tasks = shard.tasks.lock();
        tasks.push_back(task);
        shard.len.store(tasks.len(), Relaxed);
    }

    fn find(&self, local: &ShardedLocal) -> Find {
        if local.fairness.injected_first()
            && let Some(task) = self.injected.pop()
        {
            return Find::Task(task, Source::Injected);
        }
        if let Some(task) = self.pop_own(local.index, self.order) {
            return Find::Task(task, Source::Own);
        }
        // One at a time: a batch in the deque would be overtaken whenever these have their turn.
        if let Some(task) = self.injected.pop() {
            return Find::Task(task, Source::Injected);
        }
        self.steal(Some(local.index))
    }

    fn retract(&self, local: &ShardedLocal) -> Option<Task> {
        self.pop_own(local.index, LocalOrder::Lifo)
    }

    fn take(&self) -> Find {
        match self.injected.pop() {
            Some(task) => Find::Task(task, Source::Injected),
            None => self.steal(None),
        }
    }

    fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        let used = self.used.load(Relaxed);
        let mut of_shard = |shard: &Shard| {
            let mut tasks = shard.tasks.lock();
            let found = tasks.iter().position(&mut *wanted).and_then(|at| tasks.remove(at));
            shard.len.store(tasks.len(), Relaxed);
            found
        };
        let found = self.shards[..used].iter().find_map(|shard| of_shard(shard));
        found.or_else(|| self.injected.extract(wanted))
    }

    fn is_empty(&self) -> bool {
        let used = self.used.load(Relaxed);
        self.injected.is_empty() && self.shards[..used].iter().all(|shard| shard.len() == 0)
    }

    fn len(&self) -> usize {
        let used = self.used.load(Relaxed);
        self.injected.len() + self.shards[..used].iter().map(|shard| shard.len()).sum::<usize>()
    }
}
