//! Tasks that end as expired if they have not started in time: the timer's thread sees to that. `docs/timer.md` has the argument.

use std::time::Duration;

use super::Core;
use super::due::DueQueue;
use super::timer::later;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Instant, mutant};
use crate::task::{self, Deadline, JoinRef, Task, TaskError};

/// Those of one pool, also of tasks that have started or ended: these are taken out when they are more than half of all.
pub(super) struct Deadlines {
    queue: DueQueue<Arc<Deadline>>,
    /// Tasks that have started or ended since they were last taken out: no fewer than there are such entries.
    over: usize,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { queue: DueQueue::new(), over: 0 }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.next_due()
    }

    /// True if it is the next one.
    pub(super) fn add(&mut self, deadline: Arc<Deadline>, due: Instant) -> bool {
        self.queue.add(deadline, due)
    }

    pub(super) fn take_next(&mut self) -> Option<Arc<Deadline>> {
        self.queue.take_next()
    }

    /// One is over.
    pub(super) fn note_over(&mut self) {
        self.over += 1;
        if self.over * 2 > self.queue.len() {
            self.over = 0;
            let _over = self.queue.take(|deadline| deadline.is_over());
        }
    }

    #[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Part of the closure of a task that has to start in time: its drop says that it has started, or has ended unrun.
struct Unstarted<P: LockPolicy> {
    core: Arc<Core<P>>,
    deadline: Arc<Deadline>,
}

impl<P: LockPolicy> Drop for Unstarted<P> {
    fn drop(&mut self) {
        self.deadline.end();
        self.core.a_deadline_is_over();
    }
}

impl<P: LockPolicy> Core<P> {
    /// The timer's part: the task's time to start is up.
    pub(super) fn expire(&self, deadline: &Deadline) {
        // The closure's drop and the callbacks belong to the task.
        let _helping = self.helping();
        deadline.expire();
    }
}

/// A task that ends as expired if it has not started when `within` has passed; `queue` gets it, unless the pool takes no deadline any more.
pub(crate) fn starting_within<P, T, F>(
    core: &Arc<Core<P>>,
    within: Duration,
    f: F,
    queue: impl FnOnce(Task),
) -> JoinRef<T>
where
    P: LockPolicy,
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let due = later(Instant::now(), within);
    let deadline = Arc::new(Deadline::default());
    let unstarted = Unstarted { core: core.clone(), deadline: deadline.clone() };
    let (task, join) = task::joinable(core.id, move || {
        drop(unstarted);
        f()
    });
    deadline.set(&task);
    // Before the task is queued, so that it can be refused. If it expires before it is queued, a worker passes over it.
    match core.put_deadline(deadline, due) {
        Ok(()) => queue(task),
        Err(error) => {
            let _ended = task.discard(error);
        }
    }
    join
}

impl<P: LockPolicy> Core<P> {
    fn put_deadline(self: &Arc<Self>, deadline: Arc<Deadline>, due: Instant) -> Result<(), TaskError> {
        if mutant("deadline_is_forgotten") {
            return Ok(());
        }
        self.with_timer(|deadlines| deadlines.add(deadline, due))
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::time::Duration;

    use crate::{LockFree, ThreadPool};

    #[test]
    fn deadlines_of_tasks_that_have_started_do_not_pile_up() {
        let pool: ThreadPool<LockFree> = ThreadPool::builder().max_workers(1).build().unwrap();
        for _ in 0..1000 {
            pool.task().start_within(Duration::from_secs(3600)).submit(|| ()).result().unwrap();
            assert!(pool.core().deadlines() <= 2, "{}", pool.core().deadlines());
        }
    }
}
