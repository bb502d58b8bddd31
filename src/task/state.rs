//! The state word of a task with a handle, and its transitions.
//!
//! ```text
//! queued ──claim_to_run──▶ running ──publish──▶ finished
//!    └────claim_to_cancel──▶ cancelling ──publish──▶ cancelled
//! ```
//! A promise, whose output comes from outside, may stay a while in one more state before it is claimed:
//! ```text
//! queued ──start──▶ started ──claim_to_fulfil──▶ running ──publish──▶ finished
//!    └──────────────claim_to_fulfil─────────────────┘
//! ```
//! A series goes back from running to queued after each run but the last (`rearm`), a future after each poll but the last.
//!
//! Two references keep the allocation alive, a bit each: the executor's (the queue entry, then the worker) and the
//! handle's; and a third one, while somebody who has neither ends the task as expired. Whoever clears the last one frees. `docs/task-state.md` has the argument.

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sync::{MODEL, Retire, mutant};

/// Where a task stands, as its handle reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Accepted and not yet started; a series or a future: between two runs or polls.
    Queued,
    /// Its closure is running, or its future is being polled.
    Running,
    /// Ended with a value or with an error other than cancellation.
    Finished,
    /// Ended without having been started; a series or a future: ended by a cancel.
    Cancelled,
}

const PHASE: u32 = 0b111;
const QUEUED: u32 = 0;
const RUNNING: u32 = 1;
const CANCELLING: u32 = 2;
const FINISHED: u32 = 3;
const CANCELLED: u32 = 4;
/// A promise that its handle can't cancel any more, and that nobody has claimed yet.
const STARTED: u32 = 5;

const EXECUTOR: u32 = 1 << 3;
const HANDLE: u32 = 1 << 4;
/// Somebody registered a callback or a wake-up: the completer must look at the list.
const WAITERS: u32 = 1 << 5;
const CANCEL_REQUESTED: u32 = 1 << 6;
/// Waits for values, or for its time: no waiter may claim it to run.
const HELD_BACK: u32 = 1 << 8;
/// Waits for its time, or has done so.
const DELAYED: u32 = 1 << 9;
/// Runs again and again, each time when a timer says so, and never for a waiter.
const SERIES: u32 = 1 << 10;
/// A future: polled again and again, each time when it is woken, and never by a waiter.
const POLLED: u32 = 1 << 11;
/// Somebody who has neither of the other references has claimed it to cancel, and has not let go of it.
const EXPIRER: u32 = 1 << 12;
/// The handle has moved the output out.
const TAKEN: u32 = 1 << 7;

#[derive(Debug)]
pub(crate) struct State(AtomicU32);

/// A copy of the word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot(u32);

impl Snapshot {
    pub(crate) fn is_queued(self) -> bool {
        self.0 & PHASE == QUEUED
    }

    /// Whether a waiter may run it now.
    pub(crate) fn is_claimable(self) -> bool {
        self.0 & (PHASE | HELD_BACK) == QUEUED
    }

    /// Whether a waiter may run it, now or later, without another task's doing.
    pub(crate) fn comes_by_time(self) -> bool {
        self.is_queued() && self.0 & DELAYED != 0
    }

    pub(super) fn is_series(self) -> bool {
        self.0 & SERIES != 0
    }

    /// Whether it is queued again after it has run.
    pub(super) fn comes_again(self) -> bool {
        self.0 & (SERIES | POLLED) != 0
    }

    pub(crate) fn is_terminal(self) -> bool {
        matches!(self.0 & PHASE, FINISHED | CANCELLED)
    }

    pub(crate) fn is_cancelled(self) -> bool {
        matches!(self.0 & PHASE, CANCELLING | CANCELLED)
    }

    pub(super) fn is_taken(self) -> bool {
        self.0 & TAKEN != 0
    }

    pub(crate) fn public(self) -> TaskState {
        match self.0 & PHASE {
            QUEUED => TaskState::Queued,
            RUNNING | STARTED => TaskState::Running,
            FINISHED => TaskState::Finished,
            _ => TaskState::Cancelled,
        }
    }
}

/// What a finished or cancelled task's publication left to do.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) enum Published {
    /// The executor's reference went with it, and the handle has the rest.
    Released,
    /// No handle is left either: the caller owns the allocation.
    Orphan,
    /// The caller did not give up the executor's reference, or has none.
    Kept,
    /// Nothing was published: there are waiters, look at the list first.
    HasWaiters,
}

impl State {
    /// Its memory is about to be used for something else.
    pub(super) fn retire(&mut self) {
        self.0.retire();
    }

    pub(super) fn queued() -> Self {
        Self(AtomicU32::new(QUEUED | EXECUTOR | HANDLE))
    }

    /// As `queued`, but no waiter can claim it to run before [`let_go`](Self::let_go).
    pub(super) fn held_back() -> Self {
        Self(AtomicU32::new(QUEUED | HELD_BACK | EXECUTOR | HANDLE))
    }

    /// As `held_back`, for a task that waits for its time.
    pub(super) fn delayed() -> Self {
        Self(AtomicU32::new(QUEUED | HELD_BACK | DELAYED | EXECUTOR | HANDLE))
    }

    /// Held back for ever.
    pub(super) fn series() -> Self {
        Self(AtomicU32::new(QUEUED | HELD_BACK | SERIES | EXECUTOR | HANDLE))
    }

    /// Held back for ever.
    pub(super) fn polled() -> Self {
        Self(AtomicU32::new(QUEUED | HELD_BACK | POLLED | EXECUTOR | HANDLE))
    }

    /// From now on a waiter may claim the task. Release pairs with the acquire of that claim: what the tasks before it did to the
    /// values is seen by this one.
    pub(super) fn let_go(&self) {
        self.0.fetch_and(!HELD_BACK, Ordering::AcqRel);
    }

    pub(super) fn finished_without_executor() -> Self {
        Self(AtomicU32::new(FINISHED | HANDLE))
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Acquire pairs with the release in `publish`: who sees a terminal phase sees the output.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    #[inline]
    fn claim(&self, phase: u32, unless: u32) -> bool {
        self.claim_from(QUEUED, phase, unless)
    }

    #[inline]
    fn claim_from(&self, from: u32, phase: u32, unless: u32) -> bool {
        if mutant("task_claim_without_cas") {
            let seen = self.0.load(Ordering::Acquire);
            if seen & (PHASE | unless) != from {
                return false;
            }
            self.0.store((seen & !PHASE) | phase, Ordering::Release);
            return true;
        }
        let mut seen = self.0.load(Ordering::Relaxed);
        while seen & (PHASE | unless) == from {
            // Linearization point of the claim. Acquire: a claimer other than the one that took the task from a queue reads
            // the closure, which was written before the handle was given out.
            match self.0.compare_exchange_weak(seen, (seen & !PHASE) | phase, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// True for the one caller that may run the closure: a worker that took it from a queue.
    #[must_use]
    #[inline]
    pub(super) fn claim_to_run(&self) -> bool {
        self.claim(RUNNING, 0)
    }

    /// The same for a waiter, who may come before the task's turn.
    #[must_use]
    pub(super) fn claim_to_run_early(&self) -> bool {
        self.claim(RUNNING, HELD_BACK)
    }

    /// True for the one caller that may drop the closure unrun.
    #[must_use]
    pub(super) fn claim_to_cancel(&self) -> bool {
        self.claim(CANCELLING, 0)
    }

    /// As `claim_to_cancel`, by somebody without a reference, who gets one with it, until `release_expirer`.
    #[must_use]
    pub(super) fn claim_to_expire(&self) -> bool {
        let reference = if mutant("task_expire_without_reference") { 0 } else { EXPIRER };
        self.claim(CANCELLING | reference, 0)
    }

    /// Gives up the reference of `claim_to_expire`; true if it was the last.
    #[must_use]
    pub(super) fn release_expirer(&self) -> bool {
        self.0.fetch_and(!EXPIRER, Ordering::AcqRel) & (EXECUTOR | HANDLE) == 0
    }

    /// Of a promise: from now on its handle can't cancel it. False if that has happened, or it has been fulfilled.
    #[must_use]
    pub(crate) fn start(&self) -> bool {
        self.claim(STARTED, 0) || self.0.load(Ordering::Relaxed) & PHASE == STARTED
    }

    /// True for the one caller that may write a promise's output.
    #[must_use]
    pub(super) fn claim_to_fulfil(&self) -> bool {
        self.claim_of_promise(RUNNING)
    }

    /// The same for an output that says that it was cancelled.
    #[must_use]
    pub(super) fn claim_to_fulfil_as_cancelled(&self) -> bool {
        self.claim_of_promise(CANCELLING)
    }

    fn claim_of_promise(&self, phase: u32) -> bool {
        let again = if mutant("task_fulfil_leaves_started") { STARTED } else { phase };
        // In the order in which the two can come: it is not queued again.
        self.claim(phase, 0) || self.claim_from(STARTED, again, 0)
    }

    /// Of a promise, by the one who has published its output: true, and the output is the caller's, if the handle had gone without it.
    #[must_use]
    pub(super) fn take_orphan(&self) -> bool {
        // The handle's bit does not come back, and without it nobody else sets the other.
        let orphan = self.0.load(Ordering::Acquire) & (HANDLE | TAKEN) == 0 && !mutant("task_fulfil_keeps_orphan");
        if orphan {
            self.0.fetch_or(TAKEN, Ordering::Relaxed);
        }
        orphan
    }

    /// The caller, who has claimed it to run, cancels it instead.
    pub(super) fn cancel_claimed(&self) -> bool {
        self.claim_from(RUNNING, CANCELLING, 0)
    }

    /// A run of a series, or a poll of a future, has ended: true if it waits for the next one; false if it was asked to stop, as which it now counts as claimed
    /// to cancel.
    #[must_use]
    pub(super) fn rearm(&self) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let goes_on = seen & CANCEL_REQUESTED == 0 || mutant("series_ignores_requests");
            let phase = if goes_on { QUEUED } else { CANCELLING };
            // Release pairs with the acquire of the next claim, to run or to cancel: it finds the closure as this run has left it.
            match self.0.compare_exchange_weak(seen, (seen & !PHASE) | phase, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return goes_on,
                Err(now) => seen = now,
            }
        }
    }

    /// Makes the output visible. With `release` the executor's reference goes in the same step. `force`: the caller has
    /// seen to the waiters, under their lock.
    #[inline]
    pub(super) fn publish(&self, release: bool, force: bool) -> Published {
        let order = if mutant("task_publish_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        // Acquire, here and on failure, pairs with `announce_waiter`: who sees the bit finds the list in place.
        let seen_order = if mutant("task_publish_relaxed_look") { Ordering::Relaxed } else { Ordering::Acquire };
        let mut seen = self.0.load(seen_order);
        loop {
            if seen & WAITERS != 0 && !force && !mutant("task_publish_ignores_waiters") {
                return Published::HasWaiters;
            }
            let terminal = match seen & PHASE {
                RUNNING => FINISHED,
                _ => CANCELLED,
            };
            let mut next = (seen & !PHASE) | terminal;
            if release {
                next &= !EXECUTOR;
            }
            // Release pairs with the acquire in `load` and in the last release of the allocation.
            match self.0.compare_exchange_weak(seen, next, order, seen_order) {
                Ok(_) if !release => return Published::Kept,
                Ok(_) if next & HANDLE == 0 => return Published::Orphan,
                Ok(_) => return Published::Released,
                Err(now) => seen = now,
            }
        }
    }

    /// Announces a registered waiter; the word before. If that is terminal, nobody else looks at the list.
    pub(super) fn announce_waiter(&self) -> Snapshot {
        Snapshot(self.0.fetch_or(WAITERS, Ordering::AcqRel))
    }

    /// Asks the running task to stop; false if it has ended.
    pub(crate) fn request_cancel(&self) -> bool {
        !Snapshot(self.0.fetch_or(CANCEL_REQUESTED, Ordering::AcqRel)).is_terminal()
    }

    #[inline]
    pub(crate) fn cancel_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CANCEL_REQUESTED != 0
    }

    /// Gives up the executor's reference; true if it was the last.
    #[must_use]
    pub(super) fn release_executor(&self) -> bool {
        self.0.fetch_and(!EXECUTOR, Ordering::AcqRel) & (HANDLE | EXPIRER) == 0
    }

    /// Gives up the handle's reference; false, and nothing changes, if the task has ended and so has an output for the handle. In one step
    /// with that look, so that whoever ends the task knows to whom the output falls. The last reference is the executor's, or that of who ends it as expired.
    #[must_use]
    pub(super) fn detach(&self) -> bool {
        let mut seen = self.0.load(Ordering::Acquire);
        while !Snapshot(seen).is_terminal() {
            if mutant("task_detach_in_two_steps") {
                self.0.fetch_and(!HANDLE, Ordering::AcqRel);
                return true;
            }
            match self.0.compare_exchange_weak(seen, seen & !HANDLE, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// One who shared the handle's reference has gone. Tells a checker, which does not see into `Arc`, that the last of them comes after what
    /// the others have looked at.
    pub(crate) fn leave_share(&self) {
        if MODEL {
            self.0.fetch_or(0, Ordering::AcqRel);
        }
    }

    /// Notes that the output has been moved out and gives up the handle's reference; true if it was the last.
    #[must_use]
    #[inline]
    pub(super) fn release_handle_taken(&self) -> bool {
        // The handle's bit is 1 and the other 0, so one addition flips both.
        self.0.fetch_add(TAKEN - HANDLE, Ordering::AcqRel) & (EXECUTOR | EXPIRER) == 0
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests;
