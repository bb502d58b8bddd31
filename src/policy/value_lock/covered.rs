//! No lock: the gate covers every value.

use super::{Access, Entry, Granted, Ticket, ValueLock};
use crate::policy::gate::ExclusiveGate;
use crate::task::TaskRef;

/// Nothing more than the gate: the value lock of [`GlobalLock`](crate::GlobalLock), where one task runs at a time.
///
/// For queues whose [`inject`](crate::run_queue::RunQueue::inject)ed tasks come out in the order in which they went in, whoever takes
/// them out: the order of conflicting tasks is theirs.
#[derive(Debug)]
pub struct Covered;

// SAFETY: `LINES` is false, and the gate excludes everybody.
unsafe impl<G: ExclusiveGate> ValueLock<G> for Covered {
    const LINES: bool = false;
    type Place = ();
    type Joined<'a> = ();

    fn new() -> Self {
        Self
    }

    #[inline]
    unsafe fn join<'a>(&'a self, _: Access, (): &'a (), _only: bool, _ticket: impl FnOnce() -> Ticket) -> (Entry, ()) {
        (Entry::First, ())
    }

    #[inline]
    unsafe fn leave(&self, _: Access, (): &(), _granted: &mut Granted) -> bool {
        true
    }

    unsafe fn behind(&self, _: Access, (): &(), _task: TaskRef, _visit: &mut dyn FnMut(&Ticket)) {}
}
