//! The tasks that run and hold what others stand in line for: from there a shutdown finds those who wait.

use std::collections::HashSet;

use crossbeam_utils::CachePadded;

use super::Core;
use crate::policy::LockPolicy;
use crate::sync::Mutex;
use crate::task::{TaskRef, Ticket, Walk};

/// For each worker, those on its stack.
pub(super) struct Holders(Box<[CachePadded<Mutex<Vec<TaskRef>>>]>);

/// Those who stand in line, each kept there by a ticket more.
#[derive(Default)]
struct Waiting {
    tickets: Vec<Ticket>,
    seen: HashSet<TaskRef>,
}

impl Walk for Waiting {
    fn visit(&mut self, task: TaskRef) {
        if self.seen.insert(task) {
            // SAFETY: it stands in line, and can't come to its turn meanwhile.
            let ticket = unsafe { Ticket::another_of(task) };
            self.tickets.push(ticket);
        }
    }

    fn is_stuck(&self, _task: TaskRef) -> bool {
        false
    }

    fn permits(&mut self, _limit: *const (), _permits: u32) -> Option<u64> {
        None
    }
}

impl Holders {
    pub(super) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| CachePadded::default()).collect())
    }

    /// Before the task's own code. Look afterwards whether the pool cancels what waits, and if so call [`Core::cancel_behind`].
    pub(super) fn add(&self, worker: usize, task: TaskRef) {
        self.0[worker].lock().push(task);
    }

    /// Before it leaves its lines.
    pub(super) fn remove(&self, worker: usize, task: TaskRef) {
        let mut holders = self.0[worker].lock();
        if let Some(at) = holders.iter().rposition(|holder| *holder == task) {
            holders.swap_remove(at);
        }
    }
}

impl<P: LockPolicy> Core<P> {
    /// Ends all who stand in line behind a task that runs. To be called after the pool has begun to cancel what waits.
    ///
    /// A task that begins to run meanwhile looks for that after it has got onto its worker's list: so either it is found here, or it sees to those behind it.
    pub(super) fn cancel_in_line(&self) {
        (0..self.holders.0.len()).for_each(|worker| self.cancel_behind(worker));
    }

    /// Ends all who stand in line behind the tasks of this worker, directly or behind one another.
    pub(super) fn cancel_behind(&self, worker: usize) {
        let mut waiting = Waiting::default();
        let holders = self.holders.0[worker].lock();
        for holder in holders.iter() {
            // SAFETY: it has not left its lines, as it takes the mutex before.
            unsafe { holder.needs() }.behind(*holder, &mut waiting);
        }
        drop(holders);
        let mut at = 0;
        while let Some(ticket) = waiting.tickets.get(at) {
            let task = ticket.task();
            ticket.cancel(self.unrun());
            // SAFETY: its turn does not come before this ticket is granted, so it stays in its lines.
            unsafe { task.needs() }.behind(task, &mut waiting);
            at += 1;
        }
        waiting.tickets.into_iter().for_each(Ticket::grant);
    }
}
