//! Threads that are started for a task and have not come to the queue yet. To whoever submitted it the task is as good as begun, so a shutdown that
//! cancels what is queued leaves each of them one: the one that it would have taken by now, had it been quicker.

use std::collections::VecDeque;

use crate::policy::run_queue::{Find, Source};
use crate::sync::{Mutex, mutant};
use crate::task::Task;

/// Who takes a first task does so under the lock, and so does who leaves them theirs: so it is one task each.
#[derive(Debug, Default)]
pub(super) struct Starting(Mutex<Firsts>);

#[derive(Debug, Default)]
struct Firsts {
    threads: usize,
    /// No more than threads.
    left: VecDeque<Task>,
}

impl Starting {
    /// How many tasks have been left to threads that have not come yet.
    pub(super) fn len(&self) -> usize {
        self.0.lock().left.len()
    }

    /// A thread is about to be started for a task.
    pub(super) fn begin(&self) {
        self.0.lock().threads += 1;
    }

    /// The first task of such a thread: one that was left to it, or what it finds.
    pub(super) fn first(&self, find: impl FnOnce() -> Find) -> Find {
        let mut firsts = self.0.lock();
        let left = firsts.left.pop_front().map(|task| Find::Task(task, Source::Injected));
        let found = left.unwrap_or_else(find);
        if !matches!(found, Find::Retry) && !mutant("first_task_leaves_a_claim") {
            firsts.threads -= 1;
        }
        found
    }

    /// Such a thread does not come to it. The task that would be one too many then.
    pub(super) fn give_up(&self) -> Option<Task> {
        let mut firsts = self.0.lock();
        firsts.threads -= 1;
        if firsts.left.len() > firsts.threads && !mutant("first_task_goes_with_its_thread") {
            firsts.left.pop_back()
        } else {
            None
        }
    }

    /// Leaves each of the threads a task, while there are any to `take`, which is told how many threads these are.
    pub(super) fn leave(&self, mut take: impl FnMut(usize) -> Option<Task>) {
        let mut firsts = self.0.lock();
        let threads = firsts.threads;
        if mutant("first_tasks_left_late") {
            drop(firsts);
            firsts = self.0.lock();
        }
        while firsts.left.len() < threads
            && let Some(task) = take(threads)
        {
            firsts.left.push_back(task);
        }
    }
}
