//! What can't go on as long as some tasks don't end: `docs/guarded.md` has the argument.

use std::collections::{HashMap, HashSet};

use crate::task::{Identity, TaskRef, Walk};

/// Tasks that don't end, and all that can't start or end because of that.
#[derive(Default)]
pub(super) struct Delays {
    delayed: HashSet<Identity>,
    /// On whose stacks some of them are.
    workers: HashSet<usize>,
    /// Tasks that hold values or permits or stand in line for them, whose lines are still to be looked at.
    lines: Vec<TaskRef>,
    /// Those that have been looked at.
    seen: HashSet<TaskRef>,
    /// How many permits of a limit these want in all.
    permits: HashMap<*const (), u64>,
}

impl Delays {
    /// The tasks of a wait, and on which worker it is, if that counts.
    pub(super) fn add(&mut self, worker: Option<usize>, stack: &[Identity], holders: &[TaskRef]) {
        self.workers.extend(worker);
        self.delayed.extend(stack);
        self.lines.extend(holders);
    }

    pub(super) fn contains(&self, task: Identity) -> bool {
        self.delayed.contains(&task)
    }

    pub(super) fn has_worker(&self, worker: usize) -> bool {
        self.workers.contains(&worker)
    }

    /// Whether one of them wants permits.
    pub(super) fn has_permits(&self) -> bool {
        !self.permits.is_empty()
    }

    /// Goes along the lines; whether it found somebody.
    ///
    /// # Safety
    /// Tasks that were added are on stacks of waits that go on meanwhile.
    pub(super) unsafe fn follow(&mut self) -> bool {
        let mut grown = false;
        while let Some(task) = self.lines.pop() {
            if self.seen.insert(task) {
                grown |= self.delayed.insert(task.identity());
                // SAFETY: the caller's promise; or it stands in line behind such a task, directly or through others, and so can't even start.
                unsafe { task.needs() }.behind(task, self);
            }
        }
        grown
    }
}

impl Walk for Delays {
    fn visit(&mut self, task: TaskRef) {
        self.lines.push(task);
    }

    fn is_stuck(&self, task: TaskRef) -> bool {
        self.seen.contains(&task)
    }

    fn permits(&mut self, limit: *const (), permits: u32) -> Option<u64> {
        let all = self.permits.entry(limit).or_default();
        *all += u64::from(permits);
        Some(*all)
    }
}
