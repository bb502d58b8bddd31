//! What a worker takes out of the queues out of turn, and what it puts back.

use super::Worker;
use crate::policy::LockPolicy;
use crate::policy::run_queue::RunQueue;
use crate::runtime::lane::{self, Lane};
use crate::sync::mutant;
use crate::task::{Identity, Task};

impl<P: LockPolicy> Worker<P> {
    /// Takes the newest entries out of this worker's queue as long as they are of tasks that have been claimed. Their memory
    /// would otherwise be kept until the worker comes by: in a recursion that waits, until its very end.
    pub(super) fn trim(&self) {
        while let Some(task) = self.core.queue.retract(&self.local) {
            if !task.is_spent() {
                self.put_back(task);
                return;
            }
            self.settle(task);
        }
    }

    pub(super) fn put_back(&self, task: Task) {
        self.core.queue.push(&self.local, task);
        // A worker that went to sleep meanwhile has not seen it.
        if !mutant("worker_puts_back_untold") {
            self.core.notify();
        }
    }

    /// Takes a task that this worker has pushed out of its queue again, without running it; false if somebody else has it.
    #[inline]
    pub(in crate::runtime) fn take_back(&self, task: Identity) -> bool {
        match self.core.queue.retract(&self.local) {
            Some(newest) if newest.identity() == task => {
                newest.forget();
                true
            }
            None => false,
            Some(newest) => self.dig_out(newest, task),
        }
    }

    #[cold]
    fn dig_out(&self, newest: Task, task: Identity) -> bool {
        let mut above = vec![newest];
        let found = loop {
            match self.core.queue.retract(&self.local) {
                Some(next) if next.identity() == task => break Some(next),
                Some(next) => above.push(next),
                None => break None,
            }
        };
        above.into_iter().rev().for_each(|task| self.put_back(task));
        found.map(Task::forget).is_some()
    }

    /// Takes the first task that is wanted out of the queues, wherever it is.
    pub(super) fn sift(&self, mut wanted: impl FnMut(&Task) -> bool) -> Option<Task> {
        let queue = &self.core.queue;
        let hands = self.core.waits.hands.lock();
        let found = queue.extract(&mut wanted);
        drop(hands);
        let found = found.or_else(|| self.core.ranked.take_if(wanted));
        // Somebody may have gone to sleep while the tasks were out. Who waits hears of it if this worker has found nothing: there is nothing new.
        if !queue.is_empty() {
            self.core.notify_others();
        }
        found
    }

    /// Has others find the halves of joins that this thread has for itself, before it stops looking after them. To be followed by a look at the
    /// queue, behind a barrier.
    pub(in crate::runtime) fn share_halves(&self) {
        if mutant("worker_blocks_on_its_halves") {
            return;
        }
        // SAFETY: it is used in this frame.
        let lane = unsafe { lane::here() };
        while let Some(task) = lane.and_then(Lane::share) {
            self.core.queue.push(&self.local, task);
        }
    }
}
