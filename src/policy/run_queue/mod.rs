//! Where ready tasks wait: the trait, and one file for each of the three answers.

mod inbox;
mod sharded;
mod shared;
mod slot;
mod stealing;

use std::cell::Cell;

pub use sharded::Sharded;
pub use shared::Shared;
pub use stealing::Stealing;

use crate::sync::hint;
use crate::task::{Task, TaskList};

/// In which order a worker takes the tasks that were spawned by tasks it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalOrder {
    /// The newest first: its data is still in the cache, and recursion stays shallow. The default.
    #[default]
    Lifo,
    /// The oldest first: as a `ThreadPoolExecutor` does it.
    Fifo,
}

/// What a queue is told when its pool is built.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueueConfig {
    /// How many locals will be made at the most: workers and spares.
    pub locals: usize,
    /// The order of a worker's own tasks.
    pub order: LocalOrder,
}

/// Where a found task came from; for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The worker's own queue.
    Own,
    /// The queue of tasks from outside.
    Injected,
    /// Another worker's queue.
    Stolen,
}

/// What a look for a task gave.
#[derive(Debug)]
pub enum Find {
    /// A task to run.
    Task(Task, Source),
    /// There was none.
    Empty,
    /// Another thread was in the way; there may be a task.
    Retry,
}

/// Where ready tasks wait, and how a worker gets the next.
///
/// A safe trait: a [`Task`] is owned and can't be cloned, so an implementation can lose a task (which cancels it) but never
/// run one twice. What it must keep for the pool to make progress:
///
/// - a task given to [`inject`](Self::inject) or [`push`](Self::push) comes out of some `find` or `take` once;
/// - after such a call has returned, [`is_empty`](Self::is_empty) is false on every thread that can see the call (through
///   a `fence(SeqCst)` on both sides) until the task has come out;
/// - if `is_empty` is false, `find` with *any* local gives a task without another thread's help, or says [`Find::Retry`];
/// - tasks injected by one thread come out in that order when there is one worker.
pub trait RunQueue: Send + Sync + Sized + 'static {
    /// A worker's own part. Tasks in it can be taken by every other worker.
    type Local: Send + 'static;

    /// An empty queue.
    fn new(config: &QueueConfig) -> Self;
    /// The part of worker `index`, which is below [`QueueConfig::locals`]; asked for once an index.
    fn local(&self, index: usize) -> Self::Local;
    /// Adds a task from any thread.
    fn inject(&self, task: Task);
    /// Adds tasks from any thread, in their order; all at once if that is cheaper than one by one, which is the default.
    fn inject_all(&self, tasks: TaskList) {
        tasks.for_each(|task| self.inject(task));
    }
    /// Adds a task from the worker that `local` belongs to.
    fn push(&self, local: &Self::Local, task: Task);
    /// The next task for the worker that `local` belongs to.
    fn find(&self, local: &Self::Local) -> Find;
    /// The newest task in `local`, if it is at hand; none is always a right answer. A worker that has run a task because it waited
    /// for it takes that task's entry out with this, and puts any other one back; what stays comes up in its turn.
    fn retract(&self, _local: &Self::Local) -> Option<Task> {
        None
    }
    /// Any task, for a thread without a local.
    fn take(&self) -> Find;
    /// Takes out the first task that is wanted, for a thread that waits in a pool where nobody else is left to run it; the other tasks stay, if it can
    /// be in their order. Returns after having synchronized with whoever added what [`is_empty`](Self::is_empty) showed it.
    ///
    /// The default takes all tasks out, and puts them back behind what has come meanwhile.
    fn extract(&self, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
        take_all_and_put_back(self, wanted)
    }
    /// Whether no task waits anywhere.
    fn is_empty(&self) -> bool;
    /// How many tasks wait; an estimate while others work on the queue.
    fn len(&self) -> usize;
}

fn take_all_and_put_back<Q: RunQueue>(queue: &Q, wanted: &mut dyn FnMut(&Task) -> bool) -> Option<Task> {
    let mut taken = Vec::new();
    while !queue.is_empty() {
        match queue.take() {
            Find::Task(task, _) => taken.push(task),
            Find::Retry | Find::Empty => hint::spin_loop(),
        }
    }
    let found = taken.iter().position(wanted).map(|at| taken.remove(at));
    taken.into_iter().for_each(|task| queue.inject(task));
    found
}

/// Says when a worker looks at the injected tasks before its own, so that these can't starve those.
#[derive(Debug, Default)]
pub(crate) struct Fairness(Cell<u32>);

impl Fairness {
    /// Every this many looks. Prime, as in Go's scheduler, so that it does not fall into step with a program's own rhythm.
    const PERIOD: u32 = 61;

    #[inline]
    pub(crate) fn injected_first(&self) -> bool {
        let tick = self.0.get() + 1;
        self.0.set(if tick == Self::PERIOD { 0 } else { tick });
        tick == Self::PERIOD
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;
    use crate::sync::{Arc, Mutex};
    use crate::task::{Tally, detached};

    /// The numbers of injected tasks as they come out, after some have been found and then the third of the rest has been extracted, which is the first.
    fn order_with_an_extract<Q: RunQueue>(found_before: usize) -> Vec<usize> {
        let queue = Q::new(&QueueConfig { locals: 1, order: LocalOrder::Fifo });
        let (local, log) = (queue.local(0), Arc::new(Mutex::new(Vec::new())));
        let inject = |number| {
            let log = log.clone();
            queue.inject(detached(move || log.lock().push(number)));
        };
        let run = |task: Task| {
            let _ran = task.run(&Tally::default());
        };
        let find = || match queue.find(&local) {
            Find::Task(task, _) => run(task),
            found => panic!("{found:?}"),
        };
        (0..4).for_each(inject);
        (0..found_before).for_each(|_| find());
        // Those that were there when one was found are in another list than these.
        (4..8).for_each(inject);
        log.lock().clear();
        let mut asked = 0;
        let third = queue.extract(&mut |_| {
            asked += 1;
            asked == 3
        });
        third.into_iter().for_each(run);
        while !queue.is_empty() {
            find();
        }
        log.lock().clone()
    }

    fn keeps_the_order<Q: RunQueue>() {
        assert_eq!(order_with_an_extract::<Q>(0), [2, 0, 1, 3, 4, 5, 6, 7]);
        assert_eq!(order_with_an_extract::<Q>(1), [3, 1, 2, 4, 5, 6, 7]);
        assert_eq!(order_with_an_extract::<Q>(3), [5, 3, 4, 6, 7]);
    }

    #[test]
    fn what_is_not_extracted_keeps_its_order() {
        keeps_the_order::<Shared>();
        keeps_the_order::<Sharded>();
        // Nobody adds a task meanwhile.
        keeps_the_order::<Stealing>();
    }
}
