//! A fire-and-forget task: header and closure, nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::error::TaskError;
use super::header::{Header, Ran, Task, VTable};
use super::joinable::drop_quietly;
use super::memory;
use super::tally::Tally;

#[repr(C)]
struct Detached<F> {
    header: Header,
    closure: F,
}

impl<F: FnOnce() + Send + 'static> Detached<F> {
    const VTABLE: VTable = VTable { run: Self::run, discard: Self::discard, join: None };

    /// # Safety
    /// `header` is that of a `Detached<F>`, and the caller gives up its reference.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        let task = header.cast::<Self>();
        // SAFETY: made in `detached` with this `F`; the only reference, and the closure is not read again.
        let Self { closure, .. } = unsafe { task.read() };
        // SAFETY: as above, and moved out. Freed before it runs, so that what it spawns finds warm memory.
        unsafe { memory::release(task) };
        tally.begins();
        let ran = catch_unwind(AssertUnwindSafe(closure));
        tally.ended(ran.is_err());
        match ran {
            Ok(()) => Ran::Done,
            Err(payload) => Ran::Unobserved(payload),
        }
    }

    /// # Safety
    /// As for `run`.
    unsafe fn discard(header: NonNull<Header>, _why: TaskError) -> bool {
        let task = header.cast::<Self>();
        // SAFETY: as in `run`.
        let Self { closure, .. } = unsafe { task.read() };
        // SAFETY: as in `run`.
        unsafe { memory::release(task) };
        drop_quietly(closure);
        true
    }
}

pub(crate) fn detached<F: FnOnce() + Send + 'static>(closure: F) -> Task {
    let header = memory::allocate(Detached { header: Header::new(&Detached::<F>::VTABLE), closure }).cast();
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(header) }
}
