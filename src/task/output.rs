//! What is done with a task's output, by whoever does not know its type.

use std::marker::PhantomData;
use std::mem::{needs_drop, replace, take};
use std::ptr::NonNull;

use super::error::{PanicPayload, TaskError};
use super::head::{Head, needs, slot_to_read, slot_to_write};
use super::header::Header;
use super::quietly::{drop_quietly, quietly};
use super::waiters::Waiters;
use crate::sync::atomic::Ordering;

#[derive(Debug)]
pub(super) struct OutputVTable {
    /// Puts an error in the slot, which has nothing in it, and is the caller's alone.
    pub(super) fail: unsafe fn(NonNull<()>, TaskError),
    /// Publishes the output in the slot of a task that has waiters, and calls and wakes them.
    pub(super) tell: unsafe fn(NonNull<Header>),
    /// Frees a terminal task to which the caller has the last reference.
    pub(super) free: unsafe fn(NonNull<Header>),
    /// The same for one that has lost its handle; hands a panic's payload back.
    pub(super) free_orphan: unsafe fn(NonNull<Header>) -> Option<PanicPayload>,
}

struct Of<T>(PhantomData<T>);

impl<T> Of<T> {
    const VTABLE: OutputVTable =
        OutputVTable { fail: fail::<T>, tell: tell::<T>, free: free::<T>, free_orphan: free_orphan::<T> };
}

pub(super) const fn vtable<T>() -> &'static OutputVTable {
    &Of::<T>::VTABLE
}

/// # Safety
/// The slot is that of a task with a result of type `T`, is the caller's alone, and what was in it is gone.
unsafe fn fail<T>(slot: NonNull<()>, why: TaskError) {
    // SAFETY: the caller's promise.
    unsafe { write(slot, Err::<T, _>(why)) };
}

/// # Safety
/// As for `fail`.
pub(super) unsafe fn write<T>(slot: NonNull<()>, output: Result<T, TaskError>) {
    // SAFETY: the caller's promise.
    unsafe { slot.cast().write(output) };
}

/// Moves it out.
///
/// # Safety
/// `header` is that of a terminal task with a result of type `T`, whose output nobody else takes or looks at.
pub(super) unsafe fn read<T>(header: NonNull<Header>) -> Result<T, TaskError> {
    // SAFETY: the caller's promise.
    let slot = unsafe { slot_to_write(header) };
    // SAFETY: terminal and not taken: the output is alive.
    unsafe { slot.cast().read() }
}

/// # Safety
/// `header` is that of a task with a result of type `T`, which the caller has written and not published; somebody has announced a waiter.
unsafe fn tell<T>(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    let waiters = head.waiters.load(Ordering::Acquire).cast::<Waiters<T>>();
    // SAFETY: whoever announces a waiter has put the list in place before, and it stays until the task is freed.
    let waiters = unsafe { &*waiters };
    let wakes = loop {
        let mut waiting = waiters.0.lock();
        let Some(callback) = waiting.callbacks.pop_front() else {
            // Under the lock, so that a callback is either in the list before or sees a terminal state.
            let _kept = head.state.publish(false, true);
            break take(&mut waiting.wakes);
        };
        drop(waiting);
        // SAFETY: alive, as it is not published.
        let output = unsafe { slot_to_read(header) };
        // SAFETY: written by the caller, and not yet visible to the handle.
        let output = unsafe { output.cast::<Result<T, TaskError>>().as_ref() };
        quietly(|| callback(output));
    };
    for wake in wakes {
        wake.wake();
    }
}

/// # Safety
/// `header` is that of a terminal task with a result of type `T`, to which the caller has the last reference.
pub(super) unsafe fn free<T>(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    let taken = unsafe { Head::of(header) }.state.load().is_taken();
    // SAFETY: terminal and not taken: the output is alive, and this is its last use.
    let output = (!taken).then(|| unsafe { read::<T>(header) });
    // SAFETY: the caller's promise, and the slot is empty.
    unsafe { free_taken::<T>(header) };
    drop_quietly(output);
}

/// The same for one whose output has been taken.
///
/// # Safety
/// As for `free`.
pub(super) unsafe fn free_taken<T>(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    let join = head.join();
    // Relaxed: the release of the last reference acquired everything.
    let waiters = NonNull::new(head.waiters.load(Ordering::Relaxed).cast::<Waiters<T>>());
    // SAFETY: the last reference is the caller's, and the slot is empty.
    unsafe { (join.release)(header, join.block) };
    if let Some(waiters) = waiters {
        // SAFETY: made by `Box::into_raw` in `JoinRef::waiters`.
        drop_quietly(unsafe { Box::from_raw(waiters.as_ptr()) });
    }
}

/// # Safety
/// As for `free`.
unsafe fn free_orphan<T>(header: NonNull<Header>) -> Option<PanicPayload> {
    // SAFETY: the caller's promise.
    let head = unsafe { Head::of(header) };
    let mut payload = None;
    if needs_drop::<T>() {
        // SAFETY: the caller's promise.
        unsafe { needs(header) }.before_user_code();
    }
    if !head.state.load().is_taken() {
        // SAFETY: the caller's promise.
        let output = unsafe { slot_to_write(header) };
        // SAFETY: terminal, not taken, and nobody else refers to it.
        let output = unsafe { output.cast::<Result<T, TaskError>>().as_mut() };
        if matches!(output, Err(TaskError::Panicked(_)))
            && let Err(TaskError::Panicked(taken)) = replace(output, Err(TaskError::Cancelled))
        {
            payload = Some(taken.into_payload());
        }
    }
    // SAFETY: the caller's promise.
    unsafe { free::<T>(header) };
    payload
}
