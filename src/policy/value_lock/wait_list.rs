//! A line a value, behind a small mutex.

use std::collections::VecDeque;

use super::{Access, Entry, Granted, Ticket, ValueLock, prefetch_task};
use crate::policy::gate::Gate;
use crate::sync::{MODEL, Mutex, MutexGuard, mutant};
use crate::task::TaskRef;

/// First come, first served; readers that come one after another are let in together, and one that comes after a waiting writer waits
/// behind it. The mutex is held for a few instructions, and never while a task runs.
#[derive(Debug)]
pub struct WaitList(Mutex<Line>);

/// Readers in a row that go before a waiting writer, if they don't mind their place.
const OVERTAKES: u32 = if MODEL { 1 } else { 16 };

/// Who is in and who waits. Invariant: the first in line, if any, conflicts with whoever is in.
#[derive(Debug, Default)]
struct Line {
    writer: bool,
    readers: usize,
    /// How many readers have gone before the first in line.
    overtakes: u32,
    waiting: VecDeque<(Access, Ticket)>,
}

impl Line {
    /// Whether nobody is in. Then nobody waits.
    fn is_empty(&self) -> bool {
        !self.writer && self.readers == 0
    }

    /// Lets somebody in if nobody there is in the way.
    #[inline]
    fn let_in(&mut self, access: Access) -> bool {
        match access {
            Access::Exclusive if self.writer || (self.readers > 0 && !mutant("wait_list_writer_ignores_readers")) => {
                false
            }
            Access::Shared if self.writer => false,
            Access::Exclusive => {
                self.writer = true;
                self.overtakes = 0;
                true
            }
            Access::Shared => {
                self.readers += 1;
                true
            }
        }
    }

    /// Lets in a reader before those who wait, unless enough have gone before them.
    fn overtake(&mut self) -> bool {
        let meets_nobody = self.readers > 0 || mutant("wait_list_overtakes_a_writer");
        let overtakes = self.overtakes < OVERTAKES && meets_nobody;
        self.readers += usize::from(overtakes);
        self.overtakes += u32::from(overtakes);
        overtakes
    }
}

/// The mutex of one line, kept until a task stands in all of its lines.
#[derive(Debug)]
pub struct Joined<'a>(#[allow(dead_code, reason = "held for its drop")] Option<MutexGuard<'a, Line>>);

// SAFETY: `let_in` is asked under the mutex, by `join` and by `leave`, and refuses what conflicts with who is in; who leaves is taken
// out under the mutex too, which orders the one before the other.
unsafe impl<G: Gate> ValueLock<G> for WaitList {
    const LINES: bool = true;
    type Place = ();
    type Joined<'a> = Joined<'a>;

    fn new() -> Self {
        Self(Mutex::new(Line::default()))
    }

    #[inline]
    unsafe fn join<'a>(
        &'a self,
        access: Access,
        (): &'a (),
        _only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Joined<'a>) {
        let mut line = self.0.lock();
        let first = line.is_empty();
        let overtakes = line.waiting.is_empty() || (access == Access::Shared && mutant("wait_list_reader_overtakes"));
        let granted = overtakes && line.let_in(access);
        let entry = match granted {
            true if first => Entry::First,
            true => Entry::Together,
            false => {
                line.waiting.push_back((access, ticket()));
                Entry::Waits
            }
        };
        (entry, Joined((!mutant("wait_list_joins_one_by_one")).then_some(line)))
    }

    unsafe fn join_unordered<'a>(
        &'a self,
        access: Access,
        place: &'a (),
        only: bool,
        ticket: impl FnOnce() -> Ticket,
    ) -> (Entry, Joined<'a>) {
        if only && access == Access::Shared {
            let mut line = self.0.lock();
            if !line.waiting.is_empty() && line.overtake() {
                return (Entry::Together, Joined(Some(line)));
            }
        }
        // SAFETY: the caller's promise.
        unsafe { ValueLock::<G>::join(self, access, place, only, ticket) }
    }

    #[inline]
    unsafe fn leave(&self, access: Access, (): &(), granted: &mut Granted) -> bool {
        let mut line = self.0.lock();
        match access {
            Access::Exclusive => line.writer = false,
            Access::Shared => line.readers -= 1,
        }
        while let Some(&(access, _)) = line.waiting.front()
            && line.let_in(access)
        {
            line.waiting.pop_front().into_iter().for_each(|(_, ticket)| granted.push(ticket));
        }
        let next = line.waiting.front().map(|(_, ticket)| ticket.task());
        let is_empty = line.is_empty();
        drop(line);
        next.inspect(|next| prefetch_task(next.identity()));
        is_empty
    }

    unsafe fn behind(&self, access: Access, (): &(), task: TaskRef, visit: &mut dyn FnMut(&Ticket)) {
        let line = self.0.lock();
        // All of the line, if the task has been let in.
        let at = line.waiting.iter().position(|(_, ticket)| ticket.task() == task).map_or(0, |at| at + 1);
        let mut conflicts = access == Access::Exclusive;
        for (access, ticket) in line.waiting.iter().skip(at) {
            conflicts |= *access == Access::Exclusive;
            if conflicts {
                visit(ticket);
            }
        }
    }
}
