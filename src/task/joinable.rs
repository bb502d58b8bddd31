//! A task with a handle: state word, waiters, and a cell that holds the closure and then the result.

use std::any::type_name;
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use super::error::{PanicPayload, TaskError};
use super::header::{Discarded, Header, JoinVTable, Ran, Task, VTable};
use super::join_ref::JoinRef;
use super::memory;
use super::needs::{Needs, TaskRef};
use super::state::{Published, State};
use super::tally::Tally;
use super::waiters::Waiters;
use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// The part that is the same for all closures and results.
#[repr(C)]
pub(super) struct JoinHead {
    header: Header,
    pub(super) state: State,
    pub(super) pool: u32,
}

/// The part that a handle to a `T` knows.
#[repr(C)]
pub(super) struct Joined<T> {
    pub(super) head: JoinHead,
    pub(super) waiters: AtomicPtr<Waiters<T>>,
}

/// Which of the two is alive follows from the state: the closure while queued, the output once terminal and not taken.
pub(super) union Slot<F, T> {
    closure: ManuallyDrop<F>,
    output: ManuallyDrop<Result<T, TaskError>>,
}

#[repr(C)]
pub(super) struct Joinable<F, T, N> {
    joined: Joined<T>,
    pub(super) needs: N,
    pub(super) slot: UnsafeCell<Slot<F, T>>,
}

/// The state word of the joinable task behind `header`.
pub(super) fn state_of(header: NonNull<Header>) -> NonNull<State> {
    let head = header.cast::<JoinHead>().as_ptr();
    // SAFETY: a joinable task's header is the first field of its `JoinHead`, which the pointer may reach.
    let state = unsafe { &raw mut (*head).state };
    // SAFETY: the address of a field is not null.
    unsafe { NonNull::new_unchecked(state) }
}

/// # Safety
/// `header` is that of a live task with a handle.
pub(super) unsafe fn join_vtable(header: NonNull<Header>) -> &'static JoinVTable {
    // SAFETY: the caller's promise.
    unsafe { header.as_ref() }.vtable().join.expect("a task with a handle")
}

/// Ends a task as cancelled if it is still queued.
///
/// # Safety
/// `header` is that of a task with a handle, alive for the call.
pub(super) unsafe fn cancel(header: NonNull<Header>, why: TaskError) -> bool {
    // SAFETY: the caller's promise.
    let claimed = unsafe { state_of(header).as_ref() }.claim_to_cancel();
    if claimed {
        // SAFETY: the caller's promise.
        let cancel = unsafe { join_vtable(header) }.cancel_claimed;
        // SAFETY: the entry belongs to this task; claimed above, and alive for the call.
        unsafe { cancel(header, why) };
    }
    claimed
}

/// Claims a task to end it as expired; true if it was queued. Then it is alive until [`expire_claimed`].
///
/// # Safety
/// The task has a handle, and is alive for the call.
pub(super) unsafe fn claim_to_expire(task: TaskRef) -> bool {
    // SAFETY: the caller's promise.
    unsafe { state_of(task.header()).as_ref() }.claim_to_expire()
}

/// Ends it, and frees it if it has lost the other references.
///
/// # Safety
/// The caller has claimed it to expire, and does not use it again.
pub(super) unsafe fn expire_claimed(task: TaskRef, why: TaskError) {
    let header = task.header();
    // SAFETY: the claim keeps it alive.
    let vtable = unsafe { join_vtable(header) };
    // SAFETY: the entry belongs to this task; claimed, and alive for the call.
    unsafe { (vtable.cancel_claimed)(header, why) };
    // SAFETY: as above.
    if unsafe { state_of(header).as_ref() }.release_expirer() {
        // SAFETY: that was the last reference.
        unsafe { (vtable.free)(header) };
    }
}

/// Drops `value`; a panic of its `Drop` is swallowed (the panic hook has reported it).
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// Runs user code whose panic must not reach the scheduler. The panic hook has reported it by then.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        // A payload whose own `Drop` panics is leaked the second time round: no end to the chain otherwise.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
    }
}

impl<F, T, N> Joinable<F, T, N>
where
    F: FnOnce() -> T + Send,
    T: Send,
    N: Needs + 'static,
{
    const VTABLE: VTable = VTable {
        run: Self::run,
        discard: Self::discard,
        name: type_name::<F>,
        needs: Self::needs,
        join: Some(&Self::JOIN),
        stays: true,
    };
    pub(super) const JOIN: JoinVTable = JoinVTable {
        run_claimed: Self::run_claimed,
        cancel_claimed: Self::cancel_claimed,
        output: Self::output,
        look: Self::look,
        free: Self::free,
    };

    fn allocate(vtable: &'static VTable, state: State, pool: u32, needs: N, slot: Slot<F, T>) -> NonNull<Header> {
        let task = memory::allocate(Self {
            joined: Joined {
                head: JoinHead { header: Header::new(vtable), state, pool },
                waiters: AtomicPtr::new(ptr::null_mut()),
            },
            needs,
            slot: UnsafeCell::new(slot),
        });
        task.cast()
    }

    /// # Safety
    /// `header` is that of a live `Joinable<F, T, N>`.
    pub(super) unsafe fn this<'a>(header: NonNull<Header>) -> &'a Self {
        // SAFETY: the caller's promise; the task is only reached through shared references while it is alive.
        unsafe { header.cast::<Self>().as_ref() }
    }

    /// # Safety
    /// `header` is that of a live `Joinable<F, T, N>`, and the caller gives up the executor's reference.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        if !this.state().claim_to_run() {
            // SAFETY: the executor's reference is the caller's to give up.
            return unsafe { Self::pass_over(header) };
        }
        let epilogue = this.needs.epilogue();
        // SAFETY: claimed by this call.
        unsafe { this.execute(tally) };
        // SAFETY: the executor's reference goes with the call.
        let unobserved = unsafe { Self::publish(header, true) };
        // SAFETY: the closure is gone, and the output if no handle has it.
        unsafe { epilogue.tell() };
        match unobserved {
            Some(payload) => Ran::Unobserved(payload),
            None => Ran::Done,
        }
    }

    /// Gives up a task that somebody else has claimed.
    ///
    /// # Safety
    /// As for `run`.
    pub(super) unsafe fn pass_over(header: NonNull<Header>) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        let cancelled = this.state().load().is_cancelled();
        if cancelled {
            this.needs.passed_over();
        }
        // SAFETY: the executor's reference is the caller's to give up.
        unsafe { Self::release_executor(header) };
        if cancelled { Ran::Cancelled } else { Ran::Claimed }
    }

    /// # Safety
    /// As for `run`.
    pub(super) unsafe fn discard(header: NonNull<Header>, why: TaskError) -> Discarded {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        if this.state().claim_to_cancel() {
            let epilogue = this.needs.epilogue();
            // SAFETY: claimed by this call.
            unsafe { this.abandon(why) };
            // SAFETY: the executor's reference goes with the call.
            let _no_panic = unsafe { Self::publish(header, true) };
            // SAFETY: as in `run`.
            unsafe { epilogue.tell() };
            Discarded::Now
        } else {
            let cancelled = this.state().load().is_cancelled();
            // SAFETY: the executor's reference is the caller's to give up.
            unsafe { Self::release_executor(header) };
            if cancelled { Discarded::Cancelled } else { Discarded::Claimed }
        }
    }

    /// # Safety
    /// `header` is that of a live `Joinable<F, T, N>`, which the caller has claimed to run and whose handle it holds.
    unsafe fn run_claimed(header: NonNull<Header>, tally: &Tally) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: claimed by the caller.
        unsafe { this.execute(tally) };
        // SAFETY: the handle's reference outlives the call.
        let _with_the_handle = unsafe { Self::publish(header, false) };
        // SAFETY: the closure is gone, and the handle has the output: it is dropped with it, if not before, and not when the memory is freed.
        unsafe { this.needs.epilogue().tell() };
    }

    /// # Safety
    /// As for `run_claimed`, claimed to cancel or to expire, in which case the claim keeps it alive.
    unsafe fn cancel_claimed(header: NonNull<Header>, why: TaskError) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // SAFETY: claimed by the caller.
        unsafe { this.abandon(why) };
        // SAFETY: the handle's reference outlives the call, or the claim does.
        let _no_panic = unsafe { Self::publish(header, false) };
        // SAFETY: as in `run_claimed`.
        unsafe { this.needs.epilogue().tell() };
    }

    /// # Safety
    /// `header` is that of a live `Joinable<F, T, N>`.
    pub(super) unsafe fn needs(header: NonNull<Header>) -> NonNull<dyn Needs> {
        // SAFETY: the caller's promise.
        let needs: &dyn Needs = &unsafe { Self::this(header) }.needs;
        needs.into()
    }

    /// # Safety
    /// `header` is that of a live, terminal `Joinable<F, T, N>`.
    unsafe fn output(header: NonNull<Header>) -> *mut () {
        // SAFETY: the caller's promise.
        unsafe { Self::this(header) }.slot.with_mut(|slot| slot.cast())
    }

    /// # Safety
    /// As for `output`.
    unsafe fn look(header: NonNull<Header>) -> *const () {
        // SAFETY: the caller's promise.
        unsafe { Self::this(header) }.slot.with(|slot| slot.cast())
    }

    /// # Safety
    /// `header` is that of a terminal `Joinable<F, T, N>` to which the caller has the last reference.
    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        // Relaxed: the release of the last reference acquired everything.
        let waiters = NonNull::new(this.joined.waiters.load(Ordering::Relaxed));
        // SAFETY: terminal and not taken: the output is alive, and this is its last use.
        let output = (!this.state().load().is_taken()).then(|| unsafe { this.read() });
        // SAFETY: this is its last use.
        let needs = unsafe { ptr::read(&raw const this.needs) };
        // SAFETY: made by `allocate`, and nobody else refers to it.
        unsafe { memory::release(header.cast::<Self>()) };
        drop(needs);
        if let Some(waiters) = waiters {
            // SAFETY: made by `Box::into_raw` in `JoinRef::waiters`.
            drop_quietly(unsafe { Box::from_raw(waiters.as_ptr()) });
        }
        drop_quietly(output);
    }

    pub(super) fn state(&self) -> &State {
        &self.joined.head.state
    }

    /// # Safety
    /// The caller has claimed the task, whose closure is gone or needs no drop, and has not published it.
    pub(super) unsafe fn write(&self, output: Result<T, TaskError>) {
        // SAFETY: claimed and not yet published: nobody else looks at the cell.
        self.slot.with_mut(|slot| unsafe { ptr::write(slot.cast(), output) });
    }

    /// # Safety
    /// The task is terminal, and nobody else takes its output, or looks at it.
    pub(super) unsafe fn read(&self) -> Result<T, TaskError> {
        // SAFETY: terminal and not taken: the output is alive.
        self.slot.with_mut(|slot| unsafe { ptr::read(slot.cast()) })
    }

    /// # Safety
    /// The caller has claimed to run, and calls this once.
    unsafe fn execute(&self, tally: &Tally) {
        // SAFETY: the claim gives the closure to this call alone.
        let closure = self.slot.with_mut(|slot| unsafe { ptr::read(slot.cast::<F>()) });
        tally.begins();
        let output = catch_unwind(AssertUnwindSafe(closure)).map_err(TaskError::unwound);
        tally.returned();
        self.needs.ran();
        tally.ended(output.as_ref().is_err_and(TaskError::is_panic));
        // SAFETY: claimed by the caller, and the closure has been called.
        unsafe { self.write(output) };
    }

    /// # Safety
    /// The caller has claimed to cancel, and calls this once.
    pub(super) unsafe fn abandon(&self, why: TaskError) {
        self.needs.given_up();
        // SAFETY: the claim gives the closure to this call alone.
        let closure = self.slot.with_mut(|slot| unsafe { ptr::read(slot.cast::<F>()) });
        drop_quietly(closure);
        self.needs.dropped();
        // SAFETY: claimed by the caller, and the closure has been dropped.
        unsafe { self.write(Err(why)) };
    }

    /// Runs the callbacks, makes the output visible and wakes who waits. With `executor` the executor's reference goes
    /// too. Hands back the payload of a panic that no handle is there to receive.
    ///
    /// # Safety
    /// The caller has claimed the task and written its output; with `executor` it owns that reference, else the
    /// handle's outlives the call.
    pub(super) unsafe fn publish(header: NonNull<Header>, executor: bool) -> Option<PanicPayload> {
        // SAFETY: one of the two references is the caller's.
        let this = unsafe { Self::this(header) };
        match this.state().publish(executor, false) {
            Published::Released | Published::Kept => return None,
            // SAFETY: nobody else refers to the task.
            Published::Orphan => return unsafe { Self::free_orphan(header) },
            Published::HasWaiters => {}
        }
        this.needs.before_user_code();
        let waiters = this.joined.waiters.load(Ordering::Acquire);
        // SAFETY: whoever announces a waiter has put the list in place before, and it stays until the task is freed.
        let waiters = unsafe { &*waiters };
        let wakes = loop {
            let mut waiting = waiters.0.lock();
            let Some(callback) = waiting.callbacks.pop_front() else {
                // Under the lock, so that a callback is either in the list before or sees a terminal state.
                let _kept = this.state().publish(false, true);
                break std::mem::take(&mut waiting.wakes);
            };
            drop(waiting);
            // SAFETY: written by the caller, and not yet visible to the handle.
            let output = this.slot.with(|slot| unsafe { &*slot.cast::<Result<T, TaskError>>() });
            quietly(|| callback(output));
        };
        for wake in wakes {
            wake.wake();
        }
        if executor && this.state().release_executor() {
            // SAFETY: that was the last reference.
            return unsafe { Self::free_orphan(header) };
        }
        None
    }

    /// Frees a task that has lost its handle; a panic's payload is handed back.
    ///
    /// # Safety
    /// As for `free`.
    unsafe fn free_orphan(header: NonNull<Header>) -> Option<PanicPayload> {
        // SAFETY: the caller's promise.
        let this = unsafe { Self::this(header) };
        let mut payload = None;
        if needs_drop::<T>() {
            this.needs.before_user_code();
        }
        if !this.state().load().is_taken() {
            // SAFETY: terminal, not taken, and nobody else refers to it.
            let output = this.slot.with_mut(|slot| unsafe { &mut *slot.cast::<Result<T, TaskError>>() });
            if matches!(output, Err(TaskError::Panicked(_)))
                && let Err(TaskError::Panicked(taken)) = std::mem::replace(output, Err(TaskError::Cancelled))
            {
                payload = Some(taken.into_payload());
            }
        }
        // SAFETY: the caller's promise.
        unsafe { Self::free(header) };
        payload
    }

    /// # Safety
    /// The executor's reference is the caller's to give up.
    pub(super) unsafe fn release_executor(header: NonNull<Header>) {
        // SAFETY: the caller's reference keeps it alive.
        if unsafe { Self::this(header) }.state().release_executor() {
            // SAFETY: that was the last reference. Not the executor's: whoever claimed the task has ended it, or still
            // holds the handle.
            unsafe { Self::free(header) };
        }
    }
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
    let task_with_needs = unsafe { Joinable::<F, T, N>::this(join.header()) };
    queue(&task_with_needs.needs, task);
    join
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
    let slot = Slot::<F, T> { closure: ManuallyDrop::new(closure) };
    let header = Joinable::allocate(vtable, state, pool, needs, slot);
    // SAFETY: just made with two references, of which this is the executor's.
    let task = unsafe { Task::from_header(header) };
    // SAFETY: the other one.
    (task, unsafe { JoinRef::from_header(header) })
}

/// The reference to a task that never was: it has ended with `error`.
pub(crate) fn refused<T: Send>(pool: u32, error: TaskError) -> JoinRef<T> {
    let output = ManuallyDrop::new(Err(error));
    let (vtable, state) = (&Joinable::<fn() -> T, T, ()>::VTABLE, State::finished_without_executor());
    let header = Joinable::allocate(vtable, state, pool, (), Slot::<fn() -> T, T> { output });
    // SAFETY: just made with this one reference.
    unsafe { JoinRef::from_header(header) }
}
