//! Whether a pool has nothing to do, and who waits for that. `docs/quiescence.md` has the argument.

use super::Core;
use super::current::{self, Frame, Frames, Kind};
use crate::policy::LockPolicy;
use crate::sync::atomic::{AtomicUsize, Ordering::*, fence};
use crate::sync::{Condvar, Instant, Mutex, mutant};

#[derive(Debug)]
pub(super) struct Quiescence {
    /// How many threads wait. By itself, so that a worker that goes to sleep looks at nothing else if nobody does.
    waiting: AtomicUsize,
    /// Threads that do something for the pool and are none of its workers, see [`Core::helping`].
    helpers: AtomicUsize,
    /// Taken before the locks of the pause and of the sleepers.
    moments: Mutex<Moments>,
    reached: Condvar,
}

#[derive(Debug, Default)]
struct Moments {
    /// In how many moments somebody has found the pool quiescent while somebody waited.
    found: u64,
    /// Who waits and is in the middle of a task: does not count.
    aside: Aside,
}

#[derive(Clone, Copy, Debug, Default)]
struct Aside {
    threads: usize,
    helpers: usize,
}

impl Aside {
    /// What the thread of these frames is to the pool.
    fn of<P: LockPolicy>(core: &Core<P>, frames: Frames<'_>) -> Self {
        let is_worker = |frame: &Frame| frame.pool == core.id && frame.worker.is_some();
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let helps =
            |frame: &Frame| frame.worker.is_some_and(|worker| unsafe { &*worker }.called_for(core.id).is_some());
        let threads = usize::from(frames.clone().any(is_worker));
        Self { threads, helpers: frames.filter(|frame| helps(frame)).count() }
    }

    fn is_nothing(self) -> bool {
        self.threads + self.helpers == 0
    }
}

impl Quiescence {
    pub(super) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            helpers: AtomicUsize::new(0),
            moments: Mutex::new(Moments::default()),
            reached: Condvar::new(),
        }
    }
}

/// A thread that does something for the pool and is none of its workers, until the drop.
pub(super) struct Helping<'a, P: LockPolicy>(&'a Core<P>);

impl<P: LockPolicy> Drop for Helping<'_, P> {
    fn drop(&mut self) {
        self.0.quiescence.helpers.fetch_sub(1, Release);
        self.0.may_be_quiescent();
    }
}

impl<P: LockPolicy> Core<P> {
    /// The caller runs a task, or has one in hand that is in no queue and in no line.
    pub(super) fn helping(&self) -> Helping<'_, P> {
        self.quiescence.helpers.fetch_add(1, Relaxed);
        // Pairs with the fence in `is_quiescent_but_for`: who sees what the caller takes out of a line sees that it helps.
        fence(Release);
        Helping(self)
    }

    pub(crate) fn is_quiescent(&self) -> bool {
        let moments = self.quiescence.moments.lock();
        self.is_quiescent_but_for(moments.aside) && current::frames(|frames| Aside::of(self, frames).is_nothing())
    }

    /// Whether there is nothing to do: no thread does anything, and nothing is left for any. Under the lock of the moments.
    fn is_quiescent_but_for(&self, aside: Aside) -> bool {
        self.pause.with_resting(|resting| {
            self.idle.are_asleep_but(resting + aside.threads, || {
                if !self.is_through() || self.mail.is_there() {
                    return false;
                }
                // Left to a thread that counts as resting still, though the pause is over.
                if self.starting.len() > 0 && !mutant("left_tasks_are_at_rest") {
                    return false;
                }
                fence(Acquire);
                self.quiescence.helpers.load(Acquire) == aside.helpers
            })
        })
    }

    /// To be called by a thread that has done what may have been the last thing, after that and a fence.
    #[inline]
    pub(super) fn tell_if_quiescent(&self) {
        // Pairs with the fence in `await_quiescence`: either this sees who waits, or its look at the pool sees what was done.
        if self.quiescence.waiting.load(Relaxed) > 0 {
            self.look_for_who_waits();
        }
    }

    /// The same without a fence before.
    pub(super) fn may_be_quiescent(&self) {
        fence(SeqCst);
        self.tell_if_quiescent();
    }

    #[cold]
    fn look_for_who_waits(&self) {
        let mut moments = self.quiescence.moments.lock();
        if self.is_quiescent_but_for(moments.aside) && !mutant("quiescence_untold") {
            moments.found += 1;
            drop(moments);
            self.quiescence.reached.notify_all();
        }
    }

    /// Waits until the pool is quiescent, but for tasks that wait for the same; false if `deadline` came before, or if this thread holds what
    /// they need.
    pub(crate) fn await_quiescence(&self, deadline: Option<Instant>) -> bool {
        current::frames(|frames| {
            // Code with a context holds the lock, and only its context may let go of it.
            if self.is_held_by_context() {
                return false;
            }
            let aside = Aside::of(self, frames.clone());
            let innermost = frames.clone().next().filter(|frame| frame.kind.get() != Kind::Blocking);
            // SAFETY: the worker of a frame is below it on this thread's stack.
            let worker = innermost.and_then(|frame| Some((frame, unsafe { &*frame.worker? })));
            let held = worker.map(|(frame, worker)| worker.block(frame.kind.get() == Kind::Plain));
            let reached = self.wait_for_quiescence(aside, deadline);
            if let (Some((_, worker)), Some(held)) = (worker, held) {
                worker.unblock(held);
            }
            reached
        })
    }

    fn wait_for_quiescence(&self, aside: Aside, deadline: Option<Instant>) -> bool {
        let Quiescence { waiting, moments, reached, .. } = &self.quiescence;
        waiting.fetch_add(1, Relaxed);
        // Pairs with the fence before `tell_if_quiescent`.
        if !mutant("quiescence_no_fence") {
            fence(SeqCst);
        }
        let mut moments = moments.lock();
        moments.aside.threads += aside.threads;
        moments.aside.helpers += aside.helpers;
        let before = moments.found;
        if self.is_quiescent_but_for(moments.aside) {
            moments.found += 1;
            reached.notify_all();
        }
        while moments.found == before {
            match deadline {
                None => reached.wait(&mut moments),
                Some(deadline) => {
                    if reached.wait_until(&mut moments, deadline) {
                        break;
                    }
                }
            }
        }
        let is_found = moments.found != before;
        moments.aside.threads -= aside.threads;
        moments.aside.helpers -= aside.helpers;
        drop(moments);
        waiting.fetch_sub(1, Relaxed);
        is_found
    }
}
