//! How a pool ends: it refuses tasks, runs or cancels those that it has, and stops when its last thread has gone.

use std::ptr;

use super::Core;
use crate::policy::LockPolicy;
use crate::runtime::current::{self, Frame, Kind};
use crate::runtime::idle::Stop;
use crate::sync::atomic::{AtomicUsize, Ordering::*};
use crate::sync::{Arc, Instant, mutant};
use crate::task::quietly;

/// Who may still be ending tasks of the pool: its workers, who count once, and each thread from outside that does. With the last of them the pool has
/// terminated.
#[derive(Debug)]
pub(super) struct Enders(AtomicUsize);

impl Enders {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(1))
    }

    /// False if it is too late. Relaxed: it orders nothing.
    fn enter(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |enders| (enders > 0).then_some(enders + 1)).is_ok()
    }

    /// Whether it was the last one, who sees what all have done.
    fn leave(&self) -> bool {
        self.0.fetch_sub(1, if mutant("ending_is_not_seen") { Relaxed } else { AcqRel }) == 1
    }
}

impl<P: LockPolicy> Core<P> {
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.idle.is_draining()
    }

    pub(crate) fn is_terminated(&self) -> bool {
        *self.terminated.lock()
    }

    pub(in crate::runtime) fn is_cancelling(&self) -> bool {
        self.cancelling.load(Relaxed)
    }

    /// From now on tasks are refused; the queued ones are still run, and then the workers end. How many tasks of the timer that cancels.
    pub(crate) fn drain(self: &Arc<Self>) -> usize {
        let mut cancelled = 0;
        let sleepers = self.idle.drain();
        // Afterwards, as it does not begin any more in a pool that drains.
        self.pause.end();
        if let Some(sleepers) = sleepers {
            for index in sleepers {
                self.parkers[index].unpark();
            }
            self.stop_if_empty();
            if self.idle.load().has_timer() {
                cancelled = self.ending(|| self.drain_timer());
            }
        }
        // After the pool has begun to refuse tasks, also if another call did that.
        if let Some(capacity) = &self.capacity {
            capacity.close();
        }
        cancelled
    }

    /// As `drain`, and cancels what has not started; how many tasks that ends. A thread that was started for a task still gets one.
    pub(crate) fn drain_now(self: &Arc<Self>) -> usize {
        let is_paused = self.pause.is_on();
        let timed = self.drain();
        // In a pause it would have got none.
        let leaves = !is_paused && !mutant("first_task_is_cancelled");
        let ended = if leaves { self.leave_first_tasks() } else { 0 };
        timed + ended + self.cancel_queued()
    }

    /// Cancels what is queued, waits for its time or to be woken, or stands in line, but for what stands there without a handle, which ends when its turn
    /// comes; how many tasks that ends.
    pub(crate) fn cancel_queued(self: &Arc<Self>) -> usize {
        // Relaxed: a task whose turn comes at the same moment may be run, as one that started a moment before.
        self.cancelling.store(true, Relaxed);
        self.ending(|| {
            let timed = if self.idle.load().has_timer() { self.cancel_timed() } else { 0 };
            let futures = self.cancel_futures();
            let mail = self.end_mail(|| self.unrun());
            // First, as to end a queued task lets in the next one.
            let in_line = self.waiting_in_line() as usize;
            self.cancel_in_line();
            timed + futures + mail + in_line + self.discard_all(|| self.unrun())
        })
    }

    /// Calls `end`, which ends tasks, on whatever thread: before it has done so, the pool has not terminated.
    pub(in crate::runtime) fn ending<R>(self: &Arc<Self>, end: impl FnOnce() -> R) -> R {
        let counts = !mutant("ending_is_not_waited_for") && self.enders.enter();
        let result = self.in_a_frame(end);
        if counts {
            self.one_has_ended();
        }
        result
    }

    /// What the tasks own that are ended may wait for the end of the pool, which must not hang here.
    fn in_a_frame<R>(&self, end: impl FnOnce() -> R) -> R {
        if current::frames(|mut frames| frames.any(|frame| frame.covers(self.id))) {
            return end();
        }
        let lock = self.lock.as_covers();
        Frame::enter(self.id, lock, Kind::Idle, ptr::null(), ptr::null(), None, |_| end())
    }

    /// To be called in a pool that has not terminated: another thread ends a task, and then calls `one_has_ended`.
    pub(in crate::runtime) fn one_more_ends(&self) {
        let _counts = self.enders.enter();
    }

    /// One less who might be ending tasks.
    pub(in crate::runtime) fn one_has_ended(self: &Arc<Self>) {
        if self.enders.leave() {
            self.terminated();
        }
    }

    /// To be called after a thread has been taken off the count.
    pub(in crate::runtime) fn has_left(self: &Arc<Self>) {
        // Pushed while it counted.
        if self.has_queued() && !mutant("thread_leaves_without_a_look") {
            self.notify();
        }
        self.stop_if_empty();
    }

    /// Stops a draining pool that has no thread and nothing to do.
    pub(in crate::runtime) fn stop_if_empty(self: &Arc<Self>) {
        match self.idle.stop_if_empty(|| self.is_through()) {
            Stop::Done => self.stopped(),
            Stop::Held => self.timer.look_again(),
            // The last worker has left, and not looked yet. Else a task stands in line, and who lets it in looks again.
            Stop::Wanted if self.has_queued() => self.notify(),
            Stop::Wanted | Stop::NotYet => {}
        }
    }

    /// After the last thread has gone, and nothing is queued.
    pub(super) fn stopped(self: &Arc<Self>) {
        self.in_a_frame(|| {
            // First, as those that are woken now are queued.
            self.cancel_futures();
            // Submitted while the pool stopped: too late to run.
            self.discard_all(|| self.refused());
        });
        if self.idle.load().has_timer() {
            self.timer.stop();
        }
        self.one_has_ended();
    }

    fn terminated(&self) {
        let hook = self.hooks.terminated.lock().take();
        if let Some(hook) = hook {
            // In a frame of the pool: code that shuts it down must not wait for this very call.
            Frame::enter(self.id, None, Kind::Idle, ptr::null(), ptr::null(), None, |_| quietly(hook));
        }
        *self.terminated.lock() = true;
        self.termination.notify_all();
    }

    /// Waits for a draining pool to stop and joins its threads; false if the deadline came first, or if the caller is one
    /// of them and would wait for itself.
    pub(crate) fn join(&self, deadline: Option<Instant>) -> bool {
        if current::frames(|mut frames| frames.any(|frame| frame.covers(self.id))) {
            return self.is_terminated();
        }
        let mut terminated = self.terminated.lock();
        while !*terminated {
            match deadline {
                None => self.termination.wait(&mut terminated),
                Some(deadline) => {
                    if self.termination.wait_until(&mut terminated, deadline) && !*terminated {
                        return false;
                    }
                }
            }
        }
        drop(terminated);
        let timer = if self.idle.load().has_timer() { self.timer.take_thread() } else { None };
        let workers = self.places.iter().map(|place| place.thread.lock().take());
        for handle in workers.chain([timer]).flatten() {
            // A thread of the pool catches every panic of user code; there is nothing to pass on.
            let _ended = handle.join();
        }
        true
    }
}
