//! The worker: finds tasks, runs them, and rests when there are none.

use std::any::Any;
use std::cell::Cell;
use std::ptr::{self, NonNull};

use super::Core;
use super::current::{self, Frame, Kind};
use super::lane::{self, Lane};
use super::patience::{self, Patience};
use super::ranked::Turns;
use super::scope::ScopeId;
use super::timeline::Activity;
use super::wait::Wait;
use crate::policy::LockPolicy;
use crate::policy::gate::{Entrant, Gate};
use crate::policy::run_queue::{Find, RunQueue, Source};
use crate::policy::value_lock::ValueLock;
use crate::sync::{Arc, Instant, MODEL, hint, mutant};
use crate::task::state::State;
use crate::task::{Identity, Ran, Tally, Task, TaskRef, WaitError};

/// Tasks run by waiters on top of one another on one stack; deeper waits park.
const MAX_DEPTH: u32 = if MODEL { 2 } else { 64 };

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
    /// The same task, while it has let go.
    blocked: Cell<Option<&'static str>>,
    patience: Patience,
    turns: Turns,
    /// Whether it ends because it has been idle for so long.
    leaves: Cell<bool>,
    /// The worker's value, unless a context has it.
    own: Cell<Option<Box<dyn Any>>>,
}

/// What a wait or a blocking region asks of the worker below it, whatever its policy.
pub(crate) trait Blockable {
    /// Stops counting as active, so that another may run in its stead; lets go of the gate if `release`. Says whether
    /// it held it.
    fn block(&self, release: bool) -> bool;
    /// Takes back what `block` gave up.
    fn unblock(&self, held: bool);
    /// Lets go of the gate and enters it again, as `who`.
    fn pass_gate(&self, who: Entrant);
    /// Runs a claimed task on top of the one that waits for it; false if the stack is too deep for that.
    fn may_inline(&self) -> bool;
    fn run_inline(&self, task: Identity, state: *const State, run: &mut dyn FnMut(&Tally));
    /// Notes what this worker is about to wait for; an error if the wait could never end.
    fn begin_wait(&self, wait: Wait) -> Result<(), WaitError>;
    /// If it is stuck, and this wait can't help it: an error if no other can.
    fn check_progress(&self) -> Result<(), WaitError>;
    fn end_wait(&self);
    /// Runs the newest task in this worker's queue on top of the one that waits for it, if it is of that scope.
    fn run_newest_of(&self, scope: ScopeId) -> bool;
    /// After `block`: whether nobody is left to run what is queued.
    fn is_stuck(&self) -> bool;
    /// Takes a task of that scope out of the queues.
    fn find_any_of(&self, scope: ScopeId) -> Option<Task>;
    /// Runs a task on top of the one that waits for it.
    fn run_on_top(&self, task: Task);
    /// Has others find the task that it keeps for itself.
    fn share_kept(&self);
    /// A task on this worker's stack begins or ends to hold what others stand in line for.
    fn note_holder(&self, _task: TaskRef, _begins: bool) {}
    /// Whether its pool ends what has not started.
    fn is_cancelling(&self) -> bool {
        true
    }
    /// The worker's value, unless a context has it.
    fn take_own(&self) -> Option<Box<dyn Any>> {
        None
    }
    /// What `take_own` took.
    fn put_own(&self, _own: Box<dyn Any>) {}
    /// If it is a caller that runs a task of that pool: where the pool's `Arc<Core>` is.
    fn called_for(&self, _pool: u32) -> Option<NonNull<()>> {
        None
    }
}

pub(super) fn main<P: LockPolicy>(core: Arc<Core<P>>, index: usize) {
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
        patience: Patience::new(),
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
            worker.core.discard_all(|| worker.core.refused());
            worker.retire();
        }
    });
    let Worker { core, local, leaves, .. } = worker;
    core.vacate(index, local);
    if leaves.get() {
        core.idle.quit();
        core.size.end_leave();
        if !mutant("worker_quits_without_a_look") {
            core.stop_if_done();
        }
    } else {
        let exit = core.idle.exit();
        core.after_exit(exit);
    }
    core.deliver();
    core.tell_if_quiescent();
}

/// The state word of a task with a handle, else null.
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
        loop {
            if core.pause.is_on() {
                // It counts as active: nobody else could do more.
                self.leave_gate();
                core.pause.wait(|| core.may_be_quiescent());
            }
            if core.mail.is_there() && self.run_mail(frame) {
                continue;
            }
            if P::Gate::EXCLUSIVE && !self.holds.get() && core.has_queued() {
                self.enter_gate(Entrant::Ordinary);
            }
            let found = if P::Gate::EXCLUSIVE && !self.holds.get() { Find::Empty } else { self.find() };
            match found {
                Find::Task(task, source) => {
                    if source == Source::Stolen {
                        self.wants();
                        core.counters[self.index].stolen.add_owned(1);
                        self.note(Activity::Steal, "", self.clock());
                    }
                    // A searcher that finds work wakes the next, if there is more.
                    if self.searching.take() && core.idle.stop_searching() && core.has_queued() {
                        self.core.notify();
                    }
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
    fn find(&self) -> Find {
        if self.core.ranked.waiting().is_none() {
            return self.core.queue.find(&self.local);
        }
        self.core.find_among_ranked(&self.local, &self.turns)
    }

    fn has_nothing(&self) -> bool {
        !self.core.has_queued() && !self.core.mail.has(self.index)
    }

    /// Runs a task that is for this worker alone; false if there is none.
    #[cold]
    fn run_mail(&self, frame: &Frame) -> bool {
        let Some(task) = self.core.mail.take(self.index) else { return false };
        self.search_no_more();
        if P::Gate::EXCLUSIVE && !self.holds.get() {
            self.enter_gate(Entrant::Ordinary);
        }
        self.run_task(frame, task);
        if let Some(task) = self.kept.take() {
            self.run_batch(frame, task);
        }
        if P::Gate::EXCLUSIVE && self.core.gate().is_wanted() {
            self.leave_gate();
        }
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
        self.leave_gate();
        self.search_no_more();
    }

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
    }

    fn leave_gate(&self) {
        if P::Gate::EXCLUSIVE && self.holds.take() {
            self.core.gate().leave();
        }
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
        self.core.counters[self.index].let_in.add_owned(1);
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

    fn run_task(&self, frame: &Frame, task: Task) {
        frame.replace_kind(Kind::Plain);
        frame.task.set(task.running_identity());
        frame.state.set(state_of(&task));
        if let Some(since) = self.core.watch() {
            self.hold.set(Some((task.name(), since)));
        }
        match self.clock() {
            None => self.settle(task),
            since => {
                let name = task.name();
                self.settle(task);
                self.note(Activity::Task, name, since);
            }
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
            recorder.note(self.index, activity, task, since);
        }
    }

    /// Runs the task, unless it is spent, and sees to what that leaves.
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

    /// Takes the newest entries out of this worker's queue as long as they are of tasks that have been claimed. Their memory
    /// would otherwise be kept until the worker comes by: in a recursion that waits, until its very end.
    fn trim(&self) {
        while let Some(task) = self.core.queue.retract(&self.local) {
            if !task.is_spent() {
                self.put_back(task);
                return;
            }
            self.settle(task);
        }
    }

    fn put_back(&self, task: Task) {
        self.core.queue.push(&self.local, task);
        // A worker that went to sleep meanwhile has not seen it.
        if !mutant("worker_puts_back_untold") {
            self.core.notify();
        }
    }

    /// Takes a task that this worker has pushed out of its queue again, without running it; false if somebody else has it.
    #[inline]
    pub(super) fn take_back(&self, task: Identity) -> bool {
        match self.core.queue.retract(&self.local) {
            Some(newest) if newest.identity() == task => {
                newest.forget();
                true
            }
            None => false,
            Some(newest) => self.dig_out(newest, task),
        }
    }

    #[cold]
    fn dig_out(&self, newest: Task, task: Identity) -> bool {
        let mut above = vec![newest];
        let found = loop {
            match self.core.queue.retract(&self.local) {
                Some(next) if next.identity() == task => break Some(next),
                Some(next) => above.push(next),
                None => break None,
            }
        };
        above.into_iter().rev().for_each(|task| self.put_back(task));
        found.map(Task::forget).is_some()
    }

    /// Takes the first task that is wanted out of the queues, wherever it is.
    fn sift(&self, mut wanted: impl FnMut(&Task) -> bool) -> Option<Task> {
        let queue = &self.core.queue;
        let hands = self.core.waits.hands.lock();
        let found = queue.extract(&mut wanted);
        drop(hands);
        let found = found.or_else(|| self.core.ranked.take_if(wanted));
        // Somebody may have gone to sleep while the tasks were out. Who waits hears of it if this worker has found nothing: there is nothing new.
        if !queue.is_empty() {
            self.core.notify_others();
        }
        found
    }

    /// Has others find the halves of joins that this thread has for itself, before it stops looking after them. To be followed by a look at the
    /// queue, behind a barrier.
    pub(super) fn share_halves(&self) {
        if mutant("worker_blocks_on_its_halves") {
            return;
        }
        lane::with(|lane| {
            while let Some(task) = lane.and_then(Lane::share) {
                self.core.queue.push(&self.local, task);
            }
        });
    }

    /// Runs a task on top of the one that waits for it.
    fn on_top(&self, task: Identity, state: *const State, run: impl FnOnce()) {
        let since = self.clock();
        self.depth.set(self.depth.get() + 1);
        let blockable: *const dyn Blockable = self;
        let lock = self.core.lock.as_covers();
        Frame::enter(self.core.id, lock, Kind::Plain, task, state, Some(blockable), |_| run());
        self.depth.set(self.depth.get() - 1);
        self.note(Activity::Inlined, "", since);
    }

    /// Says to workers that join that there are some who could take the other halves.
    #[inline]
    fn wants(&self) {
        // Behind a gate nobody could run one. In a model, what a new pool wants is enough, and the rest would be more to explore everywhere.
        if !P::Gate::EXCLUSIVE && !MODEL {
            self.core.idle.want();
        }
    }

    /// Looks for work a while; true if there is some.
    fn look(&self) -> bool {
        let core = &*self.core;
        // A moment's pause lets more than one task come, where they come one by one.
        patience::pause();
        // In a model one look does for all.
        if !MODEL && core.has_queued() {
            return true;
        }
        if !self.searching.get() {
            if !core.idle.start_searching() {
                return core.has_queued();
            }
            self.searching.set(true);
        }
        self.wants();
        if !MODEL {
            self.look_on();
        }
        core.has_queued()
    }

    fn look_on(&self) {
        let core = &*self.core;
        let stop = || {
            self.wants();
            core.has_queued() || core.is_draining()
        };
        let word = core.idle.load();
        if word.active() > word.searching() {
            // Others work and may spawn at any moment: to wake this worker would cost them more than its look costs here. It
            // ends when one of them looks, too.
            Patience::look_long(|| stop() || core.idle.load().searching() > 1);
        } else {
            self.patience.look(stop);
        }
    }

    /// Sleeps until woken for work; false if the thread should end: the pool is draining, or it has been idle for so long.
    fn sleep(&self) -> bool {
        let core = &*self.core;
        // It would have left, but there was work.
        if self.leaves.take() {
            core.size.end_leave();
        }
        let word = core.idle.sleep(self.index, self.searching.take());
        self.wants();
        if core.has_queued() && !mutant("idle_sleep_no_recheck") {
            // Perhaps wakes this very worker.
            self.core.notify();
        }
        if word.draining() {
            return false;
        }
        // The last one that was active; those that rest count as such.
        if word.active() == 1 || core.pause.is_on() {
            core.tell_if_quiescent();
        }
        // Posted before this worker was on the list; and if somebody wakes it now, the permit is on its way.
        let has_mail = core.mail.has(self.index) && !mutant("mail_is_slept_over");
        if has_mail && core.idle.leave_sleepers(self.index) {
            return true;
        }
        let parker = &core.parkers[self.index];
        core.counters[self.index].parked.add_owned(1);
        let spare = word.threads() > core.kept_workers();
        let deadline = spare.then(|| Instant::now() + core.config.keep_alive);
        let since = self.clock();
        let parked = parker.park_until(deadline);
        self.note(Activity::Parked, "", since);
        if !parked {
            if core.idle.leave_sleepers(self.index) {
                let leaves = core.size.begin_leave(|| core.idle.load().threads(), core.kept_workers());
                if !leaves {
                    // Perhaps as another one does, and has not gone yet.
                    hint::yield_now();
                }
                self.leaves.set(leaves);
                return !leaves;
            }
            parker.park();
        }
        self.searching.set(true);
        true
    }
}

impl<P: LockPolicy> Blockable for Worker<P> {
    fn pass_gate(&self, who: Entrant) {
        let task = self.end_hold();
        self.core.gate().leave();
        self.enter_gate(who);
        self.hold.set(task.zip(self.core.watch()));
    }

    fn block(&self, release: bool) -> bool {
        self.share_halves();
        self.blocked_since.set(self.clock());
        let held = self.holds.get();
        if held && release {
            let task = self.end_hold();
            self.blocked.set(task);
            self.leave_gate();
        }
        // In the hook of a thread's start, which counts as searching.
        if self.searching.take() {
            let _looks_below = self.core.idle.stop_searching();
        }
        self.core.idle.block();
        self.wants();
        if self.core.has_queued() {
            self.core.notify();
        }
        self.core.let_over_if_stuck();
        held && release
    }

    fn unblock(&self, held: bool) {
        self.note(Activity::Blocked, "", self.blocked_since.take());
        self.core.idle.unblock();
        if held {
            self.enter_gate(Entrant::Returner);
            self.hold.set(self.blocked.take().zip(self.core.watch()));
        }
    }

    fn may_inline(&self) -> bool {
        self.depth.get() < MAX_DEPTH
    }

    fn run_inline(&self, task: Identity, state: *const State, run: &mut dyn FnMut(&Tally)) {
        self.core.inlined.add_shared(1);
        self.on_top(task, state, || run(self.tally()));
        self.trim();
    }

    fn begin_wait(&self, wait: Wait) -> Result<(), WaitError> {
        self.core.waits.begin(self.index, wait)
    }

    fn check_progress(&self) -> Result<(), WaitError> {
        let check = || self.core.waits.check(self.index, self.core.id, self.core.idle.load().threads());
        check().or_else(|_| {
            // That a task is seen to be in a queue does not say that it is seen to have been let go before; to have had it in hand does.
            if !mutant("wait_trusts_the_first_look") {
                self.sift(|_| false);
            }
            check()
        })
    }

    fn is_stuck(&self) -> bool {
        self.core.is_stuck()
    }

    fn run_newest_of(&self, scope: ScopeId) -> bool {
        let Some(task) = self.core.queue.retract(&self.local) else { return false };
        let runs = task.scope() == scope && self.may_inline();
        if runs {
            self.run_on_top(task);
        } else {
            self.put_back(task);
        }
        runs
    }

    fn find_any_of(&self, scope: ScopeId) -> Option<Task> {
        self.sift(|task| task.scope() == scope)
    }

    fn run_on_top(&self, task: Task) {
        let (identity, state) = (task.running_identity(), state_of(&task));
        self.on_top(identity, state, || self.settle(task));
    }

    fn end_wait(&self) {
        self.core.waits.end(self.index);
    }

    fn note_holder(&self, task: TaskRef, begins: bool) {
        let core = &self.core;
        if !P::Lock::LINES && !core.has_limits() {
            return;
        }
        if !begins {
            core.holders.remove(self.index, task);
        } else {
            core.holders.add(self.index, task);
            if core.is_cancelling() && !mutant("holders_look_no_more") {
                core.cancel_behind(self.index);
            }
        }
    }

    fn is_cancelling(&self) -> bool {
        self.core.is_cancelling()
    }

    fn take_own(&self) -> Option<Box<dyn Any>> {
        self.own.take()
    }

    fn put_own(&self, own: Box<dyn Any>) {
        self.own.set(Some(own));
    }

    fn share_kept(&self) {
        if mutant("worker_keeps_a_task_too_long") {
            return;
        }
        if let Some(task) = self.kept.take() {
            task.let_go();
            self.core.push(task);
        }
    }
}
