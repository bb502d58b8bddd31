//! A task that runs again and again: one allocation, whose closure stays in place from run to run.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::error::TaskError;
use super::head::{pass_over, publish, slot_to_write};
use super::header::{Header, Ran, Task, VTable};
use super::join_ref::JoinRef;
use super::joinable::{Joinable, Needing, made};
use super::needs::Needs;
use super::state::State;
use super::tally::Tally;

/// What has a series run again.
pub(crate) trait Repeats: Needs {
    /// A run has ended: what to do with the task if the series goes on. It does not refer to the task, which may be gone before it returns.
    fn again(&self) -> impl FnOnce(Task) + 'static;
}

impl<F, N> Joinable<F, (), N>
where
    F: FnMut() + Send + 'static,
    N: Repeats + 'static,
{
    const SERIES: VTable = VTable {
        run: Self::run_once,
        discard: Needing::<N>::discard,
        name: type_name::<F>,
        needs: Needing::<N>::needs,
        join: Some(&Self::JOIN),
        stays: true,
    };

    /// One run, and the end of the series if that panics or somebody has asked for it.
    ///
    /// # Safety
    /// `header` is that of a live `Joinable<F, (), N>`, and the caller gives up the executor's reference.
    unsafe fn run_once(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { Needing::<N>::this(header) };
        let state = &this.head.state;
        if !state.claim_to_run() {
            // SAFETY: the executor's reference is the caller's to give up.
            return unsafe { pass_over(header) };
        }
        // SAFETY: the executor's reference keeps it alive.
        let slot = unsafe { slot_to_write(header) };
        // SAFETY: the claim gives the closure to this call alone, until it rearms.
        let closure = unsafe { slot.cast::<F>().as_mut() };
        let run = this.head.writes(|| {
            tally.begins();
            catch_unwind(AssertUnwindSafe(closure))
        });
        tally.returned();
        tally.ended(run.is_err());
        let why = match run {
            Err(payload) => TaskError::unwound(payload),
            Ok(()) => {
                let again = this.needs.again();
                if state.rearm() {
                    // SAFETY: the executor's reference, which the caller gave up.
                    again(unsafe { Task::from_header(header) });
                    return Ran::Done;
                }
                TaskError::Cancelled
            }
        };
        // SAFETY: claimed by this call, for the run or by `rearm`.
        unsafe { Needing::<N>::abandon(header, why) };
        // SAFETY: the executor's reference goes with the call.
        match unsafe { publish(header, true) } {
            Some(payload) => Ran::Unobserved(payload),
            None => Ran::Done,
        }
    }
}

/// A series for `pool`, and the handle's reference to it. It ends with an error: that of its end.
pub(crate) fn series<F, N>(pool: u32, needs: N, closure: F) -> (Task, JoinRef<()>)
where
    F: FnMut() + Send + 'static,
    N: Repeats + 'static,
{
    made(&Joinable::<F, (), N>::SERIES, State::series(), pool, needs, closure)
}
