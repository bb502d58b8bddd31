//! A task that is run by being polled: one allocation, in which the future stays in place from poll to poll.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Wake, Waker};

use super::error::{PanicPayload, TaskError};
use super::head::{pass_over, publish, slot_to_write};
use super::header::{Discarded, Header, Ran, Task, VTable};
use super::join_ref::JoinRef;
use super::joinable::{Joinable, Needing, made};
use super::needs::{Needs, TaskRef, Walk};
use super::output;
use super::quietly::quietly;
use super::state::State;
use super::tally::Tally;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, UnsafeCell, Weak};

/// Who has a future polled when it is woken: what its wakers point at.
pub(crate) trait Schedule: Wake + Send + Sync + 'static {
    /// A queued poll begins; false if none is to come any more.
    fn begin(&self) -> bool;
    /// It has ended, and the future wants another when it is woken, or has been woken.
    fn pending(self: Arc<Self>, task: Task);
    /// The future is gone.
    fn over(&self);
}

/// The future, and who polls it, of whom the task itself does not keep hold: a future that nobody can wake is to end.
struct Polled<F, S> {
    /// None once it is gone. It is dropped where it is. Whoever claims the task has it to himself, until the next claim can come.
    future: UnsafeCell<Option<F>>,
    begun: AtomicBool,
    pool: u32,
    schedule: Weak<S>,
}

// SAFETY: the future, which is `Send`, is used by one claimer after another.
unsafe impl<F: Send, S: Schedule> Sync for Polled<F, S> {}

impl<F: Future, S: Schedule> Polled<F, S> {
    /// # Safety
    /// The caller has claimed the task, and the future is not gone.
    unsafe fn poll(&self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.future.with_mut(|future| {
            // SAFETY: the claim gives the future to this call alone.
            let future = unsafe { &mut *future }.as_mut().expect("a claimed future is there");
            // SAFETY: it is never moved: it is part of the task's memory, and is dropped in place before that is freed.
            unsafe { Pin::new_unchecked(future) }.poll(cx)
        })
    }

    /// # Safety
    /// The caller has claimed the task, and calls this last.
    unsafe fn end(&self) {
        // SAFETY: the claim gives the future to this call alone.
        quietly(|| self.future.with_mut(|future| unsafe { *future = None }));
        if let Some(schedule) = self.schedule.upgrade() {
            schedule.over();
        }
    }
}

impl<F: Future + Send, S: Schedule> Needs for Polled<F, S> {
    fn pool(&self) -> u32 {
        self.pool
    }
    unsafe fn grant(&self, _task: TaskRef, _tickets: u32) {}
    fn behind(&self, _task: TaskRef, _walk: &mut dyn Walk) {}
    fn ran(&self) {
        // SAFETY: who ran the task has claimed it.
        unsafe { self.end() };
    }
    fn dropped(&self) {
        // SAFETY: who drops the task unrun, or not run to its end, has claimed it.
        unsafe { self.end() };
    }
    fn before_user_code(&self) {}
}

/// The closure is never called: nobody can claim to run what is held back for good but the one who polls.
type Empty<F, S> = Joinable<fn() -> <F as Future>::Output, <F as Future>::Output, Polled<F, S>>;

impl<F, S> Joinable<fn() -> F::Output, F::Output, Polled<F, S>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Schedule,
{
    const POLLED: VTable = VTable {
        run: Self::poll_once,
        discard: Self::discard_polled,
        name: type_name::<F>,
        needs: Needing::<Polled<F, S>>::needs,
        join: Some(&Self::JOIN),
        stays: true,
    };

    /// One poll, and the end of the task if the future is ready or panics, or somebody has asked for it.
    ///
    /// # Safety
    /// `header` is that of a live task of this type, and the caller gives up the executor's reference.
    unsafe fn poll_once(header: NonNull<Header>, tally: &Tally) -> Ran {
        // SAFETY: the caller's promise.
        let this = unsafe { Needing::<Polled<F, S>>::this(header) };
        if !this.head.state.claim_to_run() {
            // SAFETY: the executor's reference is the caller's to give up.
            return unsafe { pass_over(header) };
        }
        let Some(schedule) = this.needs.schedule.upgrade().filter(|schedule| schedule.begin()) else {
            let cancels = this.head.state.cancel_claimed();
            debug_assert!(cancels, "it was claimed above");
            // SAFETY: claimed above, and the executor's reference goes with the call.
            unsafe { Self::give_up(header, TaskError::Cancelled) };
            return Ran::Cancelled;
        };
        this.needs.begun.store(true, Relaxed);
        let waker = Waker::from(schedule.clone());
        tally.begins();
        // SAFETY: claimed above.
        let poll = || unsafe { this.needs.poll(&mut Context::from_waker(&waker)) };
        let polled = catch_unwind(AssertUnwindSafe(poll));
        drop(waker);
        tally.ended(polled.is_err());
        let unobserved = match polled {
            Ok(Poll::Pending) => {
                if this.head.state.rearm() {
                    // SAFETY: the executor's reference, which the caller gave up.
                    schedule.pending(unsafe { Task::from_header(header) });
                    return Ran::Done;
                }
                // SAFETY: claimed by `rearm`, and the executor's reference goes with the call.
                unsafe { Self::give_up(header, TaskError::Cancelled) }
            }
            Ok(Poll::Ready(output)) => {
                this.needs.ran();
                // SAFETY: the executor's reference keeps it alive.
                let slot = unsafe { slot_to_write(header) };
                // SAFETY: claimed above, and the function pointer that was in it needs no drop.
                unsafe { output::write(slot, Ok(output)) };
                // SAFETY: the executor's reference goes with the call.
                unsafe { publish(header, true) }
            }
            // SAFETY: claimed above, and the executor's reference goes with the call.
            Err(payload) => unsafe { Self::give_up(header, TaskError::unwound(payload)) },
        };
        unobserved.map_or(Ran::Done, Ran::Unobserved)
    }

    /// Ends a task whose future is not ready. The payload of a panic that no handle is there to receive.
    ///
    /// # Safety
    /// `header` is that of a live task of this type, which the caller has claimed; the executor's reference goes.
    unsafe fn give_up(header: NonNull<Header>, why: TaskError) -> Option<PanicPayload> {
        // SAFETY: the caller's promise.
        unsafe { Needing::<Polled<F, S>>::abandon(header, why) };
        // SAFETY: as above.
        unsafe { publish(header, true) }
    }

    /// # Safety
    /// As for `poll_once`.
    unsafe fn discard_polled(header: NonNull<Header>, why: TaskError) -> Discarded {
        // SAFETY: the caller's promise.
        let begun = unsafe { Needing::<Polled<F, S>>::this(header) }.needs.begun.load(Relaxed);
        // Too late for a further poll: it was accepted all the same.
        let why = if begun && matches!(why, TaskError::Refused) { TaskError::Cancelled } else { why };
        // SAFETY: the caller's promise.
        unsafe { Needing::<Polled<F, S>>::discard(header, why) }
    }
}

/// A task for `pool` that is run by polling `future`, and the handle's reference to it.
pub(crate) fn polled<F, S>(pool: u32, schedule: &Arc<S>, future: F) -> (Task, JoinRef<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    S: Schedule,
{
    let schedule = Arc::downgrade(schedule);
    let needs = Polled { future: UnsafeCell::new(Some(future)), begun: AtomicBool::new(false), pool, schedule };
    let never: fn() -> F::Output = || unreachable!("a future is polled");
    made(&Empty::<F, S>::POLLED, State::polled(), pool, needs, never)
}
