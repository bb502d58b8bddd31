//! The type-erased front of every task, and the owned pointer to it.

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::error::{PanicPayload, TaskError};
use super::head::JoinVTable;
use super::link::Link;
use super::needs::Needs;
use super::state::State;
use super::tally::Tally;

/// The first bytes of every task allocation.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Header {
    pub(super) link: Link,
    vtable: &'static VTable,
}

/// What can be done to a task whose closure type is erased. Each entry takes over the executor's reference.
#[derive(Debug)]
pub(super) struct VTable {
    pub(super) run: unsafe fn(NonNull<Header>, &Tally) -> Ran,
    pub(super) discard: unsafe fn(NonNull<Header>, TaskError) -> Discarded,
    /// The name of the closure's type.
    pub(super) name: fn() -> &'static str,
    /// What the task needs before it may run.
    pub(super) needs: unsafe fn(NonNull<Header>) -> NonNull<dyn Needs>,
    /// What a handle can do; none for a detached task.
    pub(super) join: Option<&'static JoinVTable>,
    /// Whether its memory stays until the closure is gone; else it may be another task's while that runs.
    pub(super) stays: bool,
}

impl Header {
    /// Before the memory of a task without a handle is given back.
    ///
    /// # Safety
    /// The caller has the only reference.
    pub(super) unsafe fn retire(mut header: NonNull<Self>) {
        // SAFETY: the caller's promise.
        unsafe { header.as_mut() }.link.retire();
    }

    pub(super) fn vtable(&self) -> &'static VTable {
        self.vtable
    }

    pub(super) fn new(vtable: &'static VTable) -> Self {
        Self { link: Link::new(), vtable }
    }
}

/// How a task taken from a queue went.
#[derive(Debug)]
#[must_use]
pub(crate) enum Ran {
    /// Its closure ran to its end; a panic, if any, is with the handle.
    Done,
    /// It panicked and nobody holds a handle: the payload is for the pool's panic handler.
    Unobserved(PanicPayload),
    /// Somebody else had claimed it already: the waiter that ran it.
    Claimed,
    /// It had been cancelled.
    Cancelled,
}

/// What became of a task that was to end unrun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Discarded {
    /// It has been ended by this.
    Now,
    /// Somebody claimed it before, to run it.
    Claimed,
    /// It was cancelled before.
    Cancelled,
    /// It has not ended: who waits for it will run it.
    GivenBack,
}

/// A ready task, owned: what a [`RunQueue`](crate::run_queue::RunQueue) stores and gives back.
///
/// It can't be cloned, so a queue can't run a task twice. Dropping it cancels the task: its closure is dropped and its
/// handle ends with [`TaskError::Cancelled`].
#[derive(Debug)]
pub struct Task(NonNull<Header>);

// SAFETY: the closure behind the pointer is `Send` (both constructors ask for it), and the header is only touched by the
// owner or through atomics.
unsafe impl Send for Task {}

/// Tells tasks apart while they are alive. Never dereferenced.
pub(crate) type Identity = *const ();

impl Task {
    /// # Safety
    /// `header` is that of a live task whose executor reference the caller hands over.
    pub(super) unsafe fn from_header(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn into_link(self) -> NonNull<Link> {
        ManuallyDrop::new(self).0.cast()
    }

    /// # Safety
    /// `link` came from [`Task::into_link`] and is turned back once.
    pub(crate) unsafe fn from_link(link: NonNull<Link>) -> Self {
        Self(link.cast())
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn identity(&self) -> Identity {
        self.0.as_ptr().cast_const().cast()
    }

    /// What tells it from other tasks while it runs; null if that is nothing, and nobody can wait for it.
    pub(crate) fn running_identity(&self) -> Identity {
        // SAFETY: the executor's reference keeps the header alive.
        let stays = unsafe { self.0.as_ref() }.vtable.stays;
        if stays { self.identity() } else { ptr::null() }
    }

    /// The state word of a task with a handle, where a request to cancel shows. Good until the task is run.
    pub(crate) fn state(&self) -> Option<NonNull<State>> {
        // SAFETY: the executor's reference keeps the header alive.
        let header = unsafe { self.0.as_ref() };
        header.vtable.join.is_some().then(|| super::head::state_of(self.0))
    }

    /// The name of its closure's type, the user's in it.
    pub(crate) fn name(&self) -> &'static str {
        // SAFETY: the executor's reference keeps the header alive.
        (unsafe { self.0.as_ref() }.vtable.name)()
    }

    /// Gives up the executor's reference, whose task is used otherwise. For a task in somebody's own memory.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }

    /// Whether somebody has claimed it already: then `run` will not run it.
    pub(crate) fn is_spent(&self) -> bool {
        // SAFETY: the executor's reference keeps the task alive.
        self.state().is_some_and(|state| !unsafe { state.as_ref() }.load().is_queued())
    }

    /// Runs the closure, unless somebody was faster, and counts it.
    pub(crate) fn run(self, tally: &Tally) -> Ran {
        let header = ManuallyDrop::new(self).0;
        // SAFETY: the executor's reference keeps the header alive.
        let run = unsafe { header.as_ref() }.vtable.run;
        // SAFETY: the entry belongs to this task, and the reference goes with the call.
        unsafe { run(header, tally) }
    }

    /// Ends the task without running it, unless somebody was faster.
    pub(crate) fn discard(self, why: TaskError) -> Discarded {
        let header = ManuallyDrop::new(self).0;
        // SAFETY: the executor's reference keeps the header alive.
        let discard = unsafe { header.as_ref() }.vtable.discard;
        // SAFETY: the entry belongs to this task, and the reference goes with the call.
        unsafe { discard(header, why) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ended = Task(self.0).discard(TaskError::Cancelled);
    }
}
