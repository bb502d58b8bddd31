//! What a task must hold to touch a guarded value: the trait, and one file for each answer.

mod covered;
mod mcs_queue;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;
mod wait_list;

pub use covered::Covered;
pub use mcs_queue::{McsQueue, Node};
pub use wait_list::WaitList;

use std::collections::VecDeque;

use super::gate::Gate;
use crate::sync::{LINE, prefetch};
use crate::task::Tickets;
pub use crate::task::{TaskRef, Ticket};

/// How a task wants a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To change it: alone.
    Exclusive,
    /// To read it, together with other readers.
    Shared,
}

/// How a task has come into a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Let in at once; nobody was there.
    First,
    /// Let in at once, together with others.
    Together,
    /// Behind others. The line has a ticket.
    Waits,
}

/// The tickets of those who have been let in.
#[derive(Debug, Default)]
pub struct Granted {
    /// Most often there is one task, and seldom more than two. None of the later ones without the earlier.
    first: Option<Tickets>,
    second: Option<Tickets>,
    more: Option<VecDeque<Tickets>>,
}

impl Granted {
    /// Behind those that are there.
    #[inline]
    pub fn push(&mut self, ticket: Ticket) {
        match &mut self.first {
            None => self.first = Some(ticket.into()),
            Some(first) if self.second.is_none() => self.second = first.add(ticket).map(Tickets::from),
            Some(_) => self.push_behind(ticket),
        }
    }

    /// Not to one further on: who was let in between comes between.
    fn push_behind(&mut self, ticket: Ticket) {
        let more = self.more.get_or_insert_default();
        if let Some(last) = more.back_mut().or(self.second.as_mut())
            && let Some(ticket) = last.add(ticket)
        {
            more.push_back(ticket.into());
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Tickets> {
        let first = self.first.take()?;
        self.first = self.second.take();
        if let Some(more) = &mut self.more {
            self.second = more.pop_front();
        }
        Some(first)
    }
}

/// Of a task whose turn comes soon: somewhere near its beginning.
#[inline]
fn prefetch_task<T>(at: *const T) {
    prefetch(at);
    prefetch(at.cast::<u8>().wrapping_add(LINE));
}

/// The same, somewhere in its middle.
#[inline]
fn prefetch_around<T>(at: *const T) {
    prefetch(at.cast::<u8>().wrapping_sub(LINE));
    prefetch_task(at);
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
    /// submitted, and they are never run out of turn. Then a task joins only in a pool with a [`Limit`](crate::Limit): there it may have to
    /// wait before it is queued, and a lock that keeps a line all the same keeps the order of conflicting tasks.
    const LINES: bool;
    /// A task's own place in one line: what the lock wants to keep there.
    type Place: Default + Send + Sync + 'static;
    /// What keeps others from getting into line between two joins of one task, so that all of its values are queued for in one step.
    type Joined<'a>;

    /// The lock of a value that nobody uses.
    fn new() -> Self;

    /// Gets into line, behind everybody who is in it. If the access is not granted at once, the line takes a ticket, and keeps it until it
    /// is granted. `only` says that the task joins no other lock; several are joined in the order of their addresses, and what the joins return is kept until the last.
    ///
    /// # Safety
    /// The place is fresh, and stays where it is until its `leave` has returned. What is returned is dropped before that; but with `only` the task may be let in, and
    /// its place be gone, once the line has the ticket: then what is returned does not look at the place.
    unsafe fn join<'a>(
        &'a self,
        access: Access,
        place: &'a Self::Place,
        only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Self::Joined<'a>);

    /// As [`join`](Self::join), for a task that does not mind its place: it may go before others who wait. Only one that joins no other lock can be let in
    /// before somebody who came earlier, else two tasks could wait for each other.
    ///
    /// # Safety
    /// As for `join`.
    unsafe fn join_unordered<'a>(
        &'a self,
        access: Access,
        place: &'a Self::Place,
        only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Self::Joined<'a>) {
        // SAFETY: the caller's promise.
        unsafe { self.join(access, place, only, ticket) }
    }

    /// Ends a granted access. Whoever is let in by that has its ticket pushed to `granted`, in the order of the line. True if nobody is
    /// left: once for each [`First`](Entry::First).
    ///
    /// # Safety
    /// The access is that of the join with this place. It has been granted, and ends once.
    unsafe fn leave(&self, access: Access, place: &Self::Place, granted: &mut Granted) -> bool;

    /// A hint: a task joins soon. Who is last may be fetched from memory ahead.
    fn will_join(&self) {}

    /// A hint: the access at this place, which has been joined, is granted and ends soon, perhaps with those of other values. Who is behind may be fetched from memory ahead.
    fn will_leave(&self, _place: &Self::Place) {}

    /// Visits the tickets of all who can't be let in before the access of `task` at this place has ended.
    ///
    /// # Safety
    /// The place has been joined with this access, which does not end meanwhile.
    unsafe fn behind(&self, access: Access, place: &Self::Place, task: TaskRef, visit: &mut dyn FnMut(&Ticket));
}
