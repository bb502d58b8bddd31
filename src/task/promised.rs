//! A task without a closure: its output comes from outside.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::error::TaskError;
use super::head::{Head, publish, release_executor, slot_to_write};
use super::header::Header;
use super::join_ref::JoinRef;
use super::joinable::in_state;
use super::output;
use super::quietly::drop_quietly;
use super::state::State;

/// What a promise has in the place of its pool's number, which is never 0: any task of any pool may fulfil it, or any other thread.
pub(crate) const ANYBODY: u32 = 0;

/// The executor's reference to a task that it ends by giving it its output.
pub(crate) struct Promised<T: Send + 'static> {
    header: NonNull<Header>,
    output: PhantomData<T>,
}

// SAFETY: it moves a `T`, which is `Send`, into the task, and perhaps drops it.
unsafe impl<T: Send> Send for Promised<T> {}
// SAFETY: the same by shared reference, as one caller alone gets the claim to do so; the rest is atomics.
unsafe impl<T: Send> Sync for Promised<T> {}

/// A new one, and the handle's reference to it.
pub(crate) fn promised<T: Send + 'static>() -> (Promised<T>, JoinRef<T>) {
    // Nobody can claim to run what is held back for good, and it is in no queue.
    let never: fn() -> T = || unreachable!("a promise has no closure");
    let (task, join) = in_state(State::held_back(), ANYBODY, (), never);
    (Promised { header: task.into_link().cast(), output: PhantomData }, join)
}

impl<T: Send + 'static> Promised<T> {
    pub(crate) fn state(&self) -> &State {
        // SAFETY: the executor's reference keeps it alive.
        &unsafe { Head::of(self.header) }.state
    }

    /// # Safety
    /// The caller has claimed the task, and calls this once.
    unsafe fn write(&self, output: Result<T, TaskError>) {
        // SAFETY: the executor's reference keeps it alive.
        let slot = unsafe { slot_to_write(self.header) };
        // SAFETY: claimed, and the function pointer that was in it needs no drop.
        unsafe { output::write(slot, output) };
    }

    /// Ends the task with this output, which is handed back if it has ended, or somebody else ends it.
    pub(crate) fn fulfil(&self, output: Result<T, TaskError>) -> Result<(), Result<T, TaskError>> {
        if !self.claim(&output) {
            return Err(output);
        }
        // SAFETY: claimed above.
        unsafe { self.write(output) };
        // SAFETY: the executor's reference outlives the call.
        let _kept = unsafe { publish(self.header, false) };
        // A value for which nobody is left need not wait for the promise to go.
        if self.state().take_orphan() {
            // SAFETY: terminal, as published above, and now taken by this call.
            drop_quietly(unsafe { output::read::<T>(self.header) });
        }
        Ok(())
    }

    fn claim(&self, output: &Result<T, TaskError>) -> bool {
        if output.as_ref().is_err_and(TaskError::is_cancelled) {
            self.state().claim_to_fulfil_as_cancelled()
        } else {
            self.state().claim_to_fulfil()
        }
    }
}

impl<T: Send + 'static> Drop for Promised<T> {
    fn drop(&mut self) {
        if self.state().claim_to_fulfil() {
            // SAFETY: claimed above.
            unsafe { self.write(Err(TaskError::Abandoned)) };
            // SAFETY: the executor's reference goes with the call.
            let _no_panic = unsafe { publish(self.header, true) };
        } else {
            // SAFETY: the executor's reference is not used again.
            unsafe { release_executor(self.header) };
        }
    }
}
