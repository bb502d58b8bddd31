//! No lock: the gate covers every value.

use super::wait_list::{Joined, WaitList};
use super::{Access, Entry, Granted, Ticket, ValueLock};
use crate::policy::gate::ExclusiveGate;
use crate::task::TaskRef;

/// Nothing more than the gate: the value lock of [`GlobalLock`](crate::GlobalLock), where one task runs at a time.
///
/// For queues whose [`inject`](crate::run_queue::RunQueue::inject)ed tasks come out in the order in which they went in, whoever takes
/// them out, and whose [`extract`](crate::run_queue::RunQueue::extract) leaves the others in their order: the order of conflicting tasks is theirs. In a pool with a [`Limit`](crate::Limit), where a task may have to wait before it is
/// queued, they stand in a line as for a [`WaitList`].
#[derive(Debug)]
pub struct Covered(WaitList);

// SAFETY: `LINES` is false, and the gate excludes everybody.
unsafe impl<G: ExclusiveGate> ValueLock<G> for Covered {
    const LINES: bool = false;
    type Place = ();
    type Joined<'a> = Joined<'a>;

    fn new() -> Self {
        Self(<WaitList as ValueLock<G>>::new())
    }

    unsafe fn join<'a>(
        &'a self,
        access: Access,
        place: &'a (),
        only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Joined<'a>) {
        // SAFETY: the caller's promise.
        unsafe { ValueLock::<G>::join(&self.0, access, place, only, ticket) }
    }

    unsafe fn leave(&self, access: Access, place: &(), granted: &mut Granted) -> bool {
        // SAFETY: the caller's promise.
        unsafe { ValueLock::<G>::leave(&self.0, access, place, granted) }
    }

    unsafe fn behind(&self, access: Access, place: &(), task: TaskRef, visit: &mut dyn FnMut(&Ticket)) {
        // SAFETY: the caller's promise.
        unsafe { ValueLock::<G>::behind(&self.0, access, place, task, visit) }
    }
}
