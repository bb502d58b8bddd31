//! What is the same for all tasks with a handle, whatever their closure, their result and their needs.

use std::ptr::{self, NonNull};

use super::error::{PanicPayload, TaskError};
use super::header::{Header, Ran, VTable};
use super::memory::Block;
use super::needs::{Needs, TaskRef};
use super::output::OutputVTable;
use super::state::{Published, State};
use super::tally::Tally;
use crate::sync::atomic::AtomicPtr;
use crate::sync::{Retire, UnsafeCell};

/// The first bytes of a task with a handle.
#[repr(C)]
pub(super) struct Head {
    header: Header,
    pub(super) state: State,
    pub(super) pool: u32,
    /// A `Waiters<T>`, if there is one.
    pub(super) waiters: AtomicPtr<()>,
    /// Stands for the slot, for a checker to see who reads and writes that.
    access: UnsafeCell<()>,
}

/// What a task with a handle can do without anybody knowing the type of its closure. No entry touches the executor's reference.
#[derive(Debug)]
pub(super) struct JoinVTable {
    /// How far from the header the slot is, in bytes.
    pub(super) slot: usize,
    /// Calls the closure in the slot, which is the caller's alone, and puts the output there; whether it panicked.
    pub(super) call: unsafe fn(NonNull<()>) -> bool,
    /// Drops the closure in the slot, which is the caller's alone.
    pub(super) drop_closure: unsafe fn(NonNull<()>),
    /// Runs the closure after a claim to run.
    pub(super) run_claimed: unsafe fn(NonNull<Header>, &Tally),
    /// Drops the closure after a claim to cancel, and publishes the error.
    pub(super) cancel_claimed: unsafe fn(NonNull<Header>, TaskError),
    pub(super) output: &'static OutputVTable,
    /// Frees the memory of a task with nothing in its slot.
    pub(super) release: unsafe fn(NonNull<Header>, Block),
    pub(super) block: Block,
}

impl Head {
    pub(super) fn new(vtable: &'static VTable, state: State, pool: u32) -> Self {
        let waiters = AtomicPtr::new(ptr::null_mut());
        Self { header: Header::new(vtable), state, pool, waiters, access: UnsafeCell::new(()) }
    }

    /// # Safety
    /// `header` is that of a task with a handle, alive for `'a`.
    pub(super) unsafe fn of<'a>(header: NonNull<Header>) -> &'a Self {
        // SAFETY: the caller's promise; it is only reached through shared references while it is alive.
        unsafe { header.cast::<Self>().as_ref() }
    }

    /// Before its memory is given back.
    ///
    /// # Safety
    /// `header` is that of a task with a handle, to which the caller has the last reference.
    pub(super) unsafe fn retire(header: NonNull<Header>) {
        // SAFETY: the caller's promise.
        let head = unsafe { header.cast::<Self>().as_mut() };
        head.header.link.retire();
        head.state.retire();
        head.waiters.retire();
    }

    #[inline]
    pub(super) fn join(&self) -> &'static JoinVTable {
        self.header.vtable().join.expect("a task with a handle")
    }

    /// For one who has the slot to himself, and writes it meanwhile.
    pub(super) fn writes<R>(&self, f: impl FnOnce() -> R) -> R {
        self.access.with_mut(|_| f())
    }
}

/// The state word of the joinable task behind `header`.
pub(super) fn state_of(header: NonNull<Header>) -> NonNull<State> {
    let head = header.cast::<Head>().as_ptr();
    // SAFETY: a joinable task's header is the first field of its `Head`, which the pointer may reach.
    let state = unsafe { &raw mut (*head).state };
    // SAFETY: the address of a field is not null.
    unsafe { NonNull::new_unchecked(state) }
}

/// Where the slot is.
///
/// # Safety
/// `header` is that of a live task with a handle, and may reach all of it.
#[inline]
unsafe fn slot(header: NonNull<Header>) -> NonNull<()> {
    // SAFETY: the caller's promise.
    let offset = unsafe { Head::of(header) }.join().slot;
    // SAFETY: the slot is part of the task.
    unsafe { header.cast::<u8>().add(offset) }.cast()
}

/// The same for one who has it to himself, and reads it, moves out of it or writes it next.
///
/// # Safety
/// As for `slot`.
#[inline]
pub(super) unsafe fn slot_to_write(header: NonNull<Header>) -> NonNull<()> {
    // SAFETY: the caller's promise.
    unsafe { Head::of(header) }.access.with_mut(|_| ());
    // SAFETY: as above.
    unsafe { slot(header) }
}

/// The same for one who only looks at it.
///
/// # Safety
/// As for `slot`.
#[inline]
pub(super) unsafe fn slot_to_read(header: NonNull<Header>) -> NonNull<()> {
    // SAFETY: the caller's promise.
    unsafe { Head::of(header) }.access.with(|_| ());
    // SAFETY: as above.
    unsafe { slot(header) }
}

/// Ends a task as cancelled if it is still queued.
///
/// # Safety
/// `header` is that of a task with a handle, alive for the call.
pub(super) unsafe fn cancel(header: NonNull<Header>, why: TaskError) -> bool {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    let claimed = head.state.claim_to_cancel();
    if claimed {
        // SAFETY: the entry belongs to this task; claimed above, and alive for the call.
        unsafe { (head.join().cancel_claimed)(header, why) };
    }
    claimed
}

/// Claims a task to end it as expired; true if it was queued. Then it is alive until [`expire_claimed`].
///
/// # Safety
/// The task has a handle, and is alive for the call.
pub(super) unsafe fn claim_to_expire(task: TaskRef) -> bool {
    // SAFETY: the caller's promise.
    unsafe { Head::of(task.header()) }.state.claim_to_expire()
}

/// Ends it, and frees it if it has lost the other references.
///
/// # Safety
/// The caller has claimed it to expire, and does not use it again.
pub(super) unsafe fn expire_claimed(task: TaskRef, why: TaskError) {
    let header = task.header();
    // SAFETY: the claim keeps it alive.
    let head = unsafe { Head::of(header) };
    // SAFETY: the entry belongs to this task; claimed, and alive for the call.
    unsafe { (head.join().cancel_claimed)(header, why) };
    if head.state.release_expirer() {
        // SAFETY: that was the last reference.
        unsafe { free(header) };
    }
}

/// Gives up a task that somebody else has claimed.
///
/// # Safety
/// `header` is that of a live task with a handle, and the caller gives up the executor's reference.
pub(super) unsafe fn pass_over(header: NonNull<Header>) -> Ran {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    let cancelled = head.state.load().is_cancelled();
    // SAFETY: the executor's reference is the caller's to give up.
    unsafe { release_executor(header) };
    if cancelled { Ran::Cancelled } else { Ran::Claimed }
}

/// Runs the callbacks, makes the output visible and wakes who waits. With `executor` the executor's reference goes
/// too. Hands back the payload of a panic that no handle is there to receive.
///
/// # Safety
/// The caller has claimed the task and written its output; with `executor` it owns that reference, else the
/// handle's outlives the call.
pub(super) unsafe fn publish(header: NonNull<Header>, executor: bool) -> Option<PanicPayload> {
    // SAFETY: one of the two references is the caller's.
    let head = unsafe { Head::of(header) };
    match head.state.publish(executor, false) {
        Published::Released | Published::Kept => return None,
        // SAFETY: nobody else refers to the task.
        Published::Orphan => return unsafe { free_orphan(header) },
        Published::HasWaiters => {}
    }
    // SAFETY: not yet published.
    unsafe { needs(header) }.before_user_code();
    // SAFETY: somebody has announced a waiter, and the caller has written the output.
    unsafe { (head.join().output.tell)(header) };
    if executor && head.state.release_executor() {
        // SAFETY: that was the last reference.
        return unsafe { free_orphan(header) };
    }
    None
}

/// # Safety
/// The executor's reference is the caller's to give up.
pub(super) unsafe fn release_executor(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps it alive.
    if unsafe { Head::of(header) }.state.release_executor() {
        // SAFETY: that was the last reference. Not the executor's: whoever claimed the task has ended it, or still
        // holds the handle.
        unsafe { free(header) };
    }
}

/// # Safety
/// `header` is that of a task with a handle, alive for `'a`.
pub(super) unsafe fn needs<'a>(header: NonNull<Header>) -> &'a dyn Needs {
    // SAFETY: the caller's promise.
    unsafe { TaskRef::of_header(header).needs() }
}

/// Frees a terminal task.
///
/// # Safety
/// The caller has the last reference.
unsafe fn free(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    // SAFETY: the entry belongs to this task.
    unsafe { (head.join().output.free)(header) };
}

/// Frees a terminal task that has lost its handle; a panic's payload is handed back.
///
/// # Safety
/// As for `free`.
unsafe fn free_orphan(header: NonNull<Header>) -> Option<PanicPayload> {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    // SAFETY: the entry belongs to this task.
    unsafe { (head.join().output.free_orphan)(header) }
}
