//! A fire-and-forget task: header and closure, and what it needs before it may run.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::error::{PanicPayload, TaskError};
use super::header::{Discarded, Header, Ran, Task, VTable};
use super::memory::{self, Block};
use super::needs::Needs;
use super::quietly::drop_quietly;
use super::tally::Tally;

/// What is the same for all closures of tasks that need an `N`.
#[repr(C)]
struct Needing<N> {
    header: Header,
    needs: N,
}

#[repr(C)]
struct Detached<F, N> {
    needing: Needing<N>,
    closure: F,
}

impl<F: FnOnce() + Send, N: Needs + 'static> Detached<F, N> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        discard: Self::discard,
        name: type_name::<F>,
        needs: Needing::<N>::erased,
        join: None,
        stays: Self::STAYS,
    };
    /// Whether the memory has to stay until the closure is gone.
    const STAYS: bool = size_of::<N>() > 0;

    #[inline]
    fn made(needs: N, closure: F) -> NonNull<Header> {
        let needing = Needing { header: Header::new(&Self::VTABLE), needs };
        memory::allocate(Self { needing, closure }).cast()
    }

    /// # Safety
    /// `header` is that of a `Detached<F, N>`, and the caller gives up its reference.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise, and it is not read again.
        let closure = unsafe { Self::closure(header) };
        if !Self::STAYS {
            // SAFETY: the only reference is this one.
            unsafe { Header::retire(header) };
            // SAFETY: moved out. Freed before it runs, so that what it spawns finds warm memory.
            unsafe { memory::release(header.cast::<Self>()) };
            return over(called(closure, tally), tally);
        }
        let ran = called(closure, tally);
        // SAFETY: alive until it is freed below.
        unsafe { Needing::<N>::of(header) }.ran();
        // SAFETY: the closure is gone, and this is its last use.
        unsafe { Needing::<N>::free(header, Block::of::<Self>()) };
        over(ran, tally)
    }

    /// # Safety
    /// As for `run`.
    unsafe fn discard(header: NonNull<Header>, _why: TaskError) -> Discarded {
        // SAFETY: alive until it is freed below.
        let needs = unsafe { Needing::<N>::of(header) };
        needs.given_up();
        // SAFETY: the caller's promise, and it is not read again.
        drop_quietly(unsafe { Self::closure(header) });
        needs.dropped();
        // SAFETY: the closure is gone, and this is its last use.
        unsafe { Needing::<N>::free(header, Block::of::<Self>()) };
        Discarded::Now
    }

    /// # Safety
    /// As for `run`; it is moved out.
    unsafe fn closure(header: NonNull<Header>) -> F {
        let task = header.cast::<Self>().as_ptr();
        // SAFETY: the caller's promise.
        let closure = unsafe { &raw const (*task).closure };
        // SAFETY: as above.
        unsafe { closure.read() }
    }
}

impl<N: Needs + 'static> Needing<N> {
    /// # Safety
    /// `header` is that of a live task without a handle that needs an `N`.
    unsafe fn of<'a>(header: NonNull<Header>) -> &'a N {
        // SAFETY: the caller's promise; this part of a task is only reached through shared references while it is alive.
        &unsafe { header.cast::<Self>().as_ref() }.needs
    }

    /// # Safety
    /// As for `of`.
    unsafe fn erased(header: NonNull<Header>) -> NonNull<dyn Needs> {
        // SAFETY: the caller's promise.
        let needs: &dyn Needs = unsafe { Self::of(header) };
        needs.into()
    }

    /// # Safety
    /// As for `of`, of a block of this size; the closure is gone, and it is not used again.
    unsafe fn free(header: NonNull<Header>, block: Block) {
        // SAFETY: the caller's promise.
        let needs: *const N = unsafe { Self::of(header) };
        // SAFETY: not used again.
        let needs = unsafe { needs.read() };
        // SAFETY: the only reference is the caller's.
        unsafe { Header::retire(header) };
        // SAFETY: moved out.
        unsafe { memory::give_back(block, header.cast()) };
        let epilogue = needs.epilogue();
        drop(needs);
        // SAFETY: closure and memory are gone.
        unsafe { epilogue.tell() };
    }
}

#[inline]
fn called(closure: impl FnOnce(), tally: &Tally) -> Result<(), PanicPayload> {
    tally.begins();
    let ran = catch_unwind(AssertUnwindSafe(closure));
    tally.returned();
    ran
}

#[inline]
fn over(ran: Result<(), PanicPayload>, tally: &Tally) -> Ran {
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

pub(crate) fn detached<F: FnOnce() + Send + 'static>(closure: F) -> Task {
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(Detached::made((), closure)) }
}

/// A task that may borrow, with what it needs, which does not keep it from running.
///
/// # Safety
/// What it borrows stays until the epilogue of its needs.
pub(crate) unsafe fn detached_in<F: FnOnce() + Send, N: Needs + 'static>(needs: N, closure: F) -> Task {
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(Detached::made(needs, closure)) }
}

/// A task that must not run before it has what it needs: `queue` gets it, and queues it to run when that is so. The needs stay until the task
/// has been handed on.
#[inline]
pub(crate) fn detached_needing<F, N>(needs: N, closure: F, queue: impl FnOnce(&N, Task))
where
    F: FnOnce() + Send + 'static,
    N: Needs + 'static,
{
    let header = Detached::made(needs, closure);
    // SAFETY: just made; this is its one reference.
    let task = unsafe { Task::from_header(header) };
    // SAFETY: `queue` has the task.
    queue(unsafe { Needing::<N>::of(header) }, task);
}
