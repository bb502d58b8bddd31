//! The tasks that run and hold what others stand in line for: from there a shutdown finds those who wait. `docs/guarded.md` has the argument.

use std::cell::Cell;
use std::collections::HashSet;
use std::ptr;

use crossbeam_utils::CachePadded;

use super::Core;
use crate::policy::LockPolicy;
use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{Backoff, mutant};
use crate::task::{TaskRef, Ticket, Walk};

/// For each worker, those on its stack.
pub(super) struct Holders(Box<[CachePadded<Stack>]>);

/// The tasks on one worker's stack, the innermost first. Only the worker changes which they are, and waits for whoever is just looking at them.
pub(crate) struct Stack {
    /// With [`LOOKED_AT`].
    top: AtomicPtr<Holder>,
}

/// Somebody looks: those on the stack stay there.
const LOOKED_AT: usize = 1;

/// A task on the stack.
pub(crate) struct Holder {
    task: TaskRef,
    outer: Cell<*mut Self>,
}

impl Holder {
    #[inline]
    pub(super) fn new(task: TaskRef) -> Self {
        Self { task, outer: Cell::new(ptr::null_mut()) }
    }
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { top: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The top, and whoever looks is gone.
    fn settled(&self) -> *mut Holder {
        // Relaxed: the change that follows fails if it is another by then.
        self.top.load(Ordering::Relaxed).map_addr(|top| top & !LOOKED_AT)
    }

    /// Of this and a [look](Self::look), the later one sees what the earlier did before: both change the same word.
    ///
    /// # Safety
    /// The caller is the stack's worker, and the holder stays where it is until it has been popped.
    #[inline]
    pub(super) unsafe fn push(&self, holder: &Holder) {
        let backoff = Backoff::new();
        loop {
            let outer = self.settled();
            holder.outer.set(outer);
            // Release: whoever finds the task finds what it is. Acquire: who has looked before has said so before.
            let order = if mutant("holders_push_relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
            let this = ptr::from_ref(holder).cast_mut();
            if self.top.compare_exchange(outer, this, order, Ordering::Relaxed).is_ok() {
                return;
            }
            backoff.snooze();
        }
    }

    /// # Safety
    /// The caller is the stack's worker, and the holder is its top.
    #[inline]
    pub(super) unsafe fn pop(&self, holder: &Holder) {
        let (this, backoff) = (ptr::from_ref(holder).cast_mut(), Backoff::new());
        // Acquire: who has looked at the task has done so before it leaves its lines.
        let order = if mutant("holders_pop_relaxed") { Ordering::Relaxed } else { Ordering::Acquire };
        while self.top.compare_exchange(this, holder.outer.get(), order, Ordering::Relaxed).is_err() {
            if mutant("holders_leave_while_looked_at") {
                self.top.store(holder.outer.get(), Ordering::Relaxed);
                return;
            }
            backoff.snooze();
        }
    }

    /// Visits the tasks on the stack, which stay there meanwhile.
    pub(super) fn look(&self, mut visit: impl FnMut(TaskRef)) {
        let backoff = Backoff::new();
        let top = loop {
            let top = self.settled();
            let looked_at = top.map_addr(|top| top | LOOKED_AT);
            if self.top.compare_exchange(top, looked_at, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                break top;
            }
            backoff.snooze();
        };
        let mut next = top;
        // SAFETY: it stays until it has been popped, which waits until nobody looks any more.
        while let Some(holder) = unsafe { next.as_ref() } {
            visit(holder.task);
            next = holder.outer.get();
        }
        // Nobody else changes it while it is looked at.
        self.top.store(top, Ordering::Release);
    }
}

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
        Self((0..threads).map(|_| Stack::new().into()).collect())
    }

    pub(super) fn of(&self, worker: usize) -> &Stack {
        &self.0[worker]
    }
}

impl<P: LockPolicy> Core<P> {
    /// Ends all who stand in line behind a task that runs. To be called after the pool has begun to cancel what waits.
    ///
    /// A task that begins to run meanwhile looks for that after it has got onto its worker's stack: so either it is found here, or it sees to those behind it.
    pub(super) fn cancel_in_line(&self) {
        self.holders.0.iter().for_each(|stack| self.cancel_behind(stack));
    }

    /// Ends all who stand in line behind the tasks of one worker, directly or behind one another.
    pub(super) fn cancel_behind(&self, stack: &Stack) {
        let mut waiting = Waiting::default();
        // SAFETY: it has not left its lines, and does not while it is looked at.
        stack.look(|holder| unsafe { holder.needs() }.behind(holder, &mut waiting));
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
