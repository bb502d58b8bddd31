//! Tasks that wait for their time: a heap of them, and the thread that queues each when it is due. `docs/timer.md` has the argument.
//!
//! The thread starts with the first such task and ends with the pool. It runs no task. The closure of one that expires, and its callbacks, are all of the
//! user's that can keep it waiting: what is cancelled is dropped by whoever cancels it.

use std::ptr;
use std::time::Duration;

use super::Core;
use super::current::{Frame, Kind};
use super::deadlines::Deadlines;
use super::due::DueQueue;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Condvar, Instant, Mutex, MutexGuard, mutant, thread};
use crate::task::{self, Discarded, JoinRef, Needs, Repeats, Task, TaskError};

/// A time too far to be told: some 30 years.
const FAR: Duration = Duration::from_secs(1 << 30);

/// In a model where time stands still, everything is due at once or never.
pub(super) fn later(than: Instant, by: Duration) -> Instant {
    #[cfg(any(lockgrain_loom, lockgrain_shuttle))]
    if by < FAR && !crate::sync::clock::is_running() {
        return than;
    }
    than.checked_add(by).unwrap_or_else(|| than + FAR)
}

/// The timer of one pool.
pub(super) struct Timer {
    agenda: Mutex<Agenda>,
    /// Tells the thread that the agenda has changed.
    changed: Condvar,
}

struct Agenda {
    entries: DueQueue<Entry>,
    /// Of tasks that are queued; they do not hold the pool open.
    deadlines: Deadlines,
    /// Closures dropped since cancelled tasks were last taken out: no fewer than there are such entries.
    dropped: usize,
    /// Invariant: so while there are entries, or the thread is about to queue one.
    holds_open: bool,
    phase: Phase,
    has_thread: bool,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// The pool is draining: nothing new comes.
    Draining,
    /// `shutdown_now`: nothing comes again.
    Cancelling,
    /// The thread is to end.
    Stopped,
}

struct Entry {
    task: Task,
    kind: Timed,
}

/// How a task uses the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timed {
    Once,
    /// A new series.
    Series,
    /// A series that has run.
    Again,
}

impl Agenda {
    /// When the thread has something to do next, and whether that is a deadline.
    fn next(&self) -> Option<(Instant, bool)> {
        let deadline = self.deadlines.next_due().map(|due| (due, true));
        let task = self.entries.next_due().map(|due| (due, false));
        [deadline, task].into_iter().flatten().min_by_key(|(due, _)| *due)
    }

    fn is_over(&self) -> bool {
        self.phase >= Phase::Draining && self.entries.is_empty()
    }
}

impl Timer {
    pub(super) fn new() -> Self {
        let agenda = Agenda {
            entries: DueQueue::new(),
            deadlines: Deadlines::new(),
            dropped: 0,
            holds_open: false,
            phase: Phase::Open,
            has_thread: false,
            thread: None,
        };
        Self { agenda: Mutex::new(agenda), changed: Condvar::new() }
    }

    /// How many tasks wait for their time, cancelled ones too.
    pub(super) fn len(&self) -> usize {
        self.agenda.lock().entries.len()
    }

    /// The pool has stopped.
    pub(super) fn stop(&self) {
        self.agenda.lock().phase = Phase::Stopped;
        self.changed.notify_one();
    }

    /// The last worker of a draining pool has ended.
    pub(super) fn look_again(&self) {
        // Either the thread has not looked yet, or it waits.
        drop(self.agenda.lock());
        self.changed.notify_one();
    }

    pub(super) fn take_thread(&self) -> Option<thread::JoinHandle<()>> {
        self.agenda.lock().thread.take()
    }

    /// Takes out those that are to go, now and in all future.
    fn close(&self, phase: Phase, goes: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut agenda = self.agenda.lock();
        agenda.phase = agenda.phase.max(phase);
        let gone = agenda.entries.take(goes);
        drop(agenda);
        self.changed.notify_one();
        gone
    }
}

impl<P: LockPolicy> Core<P> {
    /// Has the task queued when it is due, or ends it if the pool does not take it any more.
    fn put_on_agenda(self: &Arc<Self>, task: Task, due: Instant, kind: Timed) {
        let timer = &self.timer;
        let mut agenda = timer.agenda.lock();
        let while_draining = kind == Timed::Again && self.config.periodic_after_shutdown;
        let last = if while_draining { Phase::Draining } else { Phase::Open };
        if agenda.phase > last || !(agenda.holds_open || self.idle.hold_open(while_draining)) {
            drop(agenda);
            let why = if kind == Timed::Again { self.unrun() } else { self.refused() };
            let _ended = task.discard(why);
            return;
        }
        agenda.holds_open = true;
        if let Err(error) = self.start_timer(&mut agenda) {
            // Nothing can be on the agenda: there was never a thread.
            agenda.holds_open = false;
            self.idle.let_close();
            drop(agenda);
            self.start_failures.add_shared(1);
            self.stop_if_empty();
            let _ended = task.discard(TaskError::NoWorker(error.kind()));
            return;
        }
        // A series can be cancelled as soon as its run has ended. Whoever does so later finds it on the agenda.
        if task.is_spent() && !mutant("timer_takes_what_is_cancelled") {
            drop(agenda);
            // Perhaps it was the last one.
            timer.changed.notify_one();
            return;
        }
        let is_next = agenda.entries.add(Entry { task, kind }, due);
        drop(agenda);
        if is_next && !mutant("timer_sleeps_past_an_earlier_task") {
            timer.changed.notify_one();
        }
    }

    fn start_timer(self: &Arc<Self>, agenda: &mut Agenda) -> std::io::Result<()> {
        if !agenda.has_thread {
            let core = self.clone();
            agenda.thread = Some(self.thread_builder("timer").spawn(move || core.tend_timer())?);
            agenda.has_thread = true;
        }
        Ok(())
    }

    /// The life of the thread.
    fn tend_timer(self: &Arc<Self>) {
        // So that whatever runs here after all does not wait for this thread.
        Frame::enter(self.id, self.lock.as_covers(), Kind::Idle, ptr::null(), ptr::null(), None, |_| {
            loop {
                let mut agenda = self.timer.agenda.lock();
                if agenda.phase == Phase::Stopped {
                    return;
                }
                if agenda.is_over() && agenda.holds_open {
                    agenda.holds_open = false;
                    // Under the lock, as a series may be about to hold it open again.
                    self.idle.let_close();
                    drop(agenda);
                    self.stop_if_empty();
                    continue;
                }
                match agenda.next() {
                    Some((due, is_deadline)) if due <= Instant::now() || mutant("timer_comes_early") => {
                        if is_deadline {
                            let deadline = agenda.deadlines.take_next();
                            drop(agenda);
                            deadline.inspect(|deadline| self.expire(deadline));
                        } else {
                            self.fire(agenda);
                        }
                    }
                    Some((due, _)) => {
                        self.timer.changed.wait_until(&mut agenda, due);
                    }
                    None => self.timer.changed.wait(&mut agenda),
                }
            }
        });
    }

    /// Adds a deadline, and starts the thread if need be.
    ///
    /// # Errors
    /// If the pool takes no more, or the thread can't be started.
    pub(super) fn with_timer(self: &Arc<Self>, add: impl FnOnce(&mut Deadlines) -> bool) -> Result<(), TaskError> {
        let mut agenda = self.timer.agenda.lock();
        if agenda.phase > Phase::Open || !self.idle.note_timer() {
            drop(agenda);
            return Err(self.refused());
        }
        if let Err(error) = self.start_timer(&mut agenda) {
            drop(agenda);
            self.start_failures.add_shared(1);
            return Err(TaskError::NoWorker(error.kind()));
        }
        let is_next = add(&mut agenda.deadlines);
        drop(agenda);
        if is_next {
            self.timer.changed.notify_one();
        }
        Ok(())
    }

    /// A task has started or ended for which there may be an entry.
    pub(super) fn a_deadline_is_over(&self) {
        self.timer.agenda.lock().deadlines.note_over();
    }

    #[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
    pub(crate) fn deadlines(&self) -> usize {
        self.timer.agenda.lock().deadlines.len()
    }

    /// Queues the task that is due first.
    fn fire(self: &Arc<Self>, mut agenda: MutexGuard<'_, Agenda>) {
        let Some(Entry { task, kind }) = agenda.entries.take_next() else { return };
        drop(agenda);
        if task.is_spent() {
            self.count_cancelled(1);
            return;
        }
        if kind == Timed::Once {
            task.let_go();
        }
        self.push(task);
    }

    /// A closure that waited for its time has been dropped, most often by a cancel, and then there is an entry for nothing. These are taken
    /// out once they may be more than half of all: so there are never more than that, and none when no other is left.
    fn a_task_was_dropped(&self) {
        let mut agenda = self.timer.agenda.lock();
        agenda.dropped += 1;
        if agenda.dropped * 2 <= agenda.entries.len() || mutant("timer_keeps_what_is_cancelled") {
            return;
        }
        agenda.dropped = 0;
        let gone = agenda.entries.take(|entry| entry.task.is_spent());
        let is_over = agenda.is_over();
        drop(agenda);
        if is_over {
            self.timer.changed.notify_one();
        }
        self.count_cancelled(gone.len());
    }

    /// The pool is draining; how many tasks that cancels.
    pub(super) fn drain_timer(&self) -> usize {
        let keeps = |kind| match kind {
            Timed::Once => self.config.delayed_after_shutdown,
            Timed::Series | Timed::Again => self.config.periodic_after_shutdown,
        };
        self.cancel_entries(self.timer.close(Phase::Draining, |entry| !keeps(entry.kind)))
    }

    /// Cancels all that wait for their time; how many.
    pub(super) fn cancel_timed(&self) -> usize {
        self.cancel_entries(self.timer.close(Phase::Cancelling, |_| true))
    }

    fn cancel_entries(&self, entries: Vec<Entry>) -> usize {
        self.count_cancelled(entries.len());
        entries.into_iter().map(|entry| usize::from(entry.task.discard(self.unrun()) == Discarded::Now)).sum()
    }
}

/// What a task needs that runs once: its time.
struct Delay<P: LockPolicy> {
    core: Arc<Core<P>>,
}

/// What a series needs.
struct Series<P: LockPolicy> {
    core: Arc<Core<P>>,
    period: Period,
    /// When the last run was due. One run at a time uses it.
    due: Mutex<Instant>,
}

/// When a series runs again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Period {
    /// So long after the last run was due.
    Rate(Duration),
    /// So long after the last run has ended.
    Delay(Duration),
}

impl Period {
    /// When the next run is due, if the last one was at `due` and has just ended.
    fn next(self, due: Instant, ended: Instant) -> Instant {
        match self {
            Self::Rate(period) => later(due, period),
            Self::Delay(delay) => later(ended, delay),
        }
    }
}

impl<P: LockPolicy> Needs for Delay<P> {
    fn pool(&self) -> u32 {
        self.core.id
    }
    fn dropped(&self) {
        self.core.a_task_was_dropped();
    }
}

impl<P: LockPolicy> Needs for Series<P> {
    fn pool(&self) -> u32 {
        self.core.id
    }
    fn dropped(&self) {
        self.core.a_task_was_dropped();
    }
}

impl<P: LockPolicy> Repeats for Series<P> {
    fn again(&self) -> impl FnOnce(Task) + 'static {
        let mut due = self.due.lock();
        *due = self.period.next(*due, Instant::now());
        let (core, due) = (self.core.clone(), *due);
        move |task| core.put_on_agenda(task, due, Timed::Again)
    }
}

/// Has `f` run once `delay` has passed.
pub(crate) fn delayed<P, T, F>(core: &Arc<Core<P>>, delay: Duration, f: F) -> JoinRef<T>
where
    P: LockPolicy,
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let due = later(Instant::now(), delay);
    let (task, join) = task::delayed(core.id, Delay { core: core.clone() }, f);
    core.put_on_agenda(task, due, Timed::Once);
    join
}

/// Has `f` run again and again, first once `delay` has passed.
pub(crate) fn series<P, F>(core: &Arc<Core<P>>, delay: Duration, period: Period, f: F) -> JoinRef<()>
where
    P: LockPolicy,
    F: FnMut() + Send + 'static,
{
    let due = later(Instant::now(), delay);
    let (task, join) = task::series(core.id, Series { core: core.clone(), period, due: Mutex::new(due) }, f);
    core.put_on_agenda(task, due, Timed::Series);
    join
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(60);

    // Contract: 102.
    #[test]
    fn a_late_run_does_not_shift_those_after_it_at_a_fixed_rate() {
        let first = Instant::now();
        let mut due = first;
        for run in 1..=100 {
            // The first one takes as long as ten.
            due = Period::Rate(PERIOD).next(due, first + PERIOD * run.max(10));
            assert_eq!(due, first + PERIOD * run);
        }
    }

    // Contract: 102.
    #[test]
    fn the_next_run_is_due_after_the_last_ones_end_with_a_fixed_delay() {
        let due = Instant::now();
        let ended = due + PERIOD * 10;
        assert_eq!(Period::Delay(PERIOD).next(due, ended), ended + PERIOD);
    }

    #[test]
    fn a_time_too_far_to_be_told_is_far() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) >= now + PERIOD * 60 * 24 * 365);
    }
}
