//! A task with a handle: what it needs, and a slot that holds the closure and then the result. Little of it is made anew for each closure: that is what
//! a program's compile time goes to.

use std::any::type_name;
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use super::error::TaskError;
use super::head::{Head, JoinVTable, pass_over, publish, release_executor, slot_to_write};
use super::header::{Discarded, Header, Ran, Task, VTable};
use super::join_ref::JoinRef;
use super::memory::{self, Block};
use super::needs::Needs;
use super::output;
use super::quietly::quietly;
use super::state::State;
use super::tally::Tally;

/// What is the same for all closures and results of tasks that need an `N`.
#[repr(C)]
pub(super) struct Needing<N> {
    pub(super) head: Head,
    pub(super) needs: N,
}

/// Which of the two is alive follows from the state: the closure while queued, the output once terminal and not taken.
#[repr(C)]
pub(super) union Slot<F, T> {
    closure: ManuallyDrop<F>,
    output: ManuallyDrop<Result<T, TaskError>>,
}

#[repr(C)]
pub(super) struct Joinable<F, T, N> {
    needing: Needing<N>,
    /// Reached by [`slot_to_read`](super::head::slot_to_read) and [`slot_to_write`].
    slot: UnsafeCell<Slot<F, T>>,
}

impl<N: Needs + 'static> Needing<N> {
    /// # Safety
    /// `header` is that of a live task with a handle that needs an `N`.
    pub(super) unsafe fn this<'a>(header: NonNull<Header>) -> &'a Self {
        // SAFETY: the caller's promise; this part of a task is only reached through shared references while it is alive.
        unsafe { header.cast::<Self>().as_ref() }
    }

    /// # Safety
    /// As for `this`, and the caller gives up the executor's reference.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        if !this.head.state.claim_to_run() {
            // SAFETY: the executor's reference is the caller's to give up.
            return unsafe { pass_over(header) };
        }
        let epilogue = this.needs.epilogue();
        // SAFETY: claimed by this call.
        unsafe { Self::execute(header, tally) };
        // SAFETY: the executor's reference goes with the call.
        let unobserved = unsafe { publish(header, true) };
        // SAFETY: the closure is gone, and the output if no handle has it.
        unsafe { epilogue.tell() };
        match unobserved {
            Some(payload) => Ran::Unobserved(payload),
            None => Ran::Done,
        }
    }

    /// # Safety
    /// As for `run`.
    pub(super) unsafe fn discard(header: NonNull<Header>, why: TaskError) -> Discarded {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        if this.head.state.claim_to_cancel() {
            let epilogue = this.needs.epilogue();
            // SAFETY: claimed by this call.
            unsafe { Self::abandon(header, why) };
            // SAFETY: the executor's reference goes with the call.
            let _no_panic = unsafe { publish(header, true) };
            // SAFETY: as in `run`.
            unsafe { epilogue.tell() };
            Discarded::Now
        } else {
            let cancelled = this.head.state.load().is_cancelled();
            // SAFETY: the executor's reference is the caller's to give up.
            unsafe { release_executor(header) };
            if cancelled { Discarded::Cancelled } else { Discarded::Claimed }
        }
    }

    /// # Safety
    /// As for `this`; the caller has claimed the task to run, and holds its handle.
    unsafe fn run_claimed(header: NonNull<Header>, tally: &Tally) {
        // SAFETY: claimed by the caller.
        unsafe { Self::execute(header, tally) };
        // SAFETY: the handle's reference outlives the call.
        let _with_the_handle = unsafe { publish(header, false) };
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: the closure is gone, and the handle has the output: it is dropped with it, if not before, and not when the memory is freed.
        unsafe { this.needs.epilogue().tell() };
    }

    /// # Safety
    /// As for `run_claimed`, claimed to cancel or to expire, in which case the claim keeps it alive.
    unsafe fn cancel_claimed(header: NonNull<Header>, why: TaskError) {
        // SAFETY: claimed by the caller.
        unsafe { Self::abandon(header, why) };
        // SAFETY: the handle's reference outlives the call, or the claim does.
        let _no_panic = unsafe { publish(header, false) };
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: as in `run_claimed`.
        unsafe { this.needs.epilogue().tell() };
    }

    /// # Safety
    /// As for `this`.
    pub(super) unsafe fn needs(header: NonNull<Header>) -> NonNull<dyn Needs> {
        // SAFETY: the caller's promise.
        let needs: &dyn Needs = &unsafe { Self::this(header) }.needs;
        needs.into()
    }

    /// # Safety
    /// As for `this`; the caller has claimed the task to run, and calls this once.
    unsafe fn execute(header: NonNull<Header>, tally: &Tally) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: as above.
        let slot = unsafe { slot_to_write(header) };
        tally.begins();
        // SAFETY: the claim gives the closure in the slot to this call alone.
        let panicked = unsafe { (this.head.join().call)(slot) };
        this.head.writes(|| ());
        tally.returned();
        this.needs.ran();
        tally.ended(panicked);
    }

    /// # Safety
    /// As for `this`; the caller has claimed the task to cancel, and calls this once.
    pub(super) unsafe fn abandon(header: NonNull<Header>, why: TaskError) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        this.needs.given_up();
        let join = this.head.join();
        // SAFETY: as above.
        let slot = unsafe { slot_to_write(header) };
        // SAFETY: the claim gives the closure in the slot to this call alone.
        quietly(|| unsafe { (join.drop_closure)(slot) });
        this.needs.dropped();
        // SAFETY: claimed by the caller, and the closure has been dropped.
        unsafe { (join.output.fail)(slot, why) };
    }

    /// # Safety
    /// As for `this`, of a block of this size, to which the caller has the last reference; what is in its slot is gone.
    unsafe fn release(header: NonNull<Header>, block: Block) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: this is its last use.
        let needs = unsafe { ptr::read(&raw const this.needs) };
        // SAFETY: the caller's promise.
        unsafe { Head::retire(header) };
        // SAFETY: as above.
        unsafe { memory::give_back(block, header.cast()) };
        drop(needs);
    }
}

/// Calls the closure in the slot, and puts its output there; whether it panicked.
///
/// # Safety
/// The slot is that of a `Joinable<F, T, _>`, has the closure in it, and is the caller's alone.
unsafe fn call<F: FnOnce() -> T, T>(slot: NonNull<()>) -> bool {
    // SAFETY: the caller's promise.
    let closure = unsafe { slot.cast::<F>().read() };
    let output = catch_unwind(AssertUnwindSafe(closure)).map_err(TaskError::unwound);
    let panicked = output.as_ref().is_err_and(TaskError::is_panic);
    // SAFETY: the caller's promise, and the closure has been called.
    unsafe { slot.cast().write(output) };
    panicked
}

/// # Safety
/// There is an `F` at `slot`, which nobody uses again.
unsafe fn drop_closure<F>(slot: NonNull<()>) {
    // SAFETY: the caller's promise.
    unsafe { slot.cast::<F>().drop_in_place() };
}

impl<F, T, N> Joinable<F, T, N>
where
    F: FnOnce() -> T + Send,
    T: Send,
    N: Needs + 'static,
{
    const VTABLE: VTable = VTable {
        run: Needing::<N>::run,
        discard: Needing::<N>::discard,
        name: type_name::<F>,
        needs: Needing::<N>::needs,
        join: Some(&Self::JOIN),
        stays: true,
    };
    pub(super) const JOIN: JoinVTable = JoinVTable {
        slot: offset_of!(Self, slot),
        call: call::<F, T>,
        drop_closure: drop_closure::<F>,
        run_claimed: Needing::<N>::run_claimed,
        cancel_claimed: Needing::<N>::cancel_claimed,
        output: output::vtable::<T>(),
        release: Needing::<N>::release,
        block: Block::of::<Self>(),
    };
}

/// A new task for `pool`, and the handle's reference to it.
pub(crate) fn joinable<F, T>(pool: u32, closure: F) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    in_state(State::queued(), pool, (), closure)
}

/// As `joinable`, but no waiter may run it before it is [let go](Task::let_go).
pub(crate) fn delayed<F, T, N>(pool: u32, needs: N, closure: F) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    N: Needs + 'static,
{
    in_state(State::delayed(), pool, needs, closure)
}

/// A new task that may borrow, with what it needs, which does not keep it from running.
///
/// # Safety
/// What its closure borrows stays until the epilogue of its needs.
pub(crate) unsafe fn joinable_in<F, T, N>(pool: u32, needs: N, closure: F) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send,
    T: Send,
    N: Needs + 'static,
{
    in_state(State::queued(), pool, needs, closure)
}

/// A new task that no waiter may run before it is [let go](Task::let_go).
pub(crate) fn held_back<F, T>(pool: u32, closure: F) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    in_state(State::held_back(), pool, (), closure)
}

/// A task that must not run before it has what it needs: `queue` gets it, and queues it to run when that is so. Nor may a waiter run
/// it before its state says so. It stays alive for `queue`.
pub(crate) fn needing<F, T, N>(pool: u32, needs: N, closure: F, queue: impl FnOnce(&N, Task)) -> JoinRef<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
    N: Needs + 'static,
{
    let (task, join) = in_state(State::held_back(), pool, needs, closure);
    // SAFETY: just made so; the handle's reference keeps it alive.
    let needs = unsafe { Needing::<N>::this(join.header()) };
    queue(&needs.needs, task);
    join
}

#[inline]
fn allocate<F, T, N>(vtable: &'static VTable, state: State, pool: u32, needs: N, slot: Slot<F, T>) -> NonNull<Header> {
    let needing = Needing { head: Head::new(vtable, state, pool), needs };
    memory::allocate(Joinable { needing, slot: UnsafeCell::new(slot) }).cast()
}

pub(super) fn in_state<F, T, N>(state: State, pool: u32, needs: N, closure: F) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send,
    T: Send,
    N: Needs + 'static,
{
    made(&Joinable::<F, T, N>::VTABLE, state, pool, needs, closure)
}

pub(super) fn made<F, T, N>(
    vtable: &'static VTable,
    state: State,
    pool: u32,
    needs: N,
    closure: F,
) -> (Task, JoinRef<T>)
where
    F: FnOnce() -> T + Send,
    T: Send,
    N: Needs + 'static,
{
    let header = allocate(vtable, state, pool, needs, Slot::<F, T> { closure: ManuallyDrop::new(closure) });
    // SAFETY: just made with two references, of which this is the executor's.
    let task = unsafe { Task::from_header(header) };
    // SAFETY: the other one.
    (task, unsafe { JoinRef::from_header(header) })
}

/// The reference to a task that never was: it has ended with `error`.
pub(crate) fn refused<T: Send>(pool: u32, error: TaskError) -> JoinRef<T> {
    let output = ManuallyDrop::new(Err(error));
    let (vtable, state) = (&Joinable::<fn() -> T, T, ()>::VTABLE, State::finished_without_executor());
    let header = allocate(vtable, state, pool, (), Slot::<fn() -> T, T> { output });
    // SAFETY: just made with this one reference.
    unsafe { JoinRef::from_header(header) }
}
