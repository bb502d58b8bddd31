//! Tasks for one worker each, which nobody else may run. `docs/broadcast.md` says why each is run or ended.

use std::collections::VecDeque;

use super::Core;
use super::idle::Admitted;
use crate::policy::LockPolicy;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sync::{Arc, Mutex, mutant};
use crate::task::{Discarded, Identity, Task, TaskError};

/// The tasks that wait for their worker, each with the index of its place.
#[derive(Debug)]
pub(super) struct Mail {
    /// How many there are. Changes under the lock.
    waiting: AtomicUsize,
    tasks: Mutex<VecDeque<(usize, Task)>>,
}

impl Mail {
    pub(super) fn new() -> Self {
        Self { waiting: AtomicUsize::new(0), tasks: Mutex::new(VecDeque::new()) }
    }

    /// Whether there is some, for anybody. Relaxed: whoever must not miss any has a lock of the pool from the one who posted it.
    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// In one step: of two posts, every worker gets the same one first.
    fn post(&self, new: Vec<(usize, Task)>) {
        let mut tasks = self.tasks.lock();
        tasks.extend(new);
        self.waiting.store(tasks.len(), Relaxed);
    }

    pub(super) fn has(&self, worker: usize) -> bool {
        self.is_there() && self.tasks.lock().iter().any(|(to, _)| *to == worker)
    }

    /// The first one for that worker.
    pub(super) fn take(&self, worker: usize) -> Option<Task> {
        self.take_if(worker, |_| true)
    }

    /// As `take`, as long as `last` is there.
    pub(super) fn take_until(&self, worker: usize, last: Identity) -> Option<Task> {
        self.take_if(worker, |tasks| tasks.iter().any(|(_, task)| task.identity() == last))
    }

    fn take_if(&self, worker: usize, may: impl FnOnce(&VecDeque<(usize, Task)>) -> bool) -> Option<Task> {
        let mut tasks = self.tasks.lock();
        let at = tasks.iter().position(|(to, _)| *to == worker).filter(|_| may(&tasks))?;
        let taken = tasks.remove(at);
        self.waiting.store(tasks.len(), Relaxed);
        taken.map(|(_, task)| task)
    }

    fn take_all(&self) -> VecDeque<(usize, Task)> {
        let mut tasks = self.tasks.lock();
        self.waiting.store(0, Relaxed);
        std::mem::take(&mut *tasks)
    }

    /// The workers for whom there is some. Looks under the lock in any case.
    fn addressees(&self) -> Vec<usize> {
        let mut workers: Vec<_> = self.tasks.lock().iter().map(|(to, _)| *to).collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }
}

impl<P: LockPolicy> Core<P> {
    /// Has each of the workers run its task, which may be a thread that is to be started for that. A pool that has stopped ends them.
    pub(super) fn post(self: &Arc<Self>, tasks: Vec<(usize, Task)>) {
        let workers: Vec<_> = tasks.iter().map(|(worker, _)| *worker).collect();
        self.mail.post(tasks);
        workers.into_iter().for_each(|worker| self.deliver_to(worker));
    }

    /// For a thread that has ended, or was not to be had: sees to the mail that was posted while it was counted.
    pub(super) fn deliver(self: &Arc<Self>) {
        if mutant("mail_for_who_ends_stays") {
            return;
        }
        self.mail.addressees().into_iter().for_each(|worker| self.deliver_to(worker));
    }

    /// Sees to it that somebody looks at a worker's mail.
    fn deliver_to(self: &Arc<Self>, worker: usize) {
        if self.broken().is_some() {
            return self.end_mail_of(worker, || self.refused());
        }
        if self.idle.wake(worker) {
            self.parkers[worker].unpark();
            self.woken.add_shared(1);
            return;
        }
        let mut free = self.free.lock();
        // The thread that has the place looks before it sleeps, and when it has left.
        let Some(at) = free.iter().position(|place| *place == worker) else { return };
        if !self.mail.has(worker) {
            return;
        }
        match self.idle.admit() {
            Admitted::Yes => {
                free.remove(at);
                let taken = self.threads_with(&free);
                drop(free);
                if let Err(error) = self.start_thread_at(worker, taken, false) {
                    self.end_mail_of(worker, || TaskError::NoWorker(error.kind()));
                    self.start_failed(&error);
                }
            }
            // Either somebody is about to start a thread here, or one that has left its place is about to see to this.
            Admitted::Full => {}
            Admitted::Stopped => {
                drop(free);
                self.end_mail_of(worker, || self.refused());
            }
        }
    }

    fn end_mail_of(&self, worker: usize, why: impl Fn() -> TaskError) {
        while let Some(task) = self.mail.take(worker) {
            let ended = task.discard(why()) == Discarded::Now;
            self.count_cancelled(usize::from(ended));
        }
        self.may_be_quiescent();
    }

    /// Ends all mail unrun; how many tasks that ends.
    pub(super) fn end_mail(&self, why: impl Fn() -> TaskError) -> usize {
        let tasks = self.mail.take_all();
        let ended = tasks.into_iter().map(|(_, task)| task.discard(why())).filter(|how| *how == Discarded::Now).count();
        self.count_cancelled(ended);
        self.may_be_quiescent();
        ended
    }
}
