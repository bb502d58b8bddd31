//! What waits and blocking regions ask of the worker below them.

use std::any::Any;
use std::ptr::NonNull;

use super::{MAX_DEPTH, Worker, state_of};
use crate::policy::LockPolicy;
use crate::policy::gate::Entrant;
use crate::policy::run_queue::RunQueue;
use crate::policy::value_lock::ValueLock;
use crate::runtime::holders::{Holder, Stack};
use crate::runtime::scope::ScopeId;
use crate::runtime::timeline::Activity;
use crate::runtime::wait::Wait;
use crate::sync::mutant;
use crate::task::state::State;
use crate::task::{Identity, Tally, Task, WaitError};

/// What a wait or a blocking region asks of the worker below it, whatever its policy.
pub(crate) trait Blockable {
    /// Stops counting as active, so that another may run in its stead; lets go of the gate if `release`. Says whether
    /// it held it.
    fn block(&self, release: bool) -> bool;
    /// Takes back what `block` gave up.
    fn unblock(&self, held: bool);
    /// Lets go of the gate and enters it again, as `who`.
    fn pass_gate(&self, who: Entrant);
    /// Runs a claimed task on top of the one that waits for it; false if the stack is too deep for that.
    fn may_inline(&self) -> bool;
    fn run_inline(&self, task: Identity, state: *const State, run: &mut dyn FnMut(&Tally));
    /// Notes what this worker is about to wait for; an error if the wait could never end.
    fn begin_wait(&self, wait: Wait) -> Result<(), WaitError>;
    /// If it is stuck, and this wait can't help it: an error if no other can.
    fn check_progress(&self) -> Result<(), WaitError>;
    fn end_wait(&self);
    /// Runs the newest task in this worker's queue on top of the one that waits for it, if it is of that scope.
    fn run_newest_of(&self, scope: ScopeId) -> bool;
    /// After `block`: whether nobody is left to run what is queued.
    fn is_stuck(&self) -> bool;
    /// Takes a task of that scope out of the queues.
    fn find_any_of(&self, scope: ScopeId) -> Option<Task>;
    /// Runs a task on top of the one that waits for it.
    fn run_on_top(&self, task: Task);
    /// Has others find the task that it keeps for itself.
    fn share_kept(&self);
    /// A task on this worker's stack begins to hold what others stand in line for. It ends when the holder has been popped.
    ///
    /// # Safety
    /// As for [`Stack::push`].
    unsafe fn begin_to_hold(&self, _holder: &Holder) -> Option<&Stack> {
        None
    }
    /// The worker's value, unless a context has it.
    fn take_own(&self) -> Option<Box<dyn Any>> {
        None
    }
    /// What `take_own` took.
    fn put_own(&self, _own: Box<dyn Any>) {}
    /// If it is a caller that runs a task of that pool: where the pool's `Arc<Core>` is.
    fn called_for(&self, _pool: u32) -> Option<NonNull<()>> {
        None
    }
}

impl<P: LockPolicy> Blockable for Worker<P> {
    fn pass_gate(&self, who: Entrant) {
        let task = self.end_hold();
        self.let_go();
        self.enter_gate(who);
        self.hold.set(task.zip(self.core.watch()));
    }

    fn block(&self, release: bool) -> bool {
        self.share_halves();
        self.blocked_since.set(self.clock());
        let held = self.holds.get();
        if held && release {
            let task = self.end_hold();
            self.blocked.set(task);
            self.leave_gate();
        }
        // In the hook of a thread's start, which counts as searching.
        if self.searching.take() {
            let _looks_below = self.core.idle.stop_searching();
            self.give_up_first();
        }
        self.core.idle.block();
        self.wants();
        if self.core.has_queued() {
            self.core.notify();
        }
        self.core.let_over_if_stuck();
        held && release
    }

    fn unblock(&self, held: bool) {
        self.note(Activity::Blocked, "", self.blocked_since.take());
        self.core.idle.unblock();
        if held {
            self.enter_gate(Entrant::Returner);
            self.hold.set(self.blocked.take().zip(self.core.watch()));
        }
    }

    fn may_inline(&self) -> bool {
        self.depth.get() < MAX_DEPTH
    }

    fn run_inline(&self, task: Identity, state: *const State, run: &mut dyn FnMut(&Tally)) {
        self.core.inlined.add_shared(1);
        self.on_top(task, state, || run(self.tally()));
        self.trim();
    }

    fn begin_wait(&self, wait: Wait) -> Result<(), WaitError> {
        self.core.waits.begin(self.index, wait)
    }

    fn check_progress(&self) -> Result<(), WaitError> {
        let check = || self.core.waits.check(self.index, self.core.id, self.core.idle.load().threads());
        check().or_else(|_| {
            // That a task is seen to be in a queue does not say that it is seen to have been let go before; to have had it in hand does.
            if !mutant("wait_trusts_the_first_look") {
                self.sift(|_| false);
            }
            check()
        })
    }

    fn is_stuck(&self) -> bool {
        self.core.is_stuck()
    }

    fn run_newest_of(&self, scope: ScopeId) -> bool {
        let Some(task) = self.core.queue.retract(&self.local) else { return false };
        let runs = task.scope() == scope && self.may_inline();
        if runs {
            self.run_on_top(task);
        } else {
            self.put_back(task);
        }
        runs
    }

    fn find_any_of(&self, scope: ScopeId) -> Option<Task> {
        self.sift(|task| task.scope() == scope)
    }

    fn run_on_top(&self, task: Task) {
        let (identity, state) = (task.running_identity(), state_of(&task));
        self.on_top(identity, state, || self.settle(task));
    }

    fn end_wait(&self) {
        self.core.waits.end(self.index);
    }

    unsafe fn begin_to_hold(&self, holder: &Holder) -> Option<&Stack> {
        let core = &self.core;
        if !P::Lock::LINES && !core.has_limits() {
            return None;
        }
        let stack = core.holders.of(self.index);
        // SAFETY: the caller's promise.
        unsafe { stack.push(holder) };
        if core.is_cancelling() && !mutant("holders_look_no_more") {
            core.cancel_behind(stack);
        }
        Some(stack)
    }

    fn take_own(&self) -> Option<Box<dyn Any>> {
        self.own.take()
    }

    fn put_own(&self, own: Box<dyn Any>) {
        self.own.set(Some(own));
    }

    fn share_kept(&self) {
        if mutant("worker_keeps_a_task_too_long") {
            return;
        }
        if let Some(task) = self.kept.take() {
            task.let_go();
            self.core.push(task);
        }
    }
}
