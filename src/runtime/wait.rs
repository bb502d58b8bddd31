//! Waiting for a task, or for the next of several, from a thread outside or from inside another task.

use std::iter;

use super::current::{self, Frame, Frames, Kind};
use super::delays::Delays;
use super::patience::Patience;
use super::worker::Blockable;
use crate::sync::{Arc, Instant, MODEL, Mutex, Parker, local};
use crate::task::state::State;
use crate::task::{ANYBODY, Group, Identity, Latch, Member, Target, TaskRef, WaitError, Wake};

local! { static PATIENCE: Patience = Patience::new(); }

/// This thread has woken a worker, which takes some microseconds to come: to look for its task's end meanwhile would keep the processor busy on which
/// it could run.
pub(super) fn has_woken() {
    if !MODEL {
        let _gone = PATIENCE.try_with(Patience::look_not);
    }
}

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
    /// From now on a nudge ends the next `park_until`.
    fn begin_look(&self) {}
    /// Parks until it is over, or has been [nudged](Wait::nudge); false if `deadline` passed before.
    fn park_until(&self, deadline: Option<Instant>, parker: &Arc<Parker>) -> bool;
    /// Whether [`run_queued`](Self::run_queued) would do something.
    fn is_queued(&self, pool: u32) -> bool;
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
        Goal::Task(Member::of(self), self.state())
    }

    fn park_until(&self, deadline: Option<Instant>, parker: &Arc<Parker>) -> bool {
        let wake = Wake::Thread(parker.clone());
        if !self.register(&wake) {
            return true;
        }
        let woken = parker.park_until(deadline);
        if self.is_over() {
            return true;
        }
        self.deregister(&wake);
        woken
    }

    fn is_queued(&self, pool: u32) -> bool {
        self.pool() == pool && self.snapshot().is_claimable()
    }
}

/// Waits until it is over, or until `deadline`.
///
/// On a worker, in this order: it is over; a task that it waits for is queued, and this task may run another on its stack; else the
/// thread parks and a spare worker takes its place. A timed wait runs nothing, as it could not keep its time.
#[inline]
pub(crate) fn wait<A: Awaited + ?Sized>(awaited: &A, deadline: Option<Instant>) -> Result<(), WaitError> {
    if awaited.is_over() { Ok(()) } else { wait_on(awaited, deadline) }
}

fn wait_on<A: Awaited + ?Sized>(awaited: &A, deadline: Option<Instant>) -> Result<(), WaitError> {
    current::frames(|frames| {
        if frames.clone().any(|frame| awaited.needs(frame.task.get())) {
            return Err(WaitError::WouldDeadlock);
        }
        let park_outside = || park(awaited, deadline, || Arc::new(Parker::new()));
        let Some(innermost) = frames.clone().next() else { return park_outside() };
        // Code with a context holds the lock, and only its context may let go of it.
        let holds = |frame: &Frame| {
            let holds = frame.is_exclusive() && frame.kind.get() == Kind::Context;
            holds && awaited.needs_a_task_of(&|pool| pool == ANYBODY || frame.covers(pool))
        };
        if frames.clone().any(holds) {
            return Err(WaitError::WouldDeadlock);
        }
        let Some(worker) = innermost.worker else { return park_outside() };
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let worker = unsafe { &*worker };
        let may_inline = innermost.kind.get() == Kind::Plain && deadline.is_none() && worker.may_inline();
        let blocks = innermost.kind.get() != Kind::Blocking;
        let release = innermost.kind.get() == Kind::Plain;
        let runs = || may_inline && awaited.run_queued(innermost.pool, worker);
        if runs() {
            return Ok(());
        }
        let (parker, timed) = (Arc::new(Parker::new()), deadline.is_some());
        loop {
            worker.begin_wait(Wait::new(frames.clone(), awaited.goal(), parker.clone(), may_inline, timed))?;
            let held = blocks && worker.block(release);
            let waited = loop {
                awaited.begin_look();
                if worker.is_stuck() {
                    if may_inline && awaited.is_queued(innermost.pool) {
                        break None;
                    }
                    if let Err(error) = worker.check_progress() {
                        break Some(Err(error));
                    }
                }
                let waited = park(awaited, deadline, || parker.clone());
                if waited.is_err() || awaited.is_over() {
                    break Some(waited);
                }
            };
            worker.end_wait();
            if blocks {
                worker.unblock(held);
            }
            if let Some(waited) = waited {
                return waited;
            }
            if runs() {
                return Ok(());
            }
        }
    })
}

fn park<A: Awaited + ?Sized>(
    awaited: &A,
    deadline: Option<Instant>,
    parker: impl FnOnce() -> Arc<Parker>,
) -> Result<(), WaitError> {
    // Without the thread's locals, in a destructor of one, it parks at once.
    let seen = !MODEL && PATIENCE.try_with(|patience| patience.look(|| awaited.seems_over())).unwrap_or(false);
    if (seen && awaited.is_over()) || awaited.park_until(deadline, &parker()) {
        Ok(())
    } else {
        Err(WaitError::TimedOut)
    }
}

/// What has to happen for a wait to be over.
pub(crate) enum Goal {
    /// This task ends; its state word is alive as long as the wait.
    Task(Member, *const State),
    /// One of these does.
    Any(Arc<Group>),
    /// This latch is set, which is alive as long as the wait, by tasks of that pool. It is delayed by nobody: that who opened a scope waits for its tasks is known
    /// from the time when it is opened.
    Latch(*const Latch, u32),
    /// These tasks end, each of which only its worker can run.
    Mail(Vec<Share>),
}

/// A task of a broadcast, which is alive as long as the wait for it.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) worker: usize,
    pub(crate) task: Identity,
    pub(crate) state: *const State,
}

impl Share {
    fn has_ended(&self) -> bool {
        // SAFETY: the handle's reference is kept as long as the wait.
        unsafe { &*self.state }.load().is_terminal()
    }
}

impl Goal {
    fn is_over(&self) -> bool {
        match self {
            // SAFETY: a wait is on the list only while its handle is borrowed.
            Self::Task(_, state) => unsafe { &**state }.load().is_terminal(),
            Self::Any(group) => group.is_over(),
            // SAFETY: as above.
            Self::Latch(latch, _) => unsafe { &**latch }.is_set(),
            Self::Mail(shares) => shares.iter().all(Share::has_ended),
        }
    }

    /// Whether it can't be over if none of the delayed tasks ends.
    fn is_delayed(&self, delays: &Delays) -> bool {
        let delayed = match self {
            Self::Task(task, _) => delays.contains(task.task),
            Self::Any(group) => group.awaits_only(|member| delays.contains(member.task)),
            Self::Latch(..) => false,
            Self::Mail(shares) => shares.iter().any(|share| {
                let waits = || !share.has_ended() && delays.has_worker(share.worker);
                delays.contains(share.task) || waits()
            }),
        };
        // A cancelled task has ended, but stands in line until its turn.
        delayed && !self.is_over()
    }
}

/// A worker's wait: the tasks on its stack, and those in whose scopes they are, and what they wait for.
pub(crate) struct Wait {
    stack: Vec<Identity>,
    /// Those of them that hold guarded values, keys or permits, as long as the wait.
    holders: Vec<TaskRef>,
    goal: Goal,
    parker: Arc<Parker>,
    /// Whether the waiter may run what it waits for.
    may_inline: bool,
    /// Whether it ends by itself.
    timed: bool,
    /// Whether the waiter has looked for what it could run since there last was something new in the queues, and found nothing.
    looked: bool,
}

// SAFETY: the pointers are compared, or used while the wait goes on: state and latch are made of atomics.
unsafe impl Send for Wait {}

impl Wait {
    pub(super) fn new(frames: Frames<'_>, goal: Goal, parker: Arc<Parker>, may_inline: bool, timed: bool) -> Self {
        let (mut stack, mut holders) = (Vec::new(), Vec::new());
        current::lineage(frames, |frame| {
            let task = frame.task.get();
            if !task.is_null() {
                stack.push(task);
            }
            if frame.holds.get() {
                holders.extend(TaskRef::of(task));
            }
        });
        Self { stack, holders, goal, parker, may_inline, timed, looked: false }
    }

    /// For a broadcast's shares, which others run.
    pub(super) fn for_mail(frames: Frames<'_>, shares: Vec<Share>, parker: Arc<Parker>) -> Self {
        Self::new(frames, Goal::Mail(shares), parker, false, false)
    }

    /// For the tasks of a scope of that pool.
    pub(super) fn for_latch(latch: &Latch, pool: u32, parker: Arc<Parker>) -> Self {
        let goal = Goal::Latch(latch, pool);
        Self { stack: Vec::new(), holders: Vec::new(), goal, parker, may_inline: true, timed: false, looked: false }
    }

    /// Whether it may end although no thread of the pool goes on: it is over, or what it waits for is somebody else's to do, or can be run
    /// here, now or when its time has come.
    fn may_end(&self, pool: u32, others: &[(usize, Self)]) -> bool {
        let waits = |task| others.iter().any(|(_, other)| other.stack.contains(&task));
        let elsewhere = |member: Member| member.pool != pool && !waits(member.task);
        let by_goal = match &self.goal {
            Goal::Task(member, state) => {
                // SAFETY: as in `Goal::is_over`.
                let state = unsafe { &**state }.load();
                let runs_here = self.may_inline && (state.is_claimable() || state.comes_by_time());
                let runs = !state.is_queued() && !waits(member.task);
                elsewhere(*member) || runs_here || runs
            }
            Goal::Any(group) => {
                let by_time = |member: Member| self.may_inline && member.by_time && !waits(member.task);
                group.awaits_some(|member| elsewhere(member) || by_time(member))
            }
            Goal::Latch(_, of) => *of != pool,
            Goal::Mail(_) => false,
        };
        self.timed || by_goal || self.goal.is_over()
    }

    /// Whether it may end with an error. Tasks that borrow from the waiter are waited for in any case.
    fn can_fail(&self) -> bool {
        !matches!(self.goal, Goal::Latch(..))
    }

    fn nudge(&self) {
        match &self.goal {
            Goal::Any(group) => group.nudge(),
            _ => self.parker.unpark(),
        }
    }

    /// Whether the goal can't be reached before a task on this stack has ended. `others` are the waits that go on; `worker` is the waiter's
    /// number, if mail for it waits, too.
    ///
    /// What is looked at one after another belongs together: that one task delays another ends only with the first one's end, so if it
    /// all ends in a circle, all of it still holds.
    fn is_for_what_it_delays(&self, worker: Option<usize>, others: &[(usize, Self)]) -> bool {
        let mut delays = Delays::default();
        delays.add(worker, &self.stack, &self.holders);
        let mut counted = vec![false; others.len()];
        loop {
            // SAFETY: waits of this list and the caller's, which go on, as their end takes the lock that the caller has.
            let mut grown = unsafe { delays.follow() };
            if self.goal.is_delayed(&delays) {
                return true;
            }
            for ((worker, other), counted) in others.iter().zip(&mut counted) {
                if !*counted && other.goal.is_delayed(&delays) {
                    (*counted, grown) = (true, true);
                    delays.add(Some(*worker), &other.stack, &other.holders);
                }
            }
            if !grown {
                return delays.has_permits() && self.is_one_of_too_many(others);
            }
        }
    }

    /// Whether no goal of some waits, of which this is one, can be reached while all of these go on: where tasks hold permits, each of several
    /// waits may alone leave enough of them, and not all together.
    fn is_one_of_too_many(&self, others: &[(usize, Self)]) -> bool {
        if self.timed {
            return false;
        }
        let mut stuck: Vec<_> = others.iter().map(|(_, other)| other).filter(|other| !other.timed).collect();
        loop {
            let mut delays = Delays::default();
            iter::once(self).chain(stuck.iter().copied()).for_each(|wait| delays.add(None, &wait.stack, &wait.holders));
            // SAFETY: as above.
            unsafe { delays.follow() };
            if !self.goal.is_delayed(&delays) {
                return false;
            }
            let before = stuck.len();
            // Who waits for something else may go on, and give back what it holds.
            stuck.retain(|wait| wait.goal.is_delayed(&delays));
            if stuck.len() == before {
                return true;
            }
        }
    }
}

/// Which worker waits for what: finds the waits that can't end.
#[derive(Default)]
pub(super) struct Waits {
    list: Mutex<Vec<(usize, Wait)>>,
    /// Who has it has the queues' tasks in its hands. Another one that looks waits for them.
    pub(super) hands: Mutex<()>,
}

impl Waits {
    /// Notes a wait, unless it closes a cycle of tasks that wait for one another or for one another's values.
    pub(super) fn begin(&self, worker: usize, wait: Wait) -> Result<(), WaitError> {
        let mut waits = self.list.lock();
        if wait.is_for_what_it_delays(Some(worker), &waits) {
            return Err(WaitError::WouldDeadlock);
        }
        waits.push((worker, wait));
        Ok(())
    }

    /// Whether a wait would close such a cycle, of a worker that will first run the mail that it has. It is not noted.
    pub(super) fn would_deadlock(&self, wait: &Wait) -> bool {
        wait.is_for_what_it_delays(None, &self.list.lock())
    }

    /// Something new is in the queues, and nobody is left to run it but who waits for it.
    pub(super) fn rouse(&self) {
        let mut waits = self.list.lock();
        for (_, wait) in waits.iter_mut() {
            wait.looked = false;
            wait.nudge();
        }
    }

    /// A waiter has found nothing to run, and so has nobody else to run what is queued. An error if all `threads` wait, have found nothing, and none of
    /// their waits may end. The last one to look says so.
    pub(super) fn check(&self, worker: usize, pool: u32, threads: usize) -> Result<(), WaitError> {
        let mut waits = self.list.lock();
        let mine = waits.iter_mut().rfind(|(other, _)| *other == worker).map(|(_, wait)| wait);
        let mine = mine.expect("it has begun");
        mine.looked = true;
        let can_fail = mine.can_fail();
        let mut all = waits.len() >= threads;
        for (_, wait) in waits.iter().filter(|(_, wait)| !wait.looked) {
            all = false;
            // It may have looked when another had the queues' tasks in its hands.
            wait.nudge();
        }
        if !all || waits.iter().any(|(_, wait)| wait.may_end(pool, &waits)) {
            return Ok(());
        }
        if !can_fail {
            // Another one that can has to say so.
            if let Some((_, other)) = waits.iter_mut().find(|(_, wait)| wait.can_fail()) {
                other.looked = false;
                other.nudge();
            }
            return Ok(());
        }
        Err(WaitError::WouldDeadlock)
    }

    pub(super) fn end(&self, worker: usize) {
        let mut waits = self.list.lock();
        if let Some(at) = waits.iter().rposition(|(other, _)| *other == worker) {
            waits.swap_remove(at);
        }
    }
}
