//! Waiting for a task, or for the next of several, from a thread outside or from inside another task.

use std::collections::HashSet;

use super::current::{self, Frame, Frames, Kind};
use super::patience::Patience;
use super::worker::Blockable;
use crate::sync::{Arc, Instant, MODEL, Mutex, Parker, local, mutant};
use crate::task::state::State;
use crate::task::{ANYBODY, Group, Identity, Latch, Target, TaskRef, WaitError, Wake};

local! { static PATIENCE: Patience = Patience::new(); }

/// What a wait is for.
pub(crate) trait Awaited {
    fn is_over(&self) -> bool;
    /// As `is_over`, for a quick look that may be late.
    fn seems_over(&self) -> bool;
    /// Whether it can't be over before a task of such a pool has ended.
    fn needs_a_task_of(&self, pool: &dyn Fn(u32) -> bool) -> bool;
    /// Whether it can't be over before this task has ended.
    fn needs(&self, task: Identity) -> bool;
    /// Runs one of its tasks here, if one is of this pool and queued; then it is over.
    fn run_queued(&self, pool: u32, worker: &dyn Blockable) -> bool;
    /// What the deadlock detection goes by.
    fn goal(&self) -> Goal;
    /// Parks until it is over; false if `deadline` passed before. With an alarm perhaps until that goes off.
    fn park_until(&self, deadline: Option<Instant>, alarm: Option<&Arc<Parker>>) -> bool;
    /// Whether a timer or a wake-up has it come about, and how it stands with that: so the wait may want an alarm.
    fn is_timed(&self) -> bool {
        false
    }
    /// Whether [`run_queued`](Self::run_queued) would do something.
    fn is_queued(&self, _pool: u32) -> bool {
        false
    }
}

/// A single task.
impl<T: Target + ?Sized> Awaited for T {
    fn is_over(&self) -> bool {
        self.snapshot().is_terminal()
    }

    fn seems_over(&self) -> bool {
        self.is_over()
    }

    fn needs_a_task_of(&self, pool: &dyn Fn(u32) -> bool) -> bool {
        pool(self.pool())
    }

    fn needs(&self, task: Identity) -> bool {
        self.identity() == task
    }

    fn run_queued(&self, pool: u32, worker: &dyn Blockable) -> bool {
        let state: *const State = self.state();
        self.pool() == pool && self.claim_and_run(&mut |run| worker.run_inline(self.identity(), state, run))
    }

    fn goal(&self) -> Goal {
        Goal::Task(self.identity(), self.state())
    }

    fn park_until(&self, deadline: Option<Instant>, alarm: Option<&Arc<Parker>>) -> bool {
        let parker = alarm.cloned().unwrap_or_else(|| Arc::new(Parker::new()));
        let wake = Wake::Thread(parker.clone());
        // Without an alarm a permit comes from the end of the task alone.
        if !self.register(&wake) || parker.park_until(deadline) || self.is_over() {
            return true;
        }
        self.deregister(&wake);
        false
    }

    fn is_timed(&self) -> bool {
        self.snapshot().is_timed()
    }

    fn is_queued(&self, pool: u32) -> bool {
        self.pool() == pool && self.snapshot().is_claimable()
    }
}

/// Waits until it is over, or until `deadline`.
///
/// On a worker, in this order: it is over; a task that it waits for is queued, and this task may run another on its stack; else the
/// thread parks and a spare worker takes its place. A timed wait runs nothing, as it could not keep its time.
pub(crate) fn wait<A: Awaited + ?Sized>(awaited: &A, deadline: Option<Instant>) -> Result<(), WaitError> {
    if awaited.is_over() {
        return Ok(());
    }
    current::frames(|frames| {
        if frames.clone().any(|frame| awaited.needs(frame.task.get())) {
            return Err(WaitError::WouldDeadlock);
        }
        let Some(innermost) = frames.clone().next() else { return park(awaited, deadline) };
        // Code with a context holds the lock, and only its context may let go of it.
        let holds = |frame: &Frame| {
            let holds = frame.is_exclusive() && frame.kind.get() == Kind::Context;
            holds && awaited.needs_a_task_of(&|pool| pool == ANYBODY || frame.covers(pool))
        };
        if frames.clone().any(holds) {
            return Err(WaitError::WouldDeadlock);
        }
        let Some(worker) = innermost.worker else { return park(awaited, deadline) };
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let worker = unsafe { &*worker };
        let may_inline = innermost.kind.get() == Kind::Plain && deadline.is_none() && worker.may_inline();
        let alarm = awaited.is_timed().then(|| Arc::new(Parker::new()));
        let blocks = innermost.kind.get() != Kind::Blocking;
        let release = innermost.kind.get() == Kind::Plain;
        loop {
            if may_inline && awaited.run_queued(innermost.pool, worker) {
                return Ok(());
            }
            worker.begin_wait(Wait::new(frames.clone(), awaited.goal(), may_inline, alarm.clone()))?;
            // The timer may have let it go just before, when there was no wait to be told.
            let missed = alarm.is_some() && may_inline && !mutant("wait_misses_the_time");
            if missed && awaited.is_queued(innermost.pool) {
                worker.end_wait();
                continue;
            }
            let held = blocks && worker.block(release);
            let waited = if deadline.is_none() { worker.check_progress() } else { Ok(()) };
            let waited = waited.and_then(|()| park_with(awaited, deadline, alarm.as_ref()));
            worker.end_wait();
            if blocks {
                worker.unblock(held);
            }
            if alarm.is_none() || waited.is_err() || awaited.is_over() {
                return waited;
            }
        }
    })
}

fn park<A: Awaited + ?Sized>(awaited: &A, deadline: Option<Instant>) -> Result<(), WaitError> {
    park_with(awaited, deadline, None)
}

fn park_with<A: Awaited + ?Sized>(
    awaited: &A,
    deadline: Option<Instant>,
    alarm: Option<&Arc<Parker>>,
) -> Result<(), WaitError> {
    // Without the thread's locals, in a destructor of one, it parks at once.
    let seen = !MODEL && PATIENCE.try_with(|patience| patience.look(|| awaited.seems_over())).unwrap_or(false);
    if (seen && awaited.is_over()) || awaited.park_until(deadline, alarm) { Ok(()) } else { Err(WaitError::TimedOut) }
}

/// What has to happen for a wait to be over.
pub(crate) enum Goal {
    /// This task ends; its state word is alive as long as the wait.
    Task(Identity, *const State),
    /// One of these does.
    Any(Arc<Group>),
    /// This latch is set, which is alive as long as the wait, and unparks the parker. It is delayed by nobody: that who opened a scope waits for its
    /// tasks is known from the time when it is opened.
    Latch(*const Latch, Arc<Parker>),
}

impl Goal {
    fn is_over(&self) -> bool {
        match self {
            // SAFETY: a wait is on the list only while its handle is borrowed.
            Self::Task(_, state) => unsafe { &**state }.load().is_terminal(),
            Self::Any(group) => group.is_over(),
            // SAFETY: as above.
            Self::Latch(latch, _) => unsafe { &**latch }.is_set(),
        }
    }

    fn comes_by_time(&self) -> bool {
        // SAFETY: as in `is_over`.
        matches!(self, Self::Task(_, state) if unsafe { &**state }.load().comes_by_time())
    }

    /// Whether it can't be over if none of the delayed tasks ends.
    fn is_delayed(&self, delayed: &HashSet<Identity>) -> bool {
        match self {
            Self::Task(task, _) => delayed.contains(task),
            Self::Any(group) => group.awaits_only(|member| delayed.contains(&member.task)),
            Self::Latch(..) => false,
        }
    }
}

/// A worker's wait: the tasks on its stack, and those in whose scopes they are, and what they wait for.
pub(crate) struct Wait {
    stack: Vec<Identity>,
    /// Those of them that hold guarded values, as long as the wait.
    holders: Vec<TaskRef>,
    goal: Goal,
    /// Whether the waiter may run what it waits for.
    may_inline: bool,
    /// Has the waiter look again, when a timer has let go what it waits for, or nobody is left to poll a future.
    alarm: Option<Arc<Parker>>,
}

// SAFETY: the pointers are compared, or used while the wait goes on: state and latch are made of atomics.
unsafe impl Send for Wait {}

impl Wait {
    fn new(frames: Frames<'_>, goal: Goal, may_inline: bool, alarm: Option<Arc<Parker>>) -> Self {
        let (mut stack, mut holders) = (Vec::new(), Vec::new());
        current::lineage(frames, |frame| {
            let task = frame.task.get();
            if !task.is_null() {
                stack.push(task);
            }
            if frame.has_values.get() {
                holders.extend(TaskRef::of(task));
            }
        });
        Self { stack, holders, goal, may_inline, alarm }
    }

    /// Whether it can end without another task's doing: it is over, or only time is missing for what it waits for to run here.
    fn ends_by_itself(&self) -> bool {
        self.goal.is_over() || (self.may_inline && self.goal.comes_by_time())
    }

    /// Whether the goal can't be reached before a task on this stack has ended. `others` are the waits that go on.
    ///
    /// What is looked at one after another belongs together: that one task delays another ends only with the first one's end, so if it
    /// all ends in a circle, all of it still holds.
    fn is_for_what_it_delays(&self, others: &[(usize, Self)]) -> bool {
        let mut delayed: HashSet<Identity> = self.stack.iter().copied().collect();
        // Tasks that hold values or stand in line for them.
        let mut lines = self.holders.clone();
        let mut seen = HashSet::new();
        let mut counted = vec![false; others.len()];
        loop {
            if self.goal.is_delayed(&delayed) {
                return true;
            }
            let mut grown = false;
            for ((_, other), counted) in others.iter().zip(&mut counted) {
                if !*counted && other.goal.is_delayed(&delayed) {
                    (*counted, grown) = (true, true);
                    delayed.extend(&other.stack);
                    lines.extend(&other.holders);
                }
            }
            while let Some(task) = lines.pop() {
                if !seen.insert(task) {
                    continue;
                }
                grown |= delayed.insert(task.identity());
                // SAFETY: it is on the stack of a wait, which goes on, as its end takes the lock that the caller has; or it stands in line
                // behind such a task, directly or through others, and so can't even start.
                unsafe { task.needs() }.behind(task, &mut |behind| lines.push(behind));
            }
            if !grown {
                return false;
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

    /// Notes a wait for the tasks of a scope.
    pub(super) fn begin_scope(&self, worker: usize, latch: &Latch, parker: &Arc<Parker>) {
        let goal = Goal::Latch(latch, parker.clone());
        let wait = Wait { stack: Vec::new(), holders: Vec::new(), goal, may_inline: true, alarm: None };
        self.0.lock().push((worker, wait));
    }

    /// Unparks the others that wait for the tasks of a scope.
    pub(super) fn nudge_scopes(&self, worker: usize) {
        let waits = self.0.lock();
        let others = waits.iter().filter(|(other, _)| *other != worker);
        let parkers = others
            .filter_map(|(_, wait)| if let Goal::Latch(_, parker) = &wait.goal { Some(parker.clone()) } else { None });
        let parkers: Vec<_> = parkers.collect();
        drop(waits);
        parkers.iter().for_each(|parker| parker.unpark());
    }

    /// A timer has let the task go: who waits for it may run it, or finds out that nobody can.
    pub(super) fn look_again(&self, target: Identity) {
        let waits = self.0.lock();
        let waiting = waits.iter().filter(|(_, wait)| matches!(wait.goal, Goal::Task(task, _) if task == target));
        let alarms: Vec<_> = waiting.filter_map(|(_, wait)| wait.alarm.clone()).collect();
        drop(waits);
        alarms.iter().for_each(|alarm| alarm.unpark());
    }

    /// A poll has been queued, and nobody is left to run it: who waits for what comes again may find that out.
    pub(super) fn look_again_at_all(&self) {
        let waits = self.0.lock();
        let alarms: Vec<_> = waits.iter().filter_map(|(_, wait)| wait.alarm.clone()).collect();
        drop(waits);
        alarms.iter().for_each(|alarm| alarm.unpark());
    }

    /// An error if all `threads` wait and none of their waits ends by itself.
    pub(super) fn check(&self, worker: usize, threads: usize) -> Result<(), WaitError> {
        let waits = self.0.lock();
        debug_assert!(waits.iter().any(|(other, _)| *other == worker));
        if waits.len() < threads || waits.iter().any(|(_, wait)| wait.ends_by_itself()) {
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
