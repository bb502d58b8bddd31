//! Who is awake: one word of counters, and the list of sleepers. `docs/idle.md` has the protocol and its argument.

use crossbeam_utils::CachePadded;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*, fence};
use crate::sync::{MODEL, hint, mutant};

/// Counters of a pool's threads and its phase, in one word so that each decision is one atomic step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

/// Awake and not blocked: the threads that run tasks or look for some.
const ACTIVE: u64 = 1;
/// Of these, the ones that look for work and will see what was pushed before.
const SEARCHING: u64 = 1 << 15;
/// Parked for want of work.
const SLEEPING: u64 = 1 << 30;
/// All threads, also blocked ones.
const THREADS: u64 = 1 << 45;
const FIELD: u64 = (1 << 15) - 1;
const DRAINING: u64 = 1 << 60;
const STOPPED: u64 = 1 << 61;
/// The timer has tasks that are to run: the pool does not stop before.
const HELD_OPEN: u64 = 1 << 62;
/// There is a timer.
const TIMER: u64 = 1 << 63;

/// How often a submitter looks at the word before it wakes somebody while others are active: some 1.6 µs.
const GLANCES: u32 = if MODEL { 0 } else { 64 };

/// More threads than this don't fit the counters.
pub(crate) const MAX_THREADS: usize = FIELD as usize - 1;

impl Word {
    fn field(self, unit: u64) -> usize {
        ((self.0 / unit) & FIELD) as usize
    }
    pub(super) fn active(self) -> usize {
        self.field(ACTIVE)
    }
    pub(super) fn searching(self) -> usize {
        self.field(SEARCHING)
    }
    pub(super) fn sleeping(self) -> usize {
        self.field(SLEEPING)
    }
    pub(super) fn threads(self) -> usize {
        self.field(THREADS)
    }
    pub(super) fn draining(self) -> bool {
        self.0 & (DRAINING | STOPPED) != 0
    }
    pub(super) fn stopped(self) -> bool {
        self.0 & STOPPED != 0
    }
    fn held_open(self) -> bool {
        self.0 & HELD_OPEN != 0
    }
    /// Stays as it is once the pool is draining.
    pub(super) fn has_timer(self) -> bool {
        self.0 & TIMER != 0
    }
}

#[derive(Debug)]
pub(super) struct Idle {
    word: AtomicU64,
    /// Whether tasks are refused. By itself, so that in a model a submission depends on the shutdown and not on each change of
    /// the word. Set before the word's bit.
    draining: AtomicBool,
    /// The sleepers, last come first woken. SLEEPING changes under this lock only.
    sleepers: Mutex<Vec<usize>>,
    /// How many threads may be active at once. Changes in `set_target` only.
    target: AtomicUsize,
    max_threads: usize,
    /// How many halves of joins are wanted by workers that have nothing to do. By itself, as each join reads it.
    wanted: CachePadded<AtomicUsize>,
}

/// What a notification calls for. The counters have already been changed accordingly.
#[derive(Debug)]
#[must_use]
pub(super) enum Notify {
    /// Somebody will see the work, or nobody may run it now.
    Enough,
    /// Unpark this worker: it counts as active and searching.
    Wake(usize),
    /// Start a thread: it counts as active and searching.
    Start,
    /// Every thread there may be is blocked: nobody sees the work but who waits for it.
    Stuck,
    /// The pool has stopped.
    Stopped,
}

/// Whether a pool has been stopped.
#[derive(Debug)]
#[must_use]
pub(super) enum Stop {
    Done,
    /// It does not drain, or has a thread, which will see to it; or it has been stopped before.
    NotYet,
    /// The timer holds it open, and has to see to it.
    Held,
    /// There is no thread, but something to do.
    Wanted,
}

/// Whether there is one thread more.
#[derive(Debug)]
#[must_use]
pub(super) enum Admitted {
    /// It counts as active and searching.
    Yes,
    /// There are as many as there may be.
    Full,
    /// The pool has stopped.
    Stopped,
}

impl Idle {
    pub(super) fn new(target: usize, max_threads: usize) -> Self {
        Self {
            word: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            sleepers: Mutex::new(Vec::new()),
            target: AtomicUsize::new(target),
            max_threads,
            wanted: CachePadded::new(AtomicUsize::new(target)),
        }
    }

    /// How many workers have nothing to do, or could be started.
    fn workless(&self) -> usize {
        let word = Word(self.word.load(Relaxed));
        self.target.load(Relaxed).saturating_sub(word.active()) + word.searching()
    }

    /// To be called by a worker with nothing to do, or one that knows of others, after it has changed the word; and behind a barrier, if it is not
    /// to be called again.
    pub(super) fn want(&self) {
        if self.wanted.load(Relaxed) == 0 {
            let workless = self.workless();
            if workless > 0 {
                self.wanted.store(workless, Relaxed);
            }
        }
    }

    /// To be called again and again by one who would help a certain worker: others, who can't give what is wanted, take it for an old cry.
    pub(super) fn want_one(&self) {
        if self.wanted.load(Relaxed) == 0 {
            self.wanted.store(1, Relaxed);
        }
    }

    /// How many halves of joins are wanted, a hint.
    #[inline]
    pub(super) fn wanted(&self) -> &AtomicUsize {
        &self.wanted
    }

    /// How many are; from now on none, until somebody wants some again.
    pub(super) fn take_wanted(&self) -> usize {
        let wanted = self.wanted.swap(0, Relaxed);
        // Pairs with the fences in `sleep` and `block`: either their look at `wanted` sees that it has been taken, or the word is seen as they left it.
        if !mutant("idle_take_wanted_no_fence") {
            fence(SeqCst);
        }
        wanted.min(self.workless())
    }

    /// Not so many could be had.
    pub(super) fn still_wanted(&self, left: usize) {
        if left > 0 {
            self.wanted.store(left, Relaxed);
        }
    }

    #[inline]
    pub(super) fn load(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    #[inline]
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Acquire)
    }

    /// More threads are active than may be: a blocked one has come back. Never where no other could take its place.
    #[inline]
    pub(super) fn is_surplus(&self) -> bool {
        let target = self.target.load(Relaxed);
        self.max_threads > target && Word(self.word.load(Relaxed)).active() > target
    }

    /// To be called after work has been made visible. `by_worker`: by a thread of the pool, which is no
    /// reason to expect a search.
    #[inline]
    pub(super) fn notify(&self, by_worker: bool) -> Notify {
        // Pairs with the fences in `sleep`, `block` and `stop_searching`: either this load sees that nobody is left to find
        // the work, or their look at the queue sees the work.
        if !mutant("idle_notify_no_fence") {
            fence(SeqCst);
        }
        let mut word = Word(self.word.load(Relaxed));
        if self.is_enough(word) {
            return Notify::Enough;
        }
        // A worker that has just run a small task is about to search: waking another takes far longer than to wait for that.
        if word.active() > usize::from(by_worker) {
            for _ in 0..GLANCES {
                hint::spin_loop();
                word = Word(self.word.load(Relaxed));
                if self.is_enough(word) {
                    return Notify::Enough;
                }
            }
        }
        self.notify_slow(word, self.target.load(Relaxed))
    }

    /// As `notify` by a worker, but who goes to sleep at the same moment may miss the work.
    #[inline]
    pub(super) fn notify_soon(&self) -> Notify {
        if self.is_enough(Word(self.word.load(Relaxed))) { Notify::Enough } else { self.notify(true) }
    }

    #[inline]
    fn is_enough(&self, word: Word) -> bool {
        word.searching() > 0 || word.active() >= self.target.load(Relaxed)
    }

    /// As `notify`, also when as many threads are active as may be, but fewer than `limit`: one more comes to stand in line at the gate.
    pub(super) fn notify_extra(&self, limit: usize) -> Notify {
        self.notify_slow(self.load(), limit)
    }

    /// `word`: as it was at some time after the work became visible and the fence.
    #[cold]
    fn notify_slow(&self, mut word: Word, limit: usize) -> Notify {
        let mut sleepers = self.sleepers.lock();
        loop {
            if word.stopped() {
                return Notify::Stopped;
            }
            if word.searching() > 0 || word.active() >= limit {
                return Notify::Enough;
            }
            let (change, wake) = match sleepers.last() {
                Some(_) => ((ACTIVE + SEARCHING).wrapping_sub(SLEEPING), true),
                None if word.threads() < self.max_threads => (ACTIVE + SEARCHING + THREADS, false),
                None if word.active() == 0 && !mutant("idle_stuck_untold") => return Notify::Stuck,
                None => return Notify::Enough,
            };
            match self.word.compare_exchange(word.0, word.0.wrapping_add(change), AcqRel, Acquire) {
                Ok(_) if wake => return Notify::Wake(sleepers.pop().expect("looked at under the same lock")),
                Ok(_) => return Notify::Start,
                Err(now) => word = Word(now),
            }
        }
    }

    /// So many threads may be active from now on. Look at the queue afterwards, and notify if there is work; where it is fewer than before, rouse
    /// the sleepers.
    pub(super) fn set_target(&self, target: usize) {
        self.target.store(target, Relaxed);
        // Pairs with the fence in `notify`: either its look at the target sees the new one, or the caller's look at the queue sees the work.
        if !mutant("idle_resize_no_fence") {
            fence(SeqCst);
        }
    }

    pub(super) fn max_threads(&self) -> usize {
        self.max_threads
    }

    /// Counts one more thread, for `prestart`; false if there are enough.
    pub(super) fn prestart(&self, wanted: usize) -> bool {
        self.word
            .fetch_update(AcqRel, Acquire, |word| {
                let fits = Word(word).threads() < wanted.min(self.max_threads) && !Word(word).draining();
                fits.then_some(word + ACTIVE + SEARCHING + THREADS)
            })
            .is_ok()
    }

    /// Counts one more thread, also in a pool that is draining.
    pub(super) fn admit(&self) -> Admitted {
        let fits = |word: Word| word.threads() < self.max_threads && !word.stopped();
        let next = |word| fits(Word(word)).then_some(word + ACTIVE + SEARCHING + THREADS);
        match self.word.fetch_update(AcqRel, Acquire, next) {
            Ok(_) => Admitted::Yes,
            Err(word) if Word(word).stopped() => Admitted::Stopped,
            Err(_) => Admitted::Full,
        }
    }

    /// Takes that worker off the list of sleepers, to be unparked; false if it is not on it. It counts as active and searching.
    pub(super) fn wake(&self, index: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(at) = sleepers.iter().position(|&sleeper| sleeper == index) else { return false };
        sleepers.remove(at);
        self.word.fetch_add((ACTIVE + SEARCHING).wrapping_sub(SLEEPING), AcqRel);
        true
    }

    /// A thread that had been counted could not be started. True if there is none at all now. As after `leave`, look at the queue.
    pub(super) fn start_failed(&self) -> bool {
        let before = self.word.fetch_sub(ACTIVE + SEARCHING + THREADS, AcqRel);
        // Pairs with the fence in `notify`.
        if !mutant("idle_start_failed_no_fence") {
            fence(SeqCst);
        }
        Word(before).threads() == 1
    }

    /// False if two workers search already: one that does so for long, and one that has just run out of work.
    pub(super) fn start_searching(&self) -> bool {
        self.word.fetch_update(AcqRel, Relaxed, |word| (Word(word).searching() < 2).then_some(word + SEARCHING)).is_ok()
    }

    /// True if nobody searches any more: look at the queue and notify.
    #[must_use]
    pub(super) fn stop_searching(&self) -> bool {
        let before = self.word.fetch_sub(SEARCHING, AcqRel);
        // Pairs with the fence in `notify`.
        if !mutant("idle_stop_searching_no_fence") {
            fence(SeqCst);
        }
        Word(before).searching() == 1
    }

    /// Goes on the list of sleepers, unless the pool is draining: then it stays active and stops searching. Look at the queue
    /// afterwards, notify if there is work, then park. The word as it was before.
    pub(super) fn sleep(&self, index: usize, searching: bool) -> Word {
        let mut sleepers = self.sleepers.lock();
        let leaving = ACTIVE + if searching { SEARCHING } else { 0 };
        let before = Word(self.word.fetch_add(SLEEPING.wrapping_sub(leaving), AcqRel));
        if before.draining() {
            self.word.fetch_add(ACTIVE.wrapping_sub(SLEEPING), AcqRel);
        } else {
            sleepers.push(index);
        }
        drop(sleepers);
        // Pairs with the fence in `notify`.
        if !mutant("idle_sleep_no_fence") {
            fence(SeqCst);
        }
        before
    }

    /// Leaves the list of sleepers by its own decision; false if a waker was faster, whose permit is on its way.
    pub(super) fn leave_sleepers(&self, index: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(at) = sleepers.iter().position(|&sleeper| sleeper == index) else { return false };
        sleepers.remove(at);
        self.word.fetch_add(ACTIVE.wrapping_sub(SLEEPING), AcqRel);
        true
    }

    /// A worker stops being active although its task goes on. Look at the queue afterwards and notify if there is work.
    pub(super) fn block(&self) {
        self.word.fetch_sub(ACTIVE, AcqRel);
        // Pairs with the fence in `notify`.
        if !mutant("idle_block_no_fence") {
            fence(SeqCst);
        }
    }

    pub(super) fn unblock(&self) {
        self.word.fetch_add(ACTIVE, AcqRel);
    }

    /// Begins to refuse tasks; the sleepers, to be unparked, each active and searching. None if it had begun before.
    pub(super) fn drain(&self) -> Option<Vec<usize>> {
        // First, so that whoever called this is refused, also if another call is half-way.
        self.draining.store(true, Release);
        if Word(self.word.fetch_or(DRAINING, AcqRel)).draining() {
            return None;
        }
        Some(self.rouse())
    }

    /// Takes all sleepers off the list, each now active and searching.
    pub(super) fn rouse(&self) -> Vec<usize> {
        let mut sleepers = self.sleepers.lock();
        let all = std::mem::take(&mut *sleepers);
        let change = (ACTIVE + SEARCHING).wrapping_sub(SLEEPING).wrapping_mul(all.len() as u64);
        self.word.fetch_add(change, AcqRel);
        all
    }

    /// Whether all threads but so many sleep, and `rest` is true of the same moment: nobody is woken or goes to sleep during the call.
    pub(super) fn are_asleep_but(&self, others: usize, rest: impl FnOnce() -> bool) -> bool {
        let _sleepers = self.sleepers.lock();
        let word = self.load();
        // The second look is for those threads that start or end without this lock.
        word.threads() == word.sleeping() + others && rest() && self.load() == word
    }

    /// An active thread that does not search ends. Look at the queue afterwards and notify if there is work, then see whether the pool is to stop: what was queued
    /// while this thread counted as active, and then the pool began to drain, still counts on it.
    pub(super) fn leave(&self) {
        self.word.fetch_sub(ACTIVE + THREADS, AcqRel);
        // Pairs with the fence in `notify`.
        if !mutant("idle_leave_no_fence") {
            fence(SeqCst);
        }
    }

    /// Stops a draining pool that has no thread and nothing to do. To be called after each change that may make it so.
    ///
    /// That there is no thread is seen before the look: else the last one could leave in between, and not have looked yet. What was queued before the
    /// pool began to drain is seen by this look, or some thread has taken it; so nothing depends on whether one came and went meanwhile.
    pub(super) fn stop_if_empty(&self, is_through: impl Fn() -> bool) -> Stop {
        loop {
            // Acquire: with the pool's draining it sees what was queued before.
            let word = self.load();
            if word.threads() > 0 || !word.draining() || word.stopped() {
                return Stop::NotYet;
            }
            if word.held_open() {
                return Stop::Held;
            }
            // Pairs with the fences in `notify` and in `has_let_in`: either this look sees what was pushed, and who was let in, or they see that there is no thread,
            // and change the word, or come here.
            if !mutant("idle_stop_no_fence") {
                fence(SeqCst);
            }
            if !is_through() && !mutant("idle_stops_without_a_look") {
                return Stop::Wanted;
            }
            if self.word.compare_exchange(word.0, word.0 | STOPPED, AcqRel, Relaxed).is_ok() {
                return Stop::Done;
            }
        }
    }

    /// Keeps the pool from stopping, for the timer; false if it is too late for that. `while_draining`: it still takes tasks of this kind.
    #[must_use]
    pub(super) fn hold_open(&self, while_draining: bool) -> bool {
        let open = |word: Word| !word.stopped() && (while_draining || !word.draining());
        let next = |word| open(Word(word)).then_some(word | HELD_OPEN | TIMER);
        self.word.fetch_update(AcqRel, Relaxed, next).is_ok()
    }

    /// There is a timer from now on; false if it is too late for that.
    #[must_use]
    pub(super) fn note_timer(&self) -> bool {
        let next = |word| (!Word(word).draining()).then_some(word | TIMER);
        self.word.fetch_update(AcqRel, Relaxed, next).is_ok()
    }

    /// The timer has queued its last task. See afterwards whether the pool is to stop.
    pub(super) fn let_close(&self) {
        self.word.fetch_sub(HELD_OPEN, AcqRel);
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests;
