//! Waiting for a task, from a thread outside or from inside another task.

use super::current::{self, Frame, Kind};
use super::patience::Patience;
use crate::sync::{Arc, Instant, Mutex, Parker, local};
use crate::task::state::State;
use crate::task::{Identity, JoinRef, WaitError, Wake};

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
        let holds = |frame: &Frame| frame.exclusive && frame.pool == join.pool() && frame.kind.get() == Kind::Context;
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
        let stack = frames.map(|frame| frame.task.get()).filter(|task| !task.is_null()).collect();
        worker.begin_wait(Wait { stack, target: join.identity(), state: join.state() })?;
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
    if PATIENCE.try_with(|patience| patience.look(|| join.snapshot().is_terminal())).unwrap_or(false) {
        return Ok(());
    }
    let parker = Arc::new(Parker::new());
    let wake = Wake::Thread(parker.clone());
    if !join.register(&wake) {
        return Ok(());
    }
    while !join.snapshot().is_terminal() {
        if !parker.park_until(deadline) && !join.snapshot().is_terminal() {
            join.deregister(&wake);
            return Err(WaitError::TimedOut);
        }
    }
    Ok(())
}

/// A worker's wait: the tasks on its stack, and the one they wait for.
pub(crate) struct Wait {
    stack: Vec<Identity>,
    target: Identity,
    /// The target's; alive as long as the wait.
    state: *const State,
}

// SAFETY: the pointers are compared, and the state, which is made of atomics, is read while the wait goes on.
unsafe impl Send for Wait {}

/// Which worker waits for what: finds the waits that can't end.
#[derive(Default)]
pub(super) struct Waits(Mutex<Vec<(usize, Wait)>>);

impl Waits {
    /// Notes a wait, unless it closes a cycle of tasks that wait for one another.
    pub(super) fn begin(&self, worker: usize, wait: Wait) -> Result<(), WaitError> {
        let mut waits = self.0.lock();
        let mut target = wait.target;
        // Each step goes to another worker's wait, so there are at most as many as waits.
        for _ in 0..=waits.len() {
            if wait.stack.contains(&target) {
                return Err(WaitError::WouldDeadlock);
            }
            match waits.iter().find(|(_, other)| other.stack.contains(&target)) {
                Some((_, other)) => target = other.target,
                None => break,
            }
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
