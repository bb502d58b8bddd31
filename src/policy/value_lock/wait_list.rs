//! A line a value, behind a small mutex.

use std::collections::VecDeque;

use super::{Access, Ticket, ValueLock};
use crate::policy::gate::Gate;
use crate::sync::{Mutex, MutexGuard, mutant};

/// First come, first served; readers that come one after another are let in together, and one that comes after a waiting writer waits
/// behind it. The mutex is held for a few instructions, and never while a task runs.
#[derive(Debug)]
pub struct WaitList(Mutex<Line>);

/// Who is in and who waits. Invariant: the first in line, if any, conflicts with whoever is in.
#[derive(Debug, Default)]
struct Line {
    writer: bool,
    readers: usize,
    waiting: VecDeque<(Access, Ticket)>,
}

impl Line {
    /// Lets somebody in if nobody there is in the way.
    fn let_in(&mut self, access: Access) -> bool {
        match access {
            Access::Exclusive if self.writer || (self.readers > 0 && !mutant("wait_list_writer_ignores_readers")) => {
                false
            }
            Access::Shared if self.writer => false,
            Access::Exclusive => {
                self.writer = true;
                true
            }
            Access::Shared => {
                self.readers += 1;
                true
            }
        }
    }
}

/// The mutex of one line, kept until a task stands in all of its lines.
#[derive(Debug)]
pub struct Joined<'a>(#[allow(dead_code, reason = "held for its drop")] Option<MutexGuard<'a, Line>>);

// SAFETY: `let_in` is asked under the mutex, by `join` and by `leave`, and refuses what conflicts with who is in; who leaves is taken
// out under the mutex too, which orders the one before the other.
unsafe impl<G: Gate> ValueLock<G> for WaitList {
    const LINES: bool = true;
    type Joined<'a> = Joined<'a>;

    fn new() -> Self {
        Self(Mutex::new(Line::default()))
    }

    fn join(&self, access: Access, ticket: impl FnOnce() -> Ticket) -> (bool, Joined<'_>) {
        let mut line = self.0.lock();
        let overtakes = line.waiting.is_empty() || (access == Access::Shared && mutant("wait_list_reader_overtakes"));
        let granted = overtakes && line.let_in(access);
        if !granted {
            line.waiting.push_back((access, ticket()));
        }
        (granted, Joined((!mutant("wait_list_joins_one_by_one")).then_some(line)))
    }

    fn leave(&self, access: Access, granted: &mut VecDeque<Ticket>) {
        let mut line = self.0.lock();
        match access {
            Access::Exclusive => line.writer = false,
            Access::Shared => line.readers -= 1,
        }
        while let Some(&(access, _)) = line.waiting.front()
            && line.let_in(access)
        {
            granted.extend(line.waiting.pop_front().map(|(_, ticket)| ticket));
        }
    }

    fn visit(&self, each: &mut dyn FnMut(Access, &Ticket)) {
        self.0.lock().waiting.iter().for_each(|(access, ticket)| each(*access, ticket));
    }
}
