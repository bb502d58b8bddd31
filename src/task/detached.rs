//! A fire-and-forget task: header and closure, nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::error::TaskError;
use super::header::{Header, Moment, Observer, Ran, Task, VTable};
use super::joinable::drop_quietly;

#[repr(C)]
struct Detached<F> {
    header: Header,
    closure: F,
}

impl<F: FnOnce() + Send + 'static> Detached<F> {
    const VTABLE: VTable = VTable { run: Self::run, discard: Self::discard, join: None };

    /// # Safety
    /// `header` is that of a `Detached<F>`, and the caller gives up its reference.
    unsafe fn run(header: NonNull<Header>, observe: Observer<'_>) -> Ran {
        // SAFETY: made by `Box::into_raw` in `detached`, with this `F`; the only reference.
        let task = unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) };
        let Self { closure, .. } = *task;
        observe(Moment::Begins);
        let ran = catch_unwind(AssertUnwindSafe(closure));
        observe(Moment::Ended { panicked: ran.is_err() });
        match ran {
            Ok(()) => Ran::Done,
            Err(payload) => Ran::Unobserved(payload),
        }
    }

    /// # Safety
    /// As for `run`.
    unsafe fn discard(header: NonNull<Header>, _why: TaskError) -> bool {
        // SAFETY: as in `run`.
        let task = unsafe { Box::from_raw(header.cast::<Self>().as_ptr()) };
        drop_quietly(task);
        true
    }
}

pub(crate) fn detached<F: FnOnce() + Send + 'static>(closure: F) -> Task {
    let task = Box::new(Detached { header: Header::new(&Detached::<F>::VTABLE), closure });
    let header = NonNull::from(Box::leak(task)).cast();
    // SAFETY: just made; this is its one reference.
    unsafe { Task::from_header(header) }
}
