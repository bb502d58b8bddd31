//! How a pool ends: it refuses tasks, runs or cancels those that it has, and stops when its last thread has gone.

use std::ptr;

use super::Core;
use crate::policy::LockPolicy;
use crate::runtime::current::{self, Frame, Kind};
use crate::runtime::idle::Exit;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Arc, Instant};
use crate::task::quietly;

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
                cancelled = self.drain_timer();
            }
        }
        // After the pool has begun to refuse tasks, also if another call did that.
        if let Some(capacity) = &self.capacity {
            capacity.close();
        }
        cancelled
    }

    /// Cancels what is queued, waits for its time or to be woken, or stands in line, but for what stands there without a handle, which ends when its turn
    /// comes; how many tasks that ends.
    pub(crate) fn cancel_queued(&self) -> usize {
        // Relaxed: a task whose turn comes at the same moment may be run, as one that started a moment before.
        self.cancelling.store(true, Relaxed);
        let timed = if self.idle.load().has_timer() { self.cancel_timed() } else { 0 };
        let futures = self.cancel_futures();
        let mail = self.end_mail(|| self.unrun());
        // First, as to end a queued task lets in the next one.
        let in_line = self.waiting_for_values() as usize;
        self.cancel_in_line();
        timed + futures + mail + in_line + self.discard_all(|| self.unrun())
    }

    pub(in crate::runtime) fn after_exit(self: &Arc<Self>, exit: Exit) {
        match exit {
            Exit::Last => self.stopped(),
            // A task that was pushed while this thread made up its mind.
            Exit::Others | Exit::Held if self.has_queued() => self.notify(),
            Exit::Held => self.timer.look_again(),
            Exit::Others | Exit::Wanted => {}
        }
    }

    /// Stops a draining pool that has no thread and nothing queued.
    pub(in crate::runtime) fn stop_if_empty(self: &Arc<Self>) {
        match self.idle.stop_if_empty(|| self.has_queued()) {
            Exit::Last => self.stopped(),
            Exit::Held => self.timer.look_again(),
            // The last worker has left, and not looked yet.
            Exit::Wanted => self.notify(),
            Exit::Others => {}
        }
    }

    pub(super) fn stopped(self: &Arc<Self>) {
        // Submitted while the pool stopped: too late to run.
        self.discard_all(|| self.refused());
        self.end_futures();
        if self.idle.load().has_timer() {
            self.timer.stop();
        }
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
