//! The pool's threads: each has a place, which outlives it.

use std::fmt::Display;
use std::io;

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::run_queue::RunQueue;
use crate::runtime::worker;
use crate::sync::{Arc, mutant, thread};
use crate::task::TaskError;

impl<P: LockPolicy> Core<P> {
    /// Starts a thread that the counters know of; `for_task`: because there is one.
    pub(super) fn start_thread(self: &Arc<Self>, for_task: bool) -> io::Result<()> {
        let mut free = self.free.lock();
        let index = free.pop().expect("as many places as threads");
        let taken = self.threads_with(&free);
        drop(free);
        self.start_thread_at(index, taken, for_task)
    }

    /// How many places are taken if these are not.
    pub(in crate::runtime) fn threads_with(&self, free: &[usize]) -> usize {
        self.places.len() - free.len()
    }

    /// The same in a place that is not free any more.
    pub(in crate::runtime) fn start_thread_at(
        self: &Arc<Self>,
        index: usize,
        taken: usize,
        for_task: bool,
    ) -> io::Result<()> {
        if for_task {
            self.starting.begin();
        }
        let builder = self.thread_builder(index);
        let core = self.clone();
        // Locked over the start, so that the thread's end finds its handle in place.
        let mut place = self.places[index].thread.lock();
        match builder.spawn(move || worker::main(core, index, for_task)) {
            Ok(handle) => {
                *place = Some(handle);
                self.size.has_started(taken);
                Ok(())
            }
            Err(error) => {
                drop(place);
                if for_task {
                    self.give_up_first_task();
                }
                self.free.lock().push(index);
                Err(error)
            }
        }
    }

    /// A thread that was started for a task does not come to it. To be followed by a look at the queue, behind a barrier.
    pub(in crate::runtime) fn give_up_first_task(&self) {
        if let Some(task) = self.starting.give_up() {
            self.queue.inject(task);
        }
    }

    /// For a thread of that number, or whatever stands for it.
    pub(in crate::runtime) fn thread_builder(&self, number: impl Display) -> thread::Builder {
        let builder = thread::Builder::new().name(format!("{}_{number}", self.config.thread_name));
        match self.config.stack_size {
            Some(bytes) => builder.stack_size(bytes),
            None => builder,
        }
    }

    pub(in crate::runtime) fn start_failed(self: &Arc<Self>, error: &io::Error) {
        self.start_failures.add_shared(1);
        if self.idle.start_failed() {
            let kind = error.kind();
            self.ending(|| self.discard_all(|| TaskError::NoWorker(kind)));
            self.stop_if_empty();
        }
        self.let_over_if_stuck();
        if self.is_stuck() {
            self.waits.rouse();
        }
        self.deliver();
        self.may_be_quiescent();
    }

    /// Starts what is missing of the workers' threads; how many, and why no more.
    pub(crate) fn prestart(self: &Arc<Self>) -> (usize, io::Result<()>) {
        let mut started = 0;
        while self.idle.prestart(self.workers()) {
            if let Err(error) = self.start_thread(false) {
                self.start_failures.add_shared(1);
                let _none_left = self.idle.start_failed();
                if !mutant("failed_start_is_not_looked_after") {
                    self.has_left();
                }
                self.deliver();
                self.may_be_quiescent();
                return (started, Err(error));
            }
            started += 1;
        }
        (started, Ok(()))
    }

    pub(in crate::runtime) fn take_local(&self, index: usize) -> <P::Queue as RunQueue>::Local {
        // Made when a thread first takes the place, so that a queue need not look at places that were never used.
        self.places[index].local.lock().take().unwrap_or_else(|| self.queue.local(index))
    }

    /// A thread's last act but its exit: its place can be another's.
    pub(in crate::runtime) fn vacate(&self, index: usize, local: <P::Queue as RunQueue>::Local) {
        *self.places[index].local.lock() = Some(local);
        let mut free = self.free.lock();
        free.push(index);
        free.sort_unstable_by(|a, b| b.cmp(a));
    }
}
