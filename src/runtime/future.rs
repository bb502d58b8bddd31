//! Futures driven by the pool: each poll is a task that is queued when the future is woken. `docs/future.md` has the argument.
//!
//! ```text
//! queued ──begin──▶ polling ──pending──▶ idle ──wake──▶ queued
//!                      └─wake──▶ woken ──pending──▶ queued
//! ```
//! There is one queue entry for a future, and it is in a queue, or with the worker that polls, or kept while the future is idle: so there
//! are never two polls at once, and a poll begins after each wake-up.

use std::mem;
use std::task::Wake;

use super::Core;
use crate::policy::LockPolicy;
use crate::policy::run_queue::RunQueue;
use crate::sync::{Arc, Mutex, Weak, mutant};
use crate::task::{self, Discarded, JoinRef, Schedule, Task, TaskError};

/// What the wakers of one future point at. Once the last of them has gone, and no poll is queued or goes on, nobody can wake it any more.
pub(crate) struct FutureTask<P: LockPolicy> {
    core: Arc<Core<P>>,
    /// Its place among the pool's futures.
    place: usize,
    stage: Mutex<Stage<P>>,
}

enum Stage<P: LockPolicy> {
    /// A poll is queued, which needs this, though no waker be left.
    Queued {
        _keeps: Arc<FutureTask<P>>,
    },
    Polling,
    /// Woken while it is being polled.
    Woken,
    /// It waits to be woken.
    Idle(Task),
    /// The future is gone, or is to be polled no more.
    Over,
}

impl<P: LockPolicy> FutureTask<P> {
    fn queued(self: &Arc<Self>) -> Stage<P> {
        Stage::Queued { _keeps: self.clone() }
    }

    /// In the order of the wake-ups, so that futures that wake one another do not keep the rest waiting.
    fn queue(&self, task: Task) {
        self.core.inject(task);
    }

    /// To be polled no more. If it is idle, its task is the caller's to end.
    fn close(&self) -> Option<Task> {
        // What was there is dropped outside the lock.
        let before = mem::replace(&mut *self.stage.lock(), Stage::Over);
        if let Stage::Idle(task) = before { Some(task) } else { None }
    }

    /// Ends the task between two polls; false if its handle has done so.
    fn end(&self, task: Task) -> bool {
        let ended = task.discard(TaskError::Cancelled);
        // Also if its handle did: no worker will come to it.
        self.core.count_cancelled(1);
        ended == Discarded::Now
    }
}

impl<P: LockPolicy> Wake for FutureTask<P> {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut stage = self.stage.lock();
        match &*stage {
            Stage::Polling if !mutant("future_sleeps_through_a_wake_up") => *stage = Stage::Woken,
            Stage::Idle(_) => {
                let before = mem::replace(&mut *stage, self.queued());
                // Until it is queued, so that whoever ends the pool's futures finds it idle, or in the queue.
                let locked = if mutant("future_is_nowhere") { None } else { Some(stage) };
                if let Stage::Idle(task) = before {
                    self.core.queue.inject(task);
                }
                drop(locked);
                self.core.notify_of_injected();
            }
            _ => {}
        }
    }
}

impl<P: LockPolicy> Schedule for FutureTask<P> {
    fn begin(&self) -> bool {
        let mut stage = self.stage.lock();
        let begins = matches!(*stage, Stage::Queued { .. });
        let before = if begins { mem::replace(&mut *stage, Stage::Polling) } else { Stage::Over };
        drop(stage);
        drop(before);
        begins
    }

    fn pending(self: Arc<Self>, task: Task) {
        let mut stage = self.stage.lock();
        match &*stage {
            Stage::Woken => {
                *stage = self.queued();
                drop(stage);
                self.queue(task);
            }
            Stage::Over if !mutant("future_rests_after_the_shutdown") => {
                drop(stage);
                self.end(task);
            }
            _ => *stage = Stage::Idle(task),
        }
    }

    fn over(&self) {
        self.close().map(|task| self.end(task));
    }
}

impl<P: LockPolicy> Drop for FutureTask<P> {
    fn drop(&mut self) {
        match self.close() {
            Some(task) if task.is_spent() => {
                self.end(task);
            }
            // Nobody can wake it: the poll that would come ends it. Not here, where a waker is dropped, perhaps under somebody's lock.
            Some(task) => self.queue(task),
            None => {}
        }
        if self.core.futures.remove(self.place) {
            self.core.one_has_ended();
        }
    }
}

/// The futures of one pool, as far as it has to end those that wait when it stops.
pub(super) struct Futures<P: LockPolicy>(Mutex<Members<P>>);

struct Members<P: LockPolicy> {
    places: Vec<Option<Weak<FutureTask<P>>>>,
    free: Vec<usize>,
    closed: bool,
}

impl<P: LockPolicy> Futures<P> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Members { places: Vec::new(), free: Vec::new(), closed: false }))
    }

    /// None if it is too late.
    fn add(&self, core: &Arc<Core<P>>) -> Option<Arc<FutureTask<P>>> {
        let mut members = self.0.lock();
        if members.closed {
            return None;
        }
        let place = members.free.pop().unwrap_or(members.places.len());
        let new = Arc::new(FutureTask { core: core.clone(), place, stage: Mutex::new(Stage::Over) });
        let member = Some(Arc::downgrade(&new));
        match members.places.get_mut(place) {
            Some(free) => *free = member,
            None => members.places.push(member),
        }
        Some(new)
    }

    /// Whether it was counted as one that goes.
    fn remove(&self, place: usize) -> bool {
        let mut members = self.0.lock();
        let left = members.places[place].take().is_some();
        if !members.closed {
            members.free.push(place);
        }
        left && members.closed
    }

    /// Takes all of them out, now and in all future. Of those that go at this moment, as nobody can wake them any more, `counts` hears.
    fn close(&self, counts: impl Fn()) -> Vec<Arc<FutureTask<P>>> {
        let mut members = self.0.lock();
        if mem::replace(&mut members.closed, true) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for place in &mut members.places {
            match place.as_ref().map(Weak::upgrade) {
                Some(Some(future)) => {
                    all.push(future);
                    *place = None;
                }
                Some(None) if mutant("future_goes_unseen") => *place = None,
                Some(None) => counts(),
                None => {}
            }
        }
        all
    }
}

impl<P: LockPolicy> Core<P> {
    /// Ends all futures that wait to be woken, and has the others end with their poll; how many that ends now.
    pub(super) fn cancel_futures(&self) -> usize {
        // All are closed before any is dropped, so that none wakes the next in its drop, and that one the next.
        let idle = |future: Arc<FutureTask<P>>| future.close().map(|task| (future, task));
        let members = self.futures.close(|| self.one_more_ends());
        let idle: Vec<_> = members.into_iter().filter_map(idle).collect();
        idle.into_iter().map(|(future, task)| usize::from(future.end(task))).sum()
    }
}

/// Has the future driven by the pool; `queue` gets its first poll. None, and the future has been dropped, if the pool has stopped.
pub(crate) fn drive<P, F>(core: &Arc<Core<P>>, future: F, queue: impl FnOnce(Task)) -> Option<JoinRef<F::Output>>
where
    P: LockPolicy,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let Some(schedule) = core.futures.add(core) else {
        task::drop_quietly(future);
        return None;
    };
    let (task, join) = task::polled(core.id, &schedule, future);
    *schedule.stage.lock() = schedule.queued();
    queue(task);
    Some(join)
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::sync::mpsc;
    use std::task::{Poll, Waker};

    use crate::{FineGrained, ThreadPool};

    fn left(pool: &ThreadPool<FineGrained>) -> usize {
        // On the one worker this comes after all that goes on.
        pool.submit(|| ()).result().unwrap();
        pool.core().futures.0.lock().places.iter().flatten().count()
    }

    #[test]
    fn nothing_is_left_of_a_future_that_has_ended() {
        let pool = crate::Builder::<FineGrained>::new().max_workers(1).build().unwrap();
        pool.spawn_future(ready(())).result().unwrap();
        assert_eq!(left(&pool), 0, "ready");
        assert!(pool.spawn_future(pending::<()>()).result().is_err());
        assert_eq!(left(&pool), 0, "nobody could wake it");
        let (go, gate) = mpsc::channel::<()>();
        let busy = pool.submit(move || gate.recv().is_err());
        assert!(pool.spawn_future(pending::<()>()).cancel());
        drop(go);
        assert!(busy.result().unwrap());
        assert_eq!(left(&pool), 0, "cancelled before its first poll");
        let (send, wakers) = mpsc::channel::<Waker>();
        let idle = pool.spawn_future(poll_fn(move |cx| {
            send.send(cx.waker().clone()).unwrap();
            Poll::<()>::Pending
        }));
        let waker = wakers.recv().unwrap();
        assert_eq!(left(&pool), 1);
        assert!(idle.cancel());
        waker.wake();
        assert_eq!(left(&pool), 0, "cancelled between two polls");
        let places = pool.core().futures.0.lock().places.len();
        assert_eq!(places, 1, "a place is used again");
    }
}
