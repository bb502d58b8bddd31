//! A line for a value: who is in, and who waits, behind a mutex.

use std::collections::VecDeque;

use lockgrain::gate::Gate;
use lockgrain::model::sync::{Mutex, MutexGuard};
use lockgrain::value_lock::{Access, Entry, Granted, TaskRef, Ticket, ValueLock};

/// The line that is right.
pub(crate) const RIGHT: u8 = 0;
/// A new ticket goes to the head of the line.
pub(crate) const LAST_COMER_FIRST: u8 = 1;

/// First come, first served; a reader is as alone as a writer.
pub(crate) struct Line<const FAULT: u8 = RIGHT>(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    taken: bool,
    waiting: VecDeque<Ticket>,
}

/// Keeps the line's mutex until the task stands in all of its lines.
pub(crate) struct Joined<'a>(#[allow(dead_code, reason = "held for its drop")] MutexGuard<'a, State>);

// SAFETY: an access is granted under the mutex, when nobody is in or by who leaves; so one is in at a time, and the mutex orders one before the next.
// That is so with the fault, too, which changes the order only.
unsafe impl<G: Gate, const FAULT: u8> ValueLock<G> for Line<FAULT> {
    const LINES: bool = true;
    type Place = ();
    type Joined<'a> = Joined<'a>;

    fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    unsafe fn join<'a>(
        &'a self,
        _access: Access,
        (): &'a (),
        _only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Joined<'a>) {
        let mut state = self.0.lock();
        let entry = match state.taken {
            false => Entry::First,
            true if FAULT == LAST_COMER_FIRST => {
                state.waiting.push_front(ticket());
                Entry::Waits
            }
            true => {
                state.waiting.push_back(ticket());
                Entry::Waits
            }
        };
        state.taken = true;
        (entry, Joined(state))
    }

    unsafe fn leave(&self, _access: Access, (): &(), granted: &mut Granted) -> bool {
        let mut state = self.0.lock();
        match state.waiting.pop_front() {
            Some(next) => granted.push(next),
            None => state.taken = false,
        }
        !state.taken
    }

    unsafe fn behind(&self, _access: Access, (): &(), task: TaskRef, visit: &mut dyn FnMut(&Ticket)) {
        let state = self.0.lock();
        // All of the line, if the task has been let in.
        let at = state.waiting.iter().position(|ticket| ticket.task() == task).map_or(0, |at| at + 1);
        state.waiting.iter().skip(at).for_each(visit);
    }
}
