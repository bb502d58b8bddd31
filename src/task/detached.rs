//! A fire-and-forget task: header and closure, and what it needs before it may run.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::error::TaskError;
use super::header::{Discarded, Header, Ran, Task, VTable};
use super::memory;
use super::needs::Needs;
use super::quietly::drop_quietly;
use super::tally::Tally;

#[repr(C)]
struct Detached<F, N> {
    header: Header,
    needs: N,
    closure: F,
}

impl<F: FnOnce() + Send, N: Needs + 'static> Detached<F, N> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        discard: Self::discard,
        name: type_name::<F>,
        needs: Self::needs,
        join: None,
        stays: Self::STAYS,
    };
    /// Whether the memory has to stay until the closure is gone.
    const STAYS: bool = size_of::<N>() > 0;

    /// # Safety
    /// `header` is that of a `Detached<F, N>`, and the caller gives up its reference.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        let call = |closure| {
            tally.begins();
            let ran = catch_unwind(AssertUnwindSafe::<F>(closure));
            tally.returned();
            ran
        };
        // SAFETY: the caller's promise.
        let ran = unsafe { Self::end(header, call, N::ran) };
        match ran.map_err(TaskError::unwound) {
            Err(TaskError::Panicked(panic)) => {
                tally.ended(true);
                Ran::Unobserved(panic.into_payload())
            }
            _ => {
                tally.ended(false);
                Ran::Done
            }
        }
    }

    /// # Safety
    /// As for `run`.
    unsafe fn discard(header: NonNull<Header>, _why: TaskError) -> Discarded {
        // SAFETY: alive until the call below.
        let needs = unsafe { Self::needs_of(header.cast()) };
        // SAFETY: as above.
        unsafe { needs.as_ref() }.given_up();
        // SAFETY: the caller's promise.
        unsafe { Self::end(header, drop_quietly, N::dropped) };
        Discarded::Now
    }

    /// # Safety
    /// As for `run`.
    unsafe fn end<R>(header: NonNull<Header>, use_up: impl FnOnce(F) -> R, tell: impl FnOnce(&N)) -> R {
        let task = header.cast::<Self>();
        // SAFETY: made in `detached` with these types, and the only reference.
        let closure = unsafe { &raw const (*task.as_ptr()).closure };
        // SAFETY: not read again.
        let closure = unsafe { closure.read() };
        if !Self::STAYS {
            // SAFETY: moved out. Freed before it runs, so that what it spawns finds warm memory.
            unsafe { memory::release(task) };
            return use_up(closure);
        }
        let result = use_up(closure);
        // SAFETY: part of the task, which is here until it is freed below.
        let needs = unsafe { Self::needs_of(task) };
        // SAFETY: as above.
        tell(unsafe { needs.as_ref() });
        // SAFETY: not used again.
        let needs = unsafe { needs.read() };
        // SAFETY: moved out.
        unsafe { memory::release(task) };
        let epilogue = needs.epilogue();
        drop(needs);
        // SAFETY: closure and memory are gone.
        unsafe { epilogue.tell() };
        result
    }

    /// # Safety
    /// It is alive.
    unsafe fn needs_of(task: NonNull<Self>) -> NonNull<N> {
        // SAFETY: the caller's promise.
        let needs = unsafe { &raw mut (*task.as_ptr()).needs };
        // SAFETY: the address of a field is not null.
        unsafe { NonNull::new_unchecked(needs) }
    }

    /// # Safety
    /// `header` is that of a live `Detached<F, N>`.
    unsafe fn needs(header: NonNull<Header>) -> NonNull<dyn Needs> {
        // SAFETY: the caller's promise.
        unsafe { Self::needs_of(header.cast()) }
    }
}

pub(crate) fn detached<F: FnOnce() + Send + 'static>(closure: F) -> Task {
    let header = memory::allocate(Detached { header: Header::new(&Detached::<F, ()>::VTABLE), needs: (), closure });
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(header.cast()) }
}

/// A task that may borrow, with what it needs, which does not keep it from running.
///
/// # Safety
/// What it borrows stays until the epilogue of its needs.
pub(crate) unsafe fn detached_in<F: FnOnce() + Send, N: Needs + 'static>(needs: N, closure: F) -> Task {
    let made = memory::allocate(Detached { header: Header::new(&Detached::<F, N>::VTABLE), needs, closure });
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(made.cast()) }
}

/// A task that must not run before it has what it needs: `queue` gets it, and queues it to run when that is so. The needs stay until the task
/// has been handed on.
pub(crate) fn detached_needing<F, N>(needs: N, closure: F, queue: impl FnOnce(&N, Task))
where
    F: FnOnce() + Send + 'static,
    N: Needs + 'static,
{
    let made = memory::allocate(Detached { header: Header::new(&Detached::<F, N>::VTABLE), needs, closure });
    // SAFETY: just made; this is its one reference.
    let task = unsafe { Task::from_header(made.cast()) };
    // SAFETY: alive.
    let needs = unsafe { Detached::needs_of(made) };
    // SAFETY: `queue` has the task.
    queue(unsafe { needs.as_ref() }, task);
}
