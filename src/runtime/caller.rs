//! A submitter that runs the task itself, as the queue is full.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::Core;
use super::admission::leave_worker;
use super::current::{self, Frame, Kind};
use super::scope::ScopeId;
use super::wait::Wait;
use super::worker::Blockable;
use crate::policy::LockPolicy;
use crate::policy::gate::{Entrant, Gate};
use crate::sync::Arc;
use crate::task::state::State;
use crate::task::{Identity, Ran, Tally, Task, WaitError};

/// The pool of a caller's frame: none, as the frame's worker is not one of a pool's.
const NO_POOL: u32 = 0;

/// A thread that is no worker of the pool, or at the moment does not work for it, while it runs a task of it.
struct Caller<P: LockPolicy> {
    core: Arc<Core<P>>,
    /// Whether it has entered an exclusive gate.
    holds: Cell<bool>,
}

impl<P: LockPolicy> Caller<P> {
    fn enter(core: Arc<Core<P>>) -> Self {
        let this = Self { core, holds: Cell::new(false) };
        this.take_gate(Entrant::Ordinary);
        this
    }

    fn take_gate(&self, who: Entrant) {
        if P::Gate::EXCLUSIVE {
            self.core.gate().enter(who);
            self.holds.set(true);
        }
    }

    fn leave_gate(&self) -> bool {
        let held = self.holds.take();
        if held {
            self.core.gate().leave();
        }
        held
    }
}

impl<P: LockPolicy> Drop for Caller<P> {
    fn drop(&mut self) {
        self.leave_gate();
    }
}

/// It takes no worker's place, so there is none to give up.
impl<P: LockPolicy> Blockable for Caller<P> {
    fn block(&self, release: bool) -> bool {
        release && self.leave_gate()
    }

    fn unblock(&self, held: bool) {
        if held {
            self.take_gate(Entrant::Returner);
        }
    }

    fn pass_gate(&self, who: Entrant) {
        if self.leave_gate() {
            self.take_gate(who);
        }
    }

    fn may_inline(&self) -> bool {
        false
    }

    fn run_inline(&self, _task: Identity, _state: *const State, run: &mut dyn FnMut(&Tally)) {
        run(&Tally::default());
    }

    /// Not noted, as the waits of threads outside are not.
    fn begin_wait(&self, _wait: Wait) -> Result<(), WaitError> {
        Ok(())
    }

    fn check_progress(&self) -> Result<(), WaitError> {
        Ok(())
    }

    fn end_wait(&self) {}

    fn run_newest_of(&self, _scope: ScopeId) -> bool {
        false
    }

    fn is_stuck(&self) -> bool {
        false
    }

    fn find_any_of(&self, _scope: ScopeId) -> Option<Task> {
        None
    }

    fn run_on_top(&self, _task: Task) {
        unreachable!("it finds none");
    }

    fn share_kept(&self) {}

    fn called_for(&self, pool: u32) -> Option<NonNull<()>> {
        (pool == self.core.id).then(|| NonNull::from(&self.core).cast())
    }
}

impl<P: LockPolicy> Core<P> {
    /// The pool that the frame's thread works for, if that is the one with this number, which has this policy.
    pub(crate) fn served_by(frame: &Frame, pool: u32) -> Option<&Arc<Self>> {
        if frame.pool == pool {
            return Self::of_worker(frame);
        }
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let core = unsafe { &*frame.worker? }.called_for(pool)?;
        // SAFETY: pools' numbers are unique, so it is the `Arc` in a `Caller<P>`, which stays as long as the frame.
        Some(unsafe { core.cast().as_ref() })
    }

    /// Runs a new task, as its submitter.
    pub(super) fn run_here(self: &Arc<Self>, task: Task) {
        let (identity, state) =
            (task.running_identity(), task.state().map_or(ptr::null(), |state| state.as_ptr().cast_const()));
        let run = |_: &Frame| task.run(&Tally::default());
        let lock = self.lock.as_covers();
        let ran = current::frames(|mut frames| {
            let innermost = frames.next();
            let runs_task = |frame: &&Frame| matches!(frame.kind.get(), Kind::Plain | Kind::Context);
            let mine = innermost.filter(|frame| frame.pool == self.id).filter(runs_task);
            if let Some(worker) = mine.and_then(|frame| frame.worker) {
                // It has what any task of the pool needs.
                return Frame::enter(self.id, lock, Kind::Plain, identity, state, Some(worker), run);
            }
            // First, so that nobody waits for one lock while he has another.
            let _blocked = leave_worker(innermost);
            let _helping = self.helping();
            let caller = Caller::enter(self.clone());
            let blockable: *const dyn Blockable = &raw const caller;
            Frame::enter(NO_POOL, lock, Kind::Plain, identity, state, Some(blockable), run)
        });
        if let Ran::Unobserved(payload) = ran {
            self.unobserved_panic(payload);
        }
    }
}
