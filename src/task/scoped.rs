//! Tasks that borrow from who waits for them: one of many, counted, or a single one on the waiter's stack.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::thread::Result as Caught;

use super::error::TaskError;
use super::header::{Discarded, Header, Identity, Ran, Task, VTable};
use super::helper::Helper;
use super::latch::{Countdown, Latch};
use super::needs::Needs;
use super::quietly::drop_quietly;
use super::tally::Tally;
use crate::sync::UnsafeCell;

/// What is left to do when a task is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue(Option<NonNull<Countdown>>);

impl Epilogue {
    pub(crate) const NONE: Self = Self(None);

    /// # Safety
    /// Once a task, after its end, with nothing left of what it had borrowed but what its handle has.
    #[inline]
    pub(super) unsafe fn tell(self) {
        if let Some(countdown) = self.0 {
            // SAFETY: the caller's promise.
            unsafe { Countdown::end(countdown) };
        }
    }
}

/// What a task of a scope needs: that the scope hears of its end.
#[derive(Debug)]
pub(crate) struct Scoped(NonNull<Countdown>);

// SAFETY: it only counts down, which any thread may do.
unsafe impl Send for Scoped {}
// SAFETY: as above.
unsafe impl Sync for Scoped {}

impl Scoped {
    /// Counts one more task.
    pub(crate) fn one_of(countdown: &Countdown) -> Self {
        countdown.begin();
        Self(NonNull::from(countdown))
    }
}

impl Needs for Scoped {
    fn scope(&self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    fn epilogue(&self) -> Epilogue {
        Epilogue(Some(self.0))
    }
}

enum Slot<F, R> {
    Closure(F),
    Ran(Caught<R>),
    Empty,
}

/// How a task in the memory of who waits for it is run by anybody else.
pub(crate) trait Elsewhere: Sync {
    /// `helper` is there as long as `f`.
    fn run<R>(&self, helper: &Helper, f: impl FnOnce() -> R) -> R;
}

/// A single task in the memory of who waits for it. Whoever else runs it does so through `elsewhere`.
#[repr(C)]
pub(crate) struct OnStack<F, W, R> {
    header: Header,
    needs: Alone,
    helper: Helper,
    elsewhere: W,
    slot: UnsafeCell<Slot<F, R>>,
}

/// What it needs: nothing. Its waiter knows it by this address.
struct Alone {
    latch: Latch,
}

impl Needs for Alone {
    fn scope(&self) -> *const () {
        (&raw const self.latch).cast()
    }
}

impl<F: FnOnce() -> R + Send, W: Elsewhere, R: Send> OnStack<F, W, R> {
    const VTABLE: VTable = VTable {
        run: Self::run,
        discard: Self::give_back,
        name: type_name::<F>,
        needs: Self::needs,
        join: None,
        stays: true,
    };

    #[inline]
    pub(crate) fn new(closure: F, elsewhere: W) -> Self {
        let (header, needs, helper) = (Header::new(&Self::VTABLE), Alone { latch: Latch::new() }, Helper::new());
        Self { header, needs, helper, elsewhere, slot: UnsafeCell::new(Slot::Closure(closure)) }
    }

    pub(crate) fn latch(&self) -> &Latch {
        &self.needs.latch
    }

    pub(crate) fn helper(&self) -> &Helper {
        &self.helper
    }

    /// That of its task.
    pub(crate) fn identity(&self) -> Identity {
        (&raw const *self).cast()
    }

    /// The task to queue.
    ///
    /// # Safety
    /// To be called once. `this` neither moves nor ends before the task has come back, which is then forgotten, or the latch is set.
    pub(crate) unsafe fn task(this: NonNull<Self>) -> Task {
        // SAFETY: a header is its first field; whoever runs the task may reach all of it.
        unsafe { Task::from_header(this.cast()) }
    }

    /// The closure or its result.
    ///
    /// # Safety
    /// The task has come back, or the latch is set.
    #[inline]
    unsafe fn take(&self) -> Slot<F, R> {
        // SAFETY: nobody else has the task any more.
        self.slot.with_mut(|slot| unsafe { ptr::replace(slot, Slot::Empty) })
    }

    /// The result. Runs the closure here if nobody else did.
    ///
    /// # Safety
    /// As for `take`; once.
    #[inline]
    pub(crate) unsafe fn finish(&self) -> Caught<R> {
        // SAFETY: the caller's promise.
        match unsafe { self.take() } {
            Slot::Closure(closure) => Ok(closure()),
            Slot::Ran(result) => result,
            Slot::Empty => unreachable!("finished once"),
        }
    }

    /// Drops what there is.
    ///
    /// # Safety
    /// As for `take`.
    pub(crate) unsafe fn abandon(&self) {
        // SAFETY: the caller's promise.
        drop_quietly(unsafe { self.take() });
    }

    /// # Safety
    /// `header` is that of a live `OnStack<F, W, R>` whose task the caller has.
    unsafe fn run(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: this thread has the task.
        let Slot::Closure(closure) = (unsafe { this.take() }) else { unreachable!("run once") };
        tally.begins();
        let result = catch_unwind(AssertUnwindSafe(|| this.elsewhere.run(&this.helper, closure)));
        tally.returned();
        tally.ended(result.is_err());
        // SAFETY: as above.
        this.slot.with_mut(|slot| unsafe { ptr::write(slot, Slot::Ran(result)) });
        // SAFETY: set once, as the task is run once.
        unsafe { Latch::set(NonNull::from(this.latch())) };
        Ran::Done
    }

    /// Its queue doesn't run it: its waiter will.
    ///
    /// # Safety
    /// As for `run`.
    unsafe fn give_back(header: NonNull<Header>, _why: TaskError) -> Discarded {
        // SAFETY: the caller's promise.
        let this = unsafe { header.cast::<Self>().as_ref() };
        // SAFETY: set once, as the task is given back once.
        unsafe { Latch::set(NonNull::from(this.latch())) };
        Discarded::GivenBack
    }

    /// # Safety
    /// `header` is that of a live `OnStack<F, W, R>`.
    unsafe fn needs<'a>(header: NonNull<Header>) -> NonNull<dyn Needs + 'a> {
        // SAFETY: the caller's promise.
        let this = unsafe { header.cast::<Self>().as_ref() };
        NonNull::from(&this.needs)
    }
}
