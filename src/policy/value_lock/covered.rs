//! No lock: the gate covers every value.

use std::collections::VecDeque;

use super::{Access, Ticket, ValueLock};
use crate::policy::gate::ExclusiveGate;

/// Nothing more than the gate: the value lock of [`GlobalLock`](crate::GlobalLock), where one task runs at a time.
///
/// For queues whose [`inject`](crate::run_queue::RunQueue::inject)ed tasks come out in the order in which they went in, whoever takes
/// them out: the order of conflicting tasks is theirs.
#[derive(Debug)]
pub struct Covered;

// SAFETY: `LINES` is false, and the gate excludes everybody.
unsafe impl<G: ExclusiveGate> ValueLock<G> for Covered {
    const LINES: bool = false;
    type Joined<'a> = ();

    fn new() -> Self {
        Self
    }

    #[inline]
    fn join(&self, _access: Access, _ticket: impl FnOnce() -> Ticket) -> (bool, ()) {
        (true, ())
    }

    #[inline]
    fn leave(&self, _access: Access, _granted: &mut VecDeque<Ticket>) {}

    fn visit(&self, _each: &mut dyn FnMut(Access, &Ticket)) {}
}
