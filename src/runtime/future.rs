//! Futures driven by the pool: each poll is a task that is queued when the future is woken. `docs/future.md` has the argument.
//!
//! ```text
//! queued ──begin──▶ polling ──pending──▶ idle ──wake──▶ queued
//!                      └─wake──▶ woken ──pending──▶ queued
//! ```
//! There is one queue entry for a future, and it is in a queue, or with the worker that polls, or kept while the future is idle: so there
//! are never two polls at once, and a poll begins after each wake-up.

use std::mem;
use std::ptr;
use std::task::Wake;

use super::Core;
use super::current::{Frame, Kind};
use crate::policy::LockPolicy;
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
                drop(stage);
                if let Stage::Idle(task) = before {
                    self.queue(task);
                }
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
        self.core.futures.remove(self.place);
        match self.close() {
            Some(task) if task.is_spent() => {
                self.end(task);
            }
            // Nobody can wake it: the poll that would come ends it. Not here, where a waker is dropped, perhaps under somebody's lock.
            Some(task) => self.queue(task),
            None => {}
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

    fn remove(&self, place: usize) {
        let mut members = self.0.lock();
        if !members.closed {
            members.places[place] = None;
            members.free.push(place);
        }
    }

    /// Takes all of them out, now and in all future.
    fn close(&self) -> Vec<Arc<FutureTask<P>>> {
        let mut members = self.0.lock();
        members.closed = true;
        let all = mem::take(&mut members.places);
        drop(members);
        all.into_iter().flatten().filter_map(|member| member.upgrade()).collect()
    }
}

impl<P: LockPolicy> Core<P> {
    /// Ends all futures that wait to be woken, and has the others end with their poll; how many that ends now.
    pub(super) fn cancel_futures(&self) -> usize {
        // All are closed before any is dropped, so that none wakes the next in its drop, and that one the next.
        let idle = |future: Arc<FutureTask<P>>| future.close().map(|task| (future, task));
        let idle: Vec<_> = self.futures.close().into_iter().filter_map(idle).collect();
        idle.into_iter().map(|(future, task)| usize::from(future.end(task))).sum()
    }

    /// The same in a pool that has stopped. What the futures own may wait for that, which must not hang here.
    pub(super) fn end_futures(&self) {
        let lock = self.lock.as_covers();
        Frame::enter(self.id, lock, Kind::Idle, ptr::null(), ptr::null(), None, |_| self.cancel_futures());
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
