//! What a task must hold to touch a guarded value: the trait, and one file for each answer.

mod covered;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;
mod wait_list;

pub use covered::Covered;
pub use wait_list::WaitList;

use std::collections::VecDeque;
use std::fmt;

use super::gate::Gate;
use crate::sync::Arc;
use crate::task::Identity;

/// How a task wants a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To change it: alone.
    Exclusive,
    /// To read it, together with other readers.
    Shared,
}

/// A task's place in the line for one value, owned by the line until the task is let in.
///
/// It can't be cloned, so a line can't let a task in twice. Dropping it cancels the task: its closure is dropped and its handle ends
/// with [`TaskError::Cancelled`](crate::TaskError::Cancelled).
pub struct Ticket(Option<Arc<dyn Turn>>);

/// What a ticket stands for: a task that waits for values.
pub(crate) trait Turn: Send + Sync {
    /// One more of its values is its own.
    fn grant(self: Arc<Self>);
    /// One of the lines has lost it.
    fn lose(&self);
    /// Ends its accesses; it had them all.
    fn leave(&self, granted: &mut VecDeque<Ticket>);
    /// The tasks that can't start before this one has ended, because of a value.
    fn behind(&self, visit: &mut dyn FnMut(Arc<dyn Turn>));
    /// The task, while it waits; null after that.
    fn task(&self) -> Identity;
}

impl Ticket {
    pub(crate) fn new(turn: Arc<dyn Turn>) -> Self {
        Self(Some(turn))
    }

    pub(crate) fn turn(&self) -> &Arc<dyn Turn> {
        self.0.as_ref().expect("only `grant` takes it out")
    }

    pub(crate) fn grant(mut self) {
        if let Some(turn) = self.0.take() {
            turn.grant();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(turn) = &self.0 {
            turn.lose();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

/// What a task must hold to touch a guarded value, behind a gate of type `G`.
///
/// A task *joins* the lines of all its values before it is queued to run, and *leaves* them when it has ended. No worker ever
/// waits for a value: the lock stores tickets, and hands each one back when its task is let in.
///
/// # Safety
/// Between the moment that an exclusive access is granted and its [`leave`](Self::leave) no other access to this value is granted; during
/// a shared one, only shared ones are. A `leave` happens-before each later grant that conflicts with what left. If [`LINES`](Self::LINES)
/// is false, the gate has to see to all that: then every access may be granted at once.
pub unsafe trait ValueLock<G: Gate>: Send + Sync + Sized + 'static {
    /// Whether tasks stand in line for the value. If not, the gate lets them in one at a time, in the order in which they were
    /// submitted, and they are never run out of turn.
    const LINES: bool;
    /// What keeps others from getting into line between two joins of one task, so that all of its values are queued for in one step.
    type Joined<'a>;

    /// The lock of a value that nobody uses.
    fn new() -> Self;
    /// Gets into line, behind everybody who is in it. True if the access is granted at once; else the line takes a ticket. Several
    /// locks are joined in the order of their addresses, and what the joins return is kept until the last.
    fn join(&self, access: Access, ticket: impl FnOnce() -> Ticket) -> (bool, Self::Joined<'_>);
    /// Ends a granted access. Whoever is let in by that has its ticket put on `granted`, in the order of the line.
    fn leave(&self, access: Access, granted: &mut VecDeque<Ticket>);
    /// Visits those in line, the first first.
    fn visit(&self, each: &mut dyn FnMut(Access, &Ticket));
}
