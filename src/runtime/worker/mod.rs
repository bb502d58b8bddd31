//! The worker: finds tasks, runs them, and rests when there are none.

use std::any::Any;
use std::cell::Cell;
use std::ptr;

mod appetite;
mod blockable;
mod entries;
mod rest;

pub(crate) use blockable::Blockable;

use self::appetite::Appetite;
use super::Core;
use super::current::{self, Frame, Kind};
use super::patience::Patience;
use super::ranked::Turns;
use super::timeline::Activity;
use crate::policy::LockPolicy;
use crate::policy::gate::{Entrant, Gate};
use crate::policy::run_queue::{Find, RunQueue, Source};
use crate::sync::{Arc, Instant, MODEL, hint};
use crate::task::state::State;
use crate::task::{Identity, Ran, Tally, Task};

/// Tasks run by waiters on top of one another on one stack; deeper waits park.
const MAX_DEPTH: u32 = if MODEL { 2 } else { 64 };

/// Bytes of a thread's stack if nobody asks for another size.
const USUAL_STACK: usize = 2 << 20;

/// Tasks that a worker keeps for itself one after another, as each lets in the next, before others get their turn.
const BATCH: u32 = if MODEL { 1 } else { 64 };

pub(super) struct Worker<P: LockPolicy> {
    pub(super) core: Arc<Core<P>>,
    pub(super) index: usize,
    pub(super) local: <P::Queue as RunQueue>::Local,
    /// Whether this worker has entered an exclusive gate.
    holds: Cell<bool>,
    /// Whether this worker is counted as searching.
    searching: Cell<bool>,
    depth: Cell<u32>,
    /// The next task to run: one that the last one let in.
    kept: Cell<Option<Task>>,
    /// How many more may be kept.
    batch: Cell<u32>,
    /// The task that holds the lock, and since when, if somebody wants to hear of long holds.
    hold: Cell<Option<(&'static str, Instant)>>,
    /// Since when it blocks, if it does, and if somebody wants to know.
    blocked_since: Cell<Option<Instant>>,
    /// Since when it has had the gate, if that is recorded.
    held_since: Cell<Option<Instant>>,
    /// When the last task ended, if the next one follows at once: to be noted for both with one look at the clock.
    ended: Cell<Option<Instant>>,
    /// The same task, while it has let go.
    blocked: Cell<Option<&'static str>>,
    /// Whether this thread was started for a task, and has not come to it yet.
    starts: Cell<bool>,
    patience: Patience,
    appetite: Appetite,
    turns: Turns,
    /// Whether it ends because it has been idle for so long.
    leaves: Cell<bool>,
    /// The worker's value, unless a context has it.
    own: Cell<Option<Box<dyn Any>>>,
}

pub(super) fn main<P: LockPolicy>(core: Arc<Core<P>>, index: usize, for_task: bool) {
    let local = core.take_local(index);
    let worker = Worker {
        local,
        index,
        holds: Cell::new(false),
        // Whoever starts a thread counts it so.
        searching: Cell::new(true),
        depth: Cell::new(0),
        kept: Cell::new(None),
        batch: Cell::new(BATCH),
        hold: Cell::new(None),
        blocked: Cell::new(None),
        blocked_since: Cell::new(None),
        held_since: Cell::new(None),
        ended: Cell::new(None),
        starts: Cell::new(for_task),
        patience: Patience::new(),
        appetite: Appetite::default(),
        turns: Turns::default(),
        leaves: Cell::new(false),
        own: Cell::new(None),
        core,
    };
    let blockable: *const dyn Blockable = &raw const worker;
    let frame = (worker.core.id, worker.core.lock.as_covers());
    #[cfg(feature = "tracing")]
    super::trace::on_worker(index);
    Frame::enter(frame.0, frame.1, Kind::Idle, ptr::null(), ptr::null(), Some(blockable), |frame| {
        // Inside the frame: a hook that shuts the pool down must not wait for its own thread.
        if worker.core.broken().is_none() {
            worker.core.call_hook(|hooks| hooks.thread_start.as_ref(), index);
            worker.core.wrap(index, &mut || worker.live(frame));
            worker.retire();
            worker.core.call_hook(|hooks| hooks.thread_stop.as_ref(), index);
        } else {
            // Started for what was submitted while the pool broke.
            worker.retire();
            worker.core.discard_all(|| worker.core.refused());
        }
    });
    let Worker { core, local, leaves, .. } = worker;
    core.vacate(index, local);
    core.idle.leave();
    if leaves.get() {
        core.size.end_leave();
    }
    core.has_left();
    core.deliver();
    core.tell_if_quiescent();
}

/// The state word of a task with a handle, else null.
#[inline]
fn state_of(task: &Task) -> *const State {
    task.state().map_or(ptr::null(), |state| state.as_ptr().cast_const())
}

impl<P: LockPolicy> Worker<P> {
    fn live(&self, frame: &Frame) {
        self.core.with_local(self.index, |own| {
            self.own.set(own);
            self.run(frame);
            self.retire();
            self.own.take()
        });
    }

    fn run(&self, frame: &Frame) {
        let core = &*self.core;
        if self.starts.get() {
            self.run_first(frame);
        }
        loop {
            self.rest_in_a_pause();
            if core.mail.is_there() && self.run_mail(frame) {
                continue;
            }
            if P::Gate::EXCLUSIVE && !self.holds.get() && core.has_queued() {
                self.enter_gate(Entrant::Ordinary);
            }
            let found = if P::Gate::EXCLUSIVE && !self.holds.get() { Find::Empty } else { self.find() };
            match found {
                Find::Task(task, source) => {
                    self.has_found(source);
                    self.run_task(frame, task);
                    if let Some(task) = self.kept.take() {
                        self.run_batch(frame, task);
                    }
                    if P::Gate::EXCLUSIVE && core.gate().is_wanted() {
                        self.leave_gate();
                    }
                    if core.idle.is_surplus() {
                        self.leave_gate();
                        if !self.sleep() && self.has_nothing() {
                            break;
                        }
                    }
                }
                // Whoever is in the way may wait for this core.
                Find::Retry => hint::yield_now(),
                Find::Empty => {
                    self.ended.set(None);
                    self.leave_gate();
                    if self.look() {
                        continue;
                    }
                    if (core.is_draining() || !self.sleep()) && self.has_nothing() {
                        break;
                    }
                }
            }
        }
    }

    #[inline]
    fn rest_in_a_pause(&self) {
        if self.core.pause.is_on() {
            self.ended.set(None);
            // It counts as active: nobody else could do more.
            self.leave_gate();
            self.core.pause.wait(|| self.core.may_be_quiescent());
        }
    }

    /// Runs the task for which this thread was started, or who is first by now.
    #[cold]
    fn run_first(&self, frame: &Frame) {
        self.rest_in_a_pause();
        if P::Gate::EXCLUSIVE {
            self.enter_gate(Entrant::Ordinary);
        }
        let first = loop {
            match self.core.starting.first(|| self.core.find_among_ranked(&self.local, &self.turns)) {
                Find::Retry => hint::yield_now(),
                found => break found,
            }
        };
        self.starts.set(false);
        if let Find::Task(task, source) = first {
            self.run_before(frame, task, source);
        }
    }

    /// Runs a task outside the loop over those in the queues.
    fn run_before(&self, frame: &Frame, task: Task, source: Source) {
        self.has_found(source);
        self.run_batch(frame, task);
        if P::Gate::EXCLUSIVE && self.core.gate().is_wanted() {
            self.leave_gate();
        }
    }

    #[inline]
    fn find(&self) -> Find {
        if self.core.ranked.waiting().is_none() {
            return self.core.queue.find(&self.local);
        }
        self.core.find_among_ranked(&self.local, &self.turns)
    }

    #[inline(always)]
    fn has_found(&self, source: Source) {
        if source == Source::Stolen {
            self.has_stolen();
            self.core.counters[self.index].stolen.add_owned(1);
            self.note(Activity::Steal, "", self.clock());
        }
        self.search_no_more();
    }

    /// Whether nobody needs this worker any more.
    fn has_nothing(&self) -> bool {
        !self.core.has_queued() && !self.core.mail.has(self.index)
    }

    /// Runs a task that is for this worker alone; false if there is none.
    #[cold]
    fn run_mail(&self, frame: &Frame) -> bool {
        self.ended.set(None);
        let Some(task) = self.core.mail.take(self.index) else { return false };
        if P::Gate::EXCLUSIVE && !self.holds.get() {
            self.enter_gate(Entrant::Ordinary);
        }
        self.run_before(frame, task, Source::Injected);
        true
    }

    /// Runs this worker's mail on top of the task that waits for it, up to `last`.
    pub(super) fn run_mail_until(&self, kind: Kind, last: Identity) {
        let lets_go = kind == Kind::Blocking;
        while let Some(task) = self.core.mail.take_until(self.index, last) {
            if lets_go {
                self.unblock(P::Gate::EXCLUSIVE);
            }
            // In a hook of its thread nobody has entered it.
            let enters = P::Gate::EXCLUSIVE && !self.holds.get();
            if enters {
                self.enter_gate(Entrant::Ordinary);
            }
            self.run_on_top(task);
            if enters {
                self.leave_gate();
            }
            if lets_go {
                self.block(true);
            }
        }
    }

    /// Takes no more tasks.
    fn retire(&self) {
        self.give_up_first();
        self.leave_gate();
        self.search_no_more();
    }

    /// Leaves the task for which this thread was started to others.
    fn give_up_first(&self) {
        if self.starts.take() {
            self.core.give_up_first_task();
        }
    }

    /// A searcher that finds work wakes the next, if there is more.
    #[inline]
    fn search_no_more(&self) {
        if self.searching.take() && self.core.idle.stop_searching() && self.core.has_queued() {
            self.core.notify();
        }
    }

    /// Runs a task that the last one let in, and those that it lets in in turn.
    #[inline(never)]
    fn run_batch(&self, frame: &Frame, first: Task) {
        let mut next = Some(first);
        while let Some(task) = next {
            self.run_task(frame, task);
            next = self.kept.take();
        }
        self.batch.set(BATCH);
    }

    fn enter_gate(&self, who: Entrant) {
        let since = self.clock();
        #[cfg(feature = "tracing")]
        let begun = Instant::now();
        self.core.gate().enter(who);
        #[cfg(feature = "tracing")]
        super::trace::waited_for_lock(begun);
        self.holds.set(true);
        self.note(Activity::LockWait, "", since);
        self.held_since.set(self.clock());
    }

    fn leave_gate(&self) {
        if P::Gate::EXCLUSIVE && self.holds.take() {
            self.let_go();
        }
    }

    fn let_go(&self) {
        // Before, so that it is over when the next hold begins.
        self.note(Activity::LockHold, "", self.held_since.take());
        self.core.gate().leave();
    }

    /// Runs a task next, or soon, that the one which has just ended let in.
    pub(super) fn keep(&self, task: Task) {
        let core = &self.core;
        let others_wait = (P::Gate::EXCLUSIVE && core.gate().is_wanted())
            || core.idle.is_surplus()
            || core.ranked.waiting().high() > 0;
        let kept = self.kept.take();
        if kept.is_none() && self.depth.get() == 0 && !others_wait && self.batch.get() > 0 {
            self.batch.set(self.batch.get() - 1);
            self.kept.set(Some(task));
            return;
        }
        self.kept.set(kept);
        task.let_go();
        if self.batch.get() > 0 { core.push(task) } else { core.inject(task) }
    }

    pub(super) fn count_let_in(&self) {
        self.core.counters[self.index].let_in.add();
    }

    /// Reports a task that has held the lock for too long; its name.
    fn end_hold(&self) -> Option<&'static str> {
        let (task, since) = self.hold.take()?;
        self.core.held(task, since);
        Some(task)
    }

    fn tally(&self) -> &Tally {
        &self.core.counters[self.index].tally
    }

    #[inline(always)]
    fn run_task(&self, frame: &Frame, task: Task) {
        frame.replace_kind(Kind::Plain);
        frame.task.set(task.running_identity());
        frame.state.set(state_of(&task));
        if let Some(since) = self.core.watch() {
            self.hold.set(Some((task.name(), since)));
        }
        let noted = self.core.recorder.as_ref().map(|recorder| {
            let since = self.ended.take().unwrap_or_else(Instant::now);
            (recorder, task.name(), since)
        });
        self.settle(task);
        if let Some((recorder, name, since)) = noted {
            self.ended.set(Some(recorder.note(self.index, Activity::Task, name, since)));
        }
        if P::Gate::EXCLUSIVE {
            self.end_hold();
        }
        frame.replace_kind(Kind::Idle);
        frame.task.set(ptr::null());
        frame.state.set(ptr::null());
    }

    /// The time, if somebody wants to know what this worker does when.
    #[inline]
    fn clock(&self) -> Option<Instant> {
        self.core.recorder.as_ref().map(|_| Instant::now())
    }

    /// Notes what it has done since then.
    fn note(&self, activity: Activity, task: &'static str, since: Option<Instant>) {
        if let (Some(recorder), Some(since)) = (&self.core.recorder, since) {
            self.ended.set(None);
            recorder.note(self.index, activity, task, since);
        }
    }

    /// Runs the task, unless it is spent, and sees to what that leaves.
    #[inline]
    fn settle(&self, task: Task) {
        match task.run(self.tally()) {
            Ran::Done => {}
            Ran::Unobserved(payload) => {
                self.share_kept();
                // The handler's code is not the task's, whose memory may be another's.
                current::frames(|mut frames| {
                    if let Some(frame) = frames.next() {
                        frame.task.set(ptr::null());
                    }
                });
                self.core.unobserved_panic(payload);
            }
            Ran::Claimed => self.core.claimed.add_shared(1),
            Ran::Cancelled => self.core.counters[self.index].cancelled.add_owned(1),
        }
    }

    /// Whether there is stack enough to run, on top of the one that waits, what it helps with; that may be nested as deeply as a recursion is.
    pub(super) fn may_help(&self) -> bool {
        let here = 0_u8;
        // A worker lies at the beginning of its thread's stack.
        let used = ptr::from_ref(self).addr().abs_diff((&raw const here).addr());
        let most = self.core.config.stack_size.unwrap_or(USUAL_STACK) / 4;
        if MODEL { self.may_inline() } else { used < most }
    }

    /// Runs a task on top of the one that waits for it.
    #[inline]
    fn on_top(&self, task: Identity, state: *const State, run: impl FnOnce()) {
        let since = self.clock();
        self.depth.set(self.depth.get() + 1);
        let blockable: *const dyn Blockable = self;
        let lock = self.core.lock.as_covers();
        Frame::enter(self.core.id, lock, Kind::Plain, task, state, Some(blockable), |_| run());
        self.depth.set(self.depth.get() - 1);
        self.note(Activity::Inlined, "", since);
    }
}
