//! Waiting for a task, from a thread outside or from inside another task.

use std::collections::HashSet;

use super::current::{self, Frame, Kind};
use super::patience::Patience;
use crate::sync::{Arc, Instant, MODEL, Mutex, Parker, local};
use crate::task::state::State;
use crate::task::{Identity, JoinRef, TaskRef, WaitError, Wake};

local! { static PATIENCE: Patience = Patience::new(); }

/// Waits until the task has ended, or until `deadline`.
///
/// On a worker, in this order: it has ended; it is queued and this task may run another on its stack; else the thread
/// parks and a spare worker takes its place. A timed wait runs nothing, as it could not keep its time.
pub(crate) fn wait<T>(join: &JoinRef<T>, deadline: Option<Instant>) -> Result<(), WaitError> {
    if join.snapshot().is_terminal() {
        return Ok(());
    }
    current::frames(|frames| {
        if frames.clone().any(|frame| frame.task.get() == join.identity()) {
            return Err(WaitError::WouldDeadlock);
        }
        let Some(innermost) = frames.clone().next() else { return park(join, deadline) };
        // Code with a context holds the lock, and only its context may let go of it.
        let holds =
            |frame: &Frame| frame.is_exclusive() && frame.kind.get() == Kind::Context && frame.covers(join.pool());
        if frames.clone().any(holds) {
            return Err(WaitError::WouldDeadlock);
        }
        let Some(worker) = innermost.worker else { return park(join, deadline) };
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let worker = unsafe { &*worker };
        let may_inline = innermost.pool == join.pool() && innermost.kind.get() == Kind::Plain && deadline.is_none();
        if may_inline && worker.may_inline() {
            let state: *const State = join.state();
            if join.claim_and_run(|run| worker.run_inline(join.identity(), state, run)) {
                return Ok(());
            }
        }
        let stack = frames.clone().map(|frame| frame.task.get()).filter(|task| !task.is_null()).collect();
        let holders = frames.filter(|frame| frame.has_values.get());
        let holders = holders.filter_map(|frame| TaskRef::of(frame.task.get())).collect();
        worker.begin_wait(Wait { stack, holders, target: join.identity(), state: join.state() })?;
        let blocked = innermost.kind.get() != Kind::Blocking;
        let release = innermost.kind.get() == Kind::Plain;
        let held = blocked && worker.block(release);
        let waited = if deadline.is_none() { worker.check_progress() } else { Ok(()) };
        let waited = waited.and_then(|()| park(join, deadline));
        worker.end_wait();
        if blocked {
            worker.unblock(held);
        }
        waited
    })
}

fn park<T>(join: &JoinRef<T>, deadline: Option<Instant>) -> Result<(), WaitError> {
    // Without the thread's locals, in a destructor of one, it parks at once.
    if !MODEL && PATIENCE.try_with(|patience| patience.look(|| join.snapshot().is_terminal())).unwrap_or(false) {
        return Ok(());
    }
    let parker = Arc::new(Parker::new());
    let wake = Wake::Thread(parker.clone());
    if !join.register(&wake) {
        return Ok(());
    }
    // A permit comes from the end of the task alone.
    if parker.park_until(deadline) || join.snapshot().is_terminal() {
        return Ok(());
    }
    join.deregister(&wake);
    Err(WaitError::TimedOut)
}

/// A worker's wait: the tasks on its stack, and the one they wait for.
pub(crate) struct Wait {
    stack: Vec<Identity>,
    /// Those of them that hold guarded values, as long as the wait.
    holders: Vec<TaskRef>,
    target: Identity,
    /// The target's; alive as long as the wait.
    state: *const State,
}

// SAFETY: the pointers are compared, or used while the wait goes on: the state is made of atomics.
unsafe impl Send for Wait {}

impl Wait {
    /// Whether the target can't start, or go on, before a task on this stack has ended. `others` are the waits that go on.
    ///
    /// What is looked at one after another belongs together: that one task delays another ends only with the first one's end, so if it
    /// all ends in a circle, all of it still holds.
    fn is_for_what_it_delays(&self, others: &[(usize, Self)]) -> bool {
        let mut delayed = self.stack.clone();
        // Tasks that hold values or stand in line for them.
        let mut lines = self.holders.clone();
        let mut counted = vec![false; others.len()];
        let mut seen = HashSet::new();
        loop {
            while let Some(task) = delayed.pop() {
                if task == self.target {
                    return true;
                }
                let waiting = others.iter().zip(&mut counted);
                for ((_, other), counted) in waiting.filter(|((_, other), counted)| !**counted && other.target == task)
                {
                    *counted = true;
                    delayed.extend(&other.stack);
                    lines.extend(&other.holders);
                }
            }
            let Some(task) = lines.pop() else { return false };
            if seen.insert(task) {
                delayed.push(task.identity());
                // SAFETY: it is on the stack of a wait, which goes on, as its end takes the lock that the caller has; or it stands in line
                // behind such a task, directly or through others, and so can't even start.
                unsafe { task.needs() }.behind(task, &mut |behind| lines.push(behind));
            }
        }
    }
}

/// Which worker waits for what: finds the waits that can't end.
#[derive(Default)]
pub(super) struct Waits(Mutex<Vec<(usize, Wait)>>);

impl Waits {
    /// Notes a wait, unless it closes a cycle of tasks that wait for one another or for one another's values.
    pub(super) fn begin(&self, worker: usize, wait: Wait) -> Result<(), WaitError> {
        let mut waits = self.0.lock();
        if wait.is_for_what_it_delays(&waits) {
            return Err(WaitError::WouldDeadlock);
        }
        waits.push((worker, wait));
        Ok(())
    }

    /// An error if all `threads` wait and none of their waits is over.
    pub(super) fn check(&self, worker: usize, threads: usize) -> Result<(), WaitError> {
        let waits = self.0.lock();
        // SAFETY: a wait is on the list only while its handle is borrowed.
        let over = |wait: &Wait| unsafe { &*wait.state }.load().is_terminal();
        debug_assert!(waits.iter().any(|(other, _)| *other == worker));
        if waits.len() < threads || waits.iter().any(|(_, wait)| over(wait)) {
            return Ok(());
        }
        Err(WaitError::WouldDeadlock)
    }

    pub(super) fn end(&self, worker: usize) {
        let mut waits = self.0.lock();
        if let Some(at) = waits.iter().rposition(|(other, _)| *other == worker) {
            waits.swap_remove(at);
        }
    }
}
