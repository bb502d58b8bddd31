//! Ends queued tasks without running them.

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::run_queue::{Find, RunQueue};
use crate::policy::value_lock::ValueLock;
use crate::sync::{Arc, hint, mutant};
use crate::task::{Discarded, Task, TaskError};

impl<P: LockPolicy> Core<P> {
    /// Ends all queued tasks; how many. Of those that ended before, and only lay there, it tells none.
    pub(super) fn discard_all(&self, why: impl Fn() -> TaskError) -> usize {
        let mut ended = 0;
        while let Some(task) = self.take_any() {
            ended += usize::from(self.discard(task, why()));
        }
        self.may_be_quiescent();
        ended
    }

    /// Leaves a task to each thread that was started for one. How many others that ends.
    pub(super) fn leave_first_tasks(self: &Arc<Self>) -> usize {
        let mut others = Vec::new();
        self.starting.leave(|threads| {
            // Where the queue's order is that of the tasks' accesses, another thread could come before to what has been submitted later.
            let keeps_order = P::Lock::LINES || (threads == 1 && self.idle.load().threads() == 1);
            let may_be_left = |task: &Task| keeps_order || !task.is_ordered() || mutant("left_tasks_are_overtaken");
            loop {
                let task = self.take_any()?;
                if may_be_left(&task) {
                    return Some(task);
                }
                others.push(task);
            }
        });
        let end = || others.into_iter().map(|task| usize::from(self.discard(task, self.unrun()))).sum();
        self.ending(end)
    }

    /// Cancels what is queued now, and not what comes meanwhile; how many tasks that ends.
    pub(crate) fn discard_queued(self: &Arc<Self>) -> usize {
        let queued = self.queue.len() + self.ranked.len() as usize;
        let ended = self.ending(|| {
            let taken = (0..queued).map_while(|_| self.take_any());
            taken.map(|task| usize::from(self.discard(task, TaskError::Cancelled))).sum()
        });
        if !mutant("discard_untold") {
            self.may_be_quiescent();
        }
        ended
    }

    /// Cancels the oldest queued task that has not ended, if there is one, of those with the lowest priority.
    pub(super) fn discard_oldest(self: &Arc<Self>) {
        let ended = self.ending(|| {
            loop {
                match self.take_least() {
                    Find::Task(task, _) => {
                        if self.discard(task, TaskError::Cancelled) {
                            break true;
                        }
                    }
                    Find::Retry => hint::spin_loop(),
                    Find::Empty => break false,
                }
            }
        });
        if ended {
            self.may_be_quiescent();
        }
    }

    /// Ends a task that was in no queue.
    pub(super) fn cancel(&self, task: Task) {
        if matches!(task.discard(self.unrun()), Discarded::Now | Discarded::Cancelled) {
            self.count_cancelled(1);
        }
    }

    pub(super) fn count_cancelled(&self, tasks: usize) {
        self.cancelled.add_shared(tasks as u64);
    }

    /// The next queued task; none if there is none.
    fn take_any(&self) -> Option<Task> {
        loop {
            match self.take_next() {
                Find::Task(task, _) => return Some(task),
                Find::Empty if self.queue.is_empty() => return None,
                Find::Retry | Find::Empty => hint::spin_loop(),
            }
        }
    }

    /// Ends a task that was queued, and counts it; whether this ended it.
    fn discard(&self, task: Task, why: TaskError) -> bool {
        let how = task.discard(why);
        match how {
            // Also if it was cancelled through its handle: nobody else comes to it any more.
            Discarded::Now | Discarded::Cancelled => self.count_cancelled(1),
            Discarded::Claimed => self.claimed.add_shared(1),
            Discarded::GivenBack => {}
        }
        how == Discarded::Now
    }
}
