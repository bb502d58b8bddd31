//! The handle's reference to a task.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::error::TaskError;
use super::head::{Head, cancel, slot_to_read, slot_to_write};
use super::header::{Header, Identity};
use super::output;
use super::quietly::{drop_quietly, quietly};
use super::state::{Snapshot, State};
use super::tally::Tally;
use super::waiters::{Callback, Waiters, Wake};
use crate::sync::atomic::Ordering;
use crate::sync::mutant;

/// The handle's reference to a task.
pub(crate) struct JoinRef<T> {
    header: NonNull<Header>,
    output: PhantomData<T>,
}

// SAFETY: it gives access to a `T` and to atomics; the closure is `Send` too, and a claim moves it whole.
unsafe impl<T: Send> Send for JoinRef<T> {}
// SAFETY: shared, it reads atomics, claims (which moves a `Send` closure) and registers wake-ups under a lock; the output
// moves out by value only.
unsafe impl<T: Send> Sync for JoinRef<T> {}
impl<T> Unpin for JoinRef<T> {}

impl<T> JoinRef<T> {
    /// # Safety
    /// `header` is that of a live task with a result of type `T`, whose handle's reference the caller hands over.
    pub(super) unsafe fn from_header(header: NonNull<Header>) -> Self {
        Self { header, output: PhantomData }
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.header
    }

    fn head(&self) -> &Head {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { Head::of(self.header) }
    }

    pub(crate) fn state(&self) -> &State {
        &self.head().state
    }

    pub(crate) fn pool(&self) -> u32 {
        self.head().pool
    }

    pub(crate) fn identity(&self) -> Identity {
        self.header.as_ptr().cast_const().cast()
    }

    /// The output of an ended task, to be moved.
    fn output(&self) -> Option<NonNull<Result<T, TaskError>>> {
        if !self.snapshot().is_terminal() {
            return None;
        }
        // SAFETY: terminal, by the acquire load above.
        Some(unsafe { slot_to_write(self.header) }.cast())
    }

    /// The output of an ended task, only to be looked at. It stays until the handle, which is borrowed, moves it.
    pub(super) fn look(&self) -> Option<NonNull<Result<T, TaskError>>> {
        if !self.snapshot().is_terminal() {
            return None;
        }
        // SAFETY: terminal, by the acquire load above.
        Some(unsafe { slot_to_read(self.header) }.cast())
    }

    /// Runs the task here if it is still queued. `around` gets the rest to call, in whatever frame it sets up.
    pub(crate) fn claim_and_run(&self, around: impl FnOnce(&mut dyn FnMut(&Tally))) -> bool {
        if !self.state().claim_to_run_early() {
            return false;
        }
        let run = self.head().join().run_claimed;
        around(&mut |tally| {
            // SAFETY: claimed above, and the handle's reference is borrowed for the call.
            unsafe { run(self.header, tally) }
        });
        true
    }

    /// Ends the task as cancelled if it is still queued, or the series, perhaps with the run that goes on.
    pub(crate) fn cancel(&self) -> bool {
        self.cancel_queued() || (self.snapshot().is_series() && self.request_cancel())
    }

    /// Asks the task to stop, or the series or the future to end; false if it has ended.
    pub(crate) fn request_cancel(&self) -> bool {
        let asked = self.state().request_cancel();
        if asked && self.snapshot().comes_again() {
            // A run that ends before the request leaves it queued. Else the run sees it.
            self.cancel_queued();
        }
        asked
    }

    fn cancel_queued(&self) -> bool {
        // SAFETY: the handle's reference is borrowed for the call.
        unsafe { cancel(self.header, TaskError::Cancelled) }
    }

    /// Moves the output out and gives the reference up. The task must be terminal.
    pub(crate) fn take(self) -> Result<T, TaskError> {
        let this = ManuallyDrop::new(self);
        let output = this.output().expect("only an ended task has an output");
        // SAFETY: the handle's reference goes with the call.
        unsafe { this.take_from(output) }
    }

    /// # Safety
    /// `output` is that of the task, not yet moved, and the caller gives up the handle's reference.
    unsafe fn take_from(&self, output: NonNull<Result<T, TaskError>>) -> Result<T, TaskError> {
        // SAFETY: the output of a terminal task is alive until the handle takes it, which is here.
        let output = unsafe { output.read() };
        if self.state().release_handle_taken() {
            // SAFETY: that was the last reference.
            unsafe { output::free_taken::<T>(self.header) };
        }
        output
    }

    fn waiters(&self) -> &Waiters<T> {
        let slot = &self.head().waiters;
        // Acquire, and the exchange's release: who finds the list finds it initialized.
        let mut list = slot.load(Ordering::Acquire).cast::<Waiters<T>>();
        if list.is_null() {
            let fresh = Box::into_raw(Box::new(Waiters::new()));
            match slot.compare_exchange(ptr::null_mut(), fresh.cast(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => list = fresh,
                Err(theirs) => {
                    // SAFETY: made above and not published.
                    drop(unsafe { Box::from_raw(fresh) });
                    list = theirs.cast();
                }
            }
        }
        // SAFETY: once in place it stays until the task is freed.
        unsafe { &*list }
    }

    /// Registers a wake-up; false, and nothing registered, if the task has ended.
    pub(crate) fn register(&self, wake: &Wake) -> bool {
        // Cloned before the lock is taken: a waker's `clone` is user code.
        let copy = wake.clone();
        let mut waiting = self.waiters().0.lock();
        let replaced = waiting.add(copy);
        let before = self.state().announce_waiter();
        let removed = if before.is_terminal() && !mutant("task_register_no_recheck") {
            // The task ended before it could see the announcement.
            Some(waiting.remove(wake))
        } else {
            None
        };
        drop(waiting);
        let registered = removed.is_none();
        drop_quietly((replaced, removed));
        registered
    }

    pub(crate) fn deregister(&self, wake: &Wake) {
        let removed = self.waiters().0.lock().remove(wake);
        drop_quietly(removed);
    }

    /// Has `callback` called with the outcome: by whoever ends the task, or here and now if it has ended.
    pub(crate) fn on_end(&mut self, callback: Callback<T>) {
        let mut waiting = self.waiters().0.lock();
        waiting.callbacks.push_back(callback);
        let ended = self.state().announce_waiter().is_terminal();
        let callback = if ended { waiting.callbacks.pop_back() } else { None };
        drop(waiting);
        if let Some(callback) = callback {
            let output = self.look().expect("the task has ended");
            // SAFETY: only the handle, here by unique reference, moves the output.
            quietly(|| callback(unsafe { output.as_ref() }));
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state().load()
    }
}

impl<T> JoinRef<T> {
    /// The error that the task has ended with, if it has.
    pub(crate) fn error(&self) -> Option<&TaskError> {
        // SAFETY: it stays until the handle, which is borrowed, moves it; and of a value nothing is looked at.
        self.look().and_then(|output| unsafe { output.as_ref() }.as_ref().err())
    }
}

impl<T: Sync> JoinRef<T> {
    /// The output of an ended task, also for others who share this.
    pub(crate) fn peek(&self) -> Option<&Result<T, TaskError>> {
        // SAFETY: it is moved by value or by unique reference only; and it may be looked at from any thread.
        self.look().map(|output| unsafe { output.as_ref() })
    }
}

impl<T> Drop for JoinRef<T> {
    fn drop(&mut self) {
        // An output is dropped here and now, although who ended the task may not have let go of its memory yet.
        if !self.state().detach() {
            let output = self.output().expect("an ended task has an output");
            // SAFETY: the handle's reference goes with the call; that its output is still there says that it is not yet gone.
            drop_quietly(unsafe { self.take_from(output) });
        }
    }
}
