//! Cancelling what is queued in a pool that goes on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::{LockPolicy, TaskError, TaskHandle, ThreadPool};

use super::{Occupied, count};

// Contract: 101.
pub(crate) fn the_queued_are_cancelled_and_the_pool_goes_on<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert_eq!(pool.cancel_queued(), 0, "nothing is queued");
    let occupied = Occupied::all(pool);
    let running = occupied.handles().len() as u64;
    let runs = Arc::new(AtomicUsize::new(0));
    let task = || {
        let runs = runs.clone();
        move || count(&runs)
    };
    let queued: Vec<_> = (0..3).map(|_| pool.submit(task())).collect();
    let ranked = [5, -5].map(|priority| pool.task().priority(priority).submit(task()));
    pool.spawn(task()).unwrap();
    assert!(queued[1].cancel());
    assert_eq!(pool.cancel_queued(), 5, "one was cancelled before");
    assert!(queued.iter().chain(&ranked).all(TaskHandle::is_cancelled), "at once");
    assert_eq!(Arc::strong_count(&runs), 1, "nothing is kept of them");
    assert_eq!(pool.metrics().queue_depth, 0);
    assert!(occupied.handles().iter().all(TaskHandle::is_running));
    let next = pool.submit(task());
    occupied.release().into_iter().for_each(|handle| handle.result().unwrap());
    next.result().unwrap();
    assert!(pool.await_quiescence(Duration::MAX));
    assert_eq!(runs.load(SeqCst), 1);
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.finished, metrics.cancelled), (running + 7, running + 1, 6));
}

pub(crate) fn a_cancelled_task_lets_in_the_next<P: LockPolicy>(pool: &ThreadPool<P>) {
    let value = pool.guarded(0);
    let occupied = Occupied::all(pool);
    let first = pool.when(&value, |value| *value += 1);
    assert_eq!(pool.cancel_queued(), 1);
    let second = pool.when(&value, |value| *value += 10);
    drop(occupied);
    second.result().unwrap();
    assert!(matches!(first.result(), Err(TaskError::Cancelled)));
    assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 10);
}

/// What a cancelled task owned is dropped by the thread that cancels it, which may use the pool as any other.
pub(crate) fn what_is_dropped_may_use_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    struct Uses<P: LockPolicy>(ThreadPool<P>, mpsc::Sender<i32>);
    impl<P: LockPolicy> Drop for Uses<P> {
        fn drop(&mut self) {
            let waited = self.0.submit(|| 1).result().unwrap();
            let scoped = self.0.scope(|s| s.submit(|| 2)).result().unwrap();
            let joined = self.0.join(|| 3, || 4);
            self.1.send(waited + scoped + joined.0 + joined.1).unwrap();
        }
    }
    let (send, sums) = mpsc::channel();
    let occupied = Occupied::all(pool);
    let uses = Uses(pool.clone(), send);
    let cancelled = pool.submit(move || drop(uses));
    let opens = thread::scope(|threads| {
        // The tasks that the drop waits for need a worker.
        let opener = threads.spawn(move || {
            thread::sleep(Duration::from_millis(5));
            occupied.release()
        });
        assert_eq!(pool.cancel_queued(), 1);
        opener.join().unwrap()
    });
    assert!(cancelled.is_cancelled());
    assert_eq!(sums.recv().unwrap(), 10);
    opens.into_iter().for_each(|handle| handle.result().unwrap());
}

pub(crate) fn joins_and_scopes_stay_whole<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (going_on, stop) = mpsc::channel::<()>();
    let inner = pool.clone();
    let (begun, begins) = mpsc::channel();
    let task = pool.submit(move || {
        begun.send(()).unwrap();
        for n in 0..200 {
            assert_eq!(inner.join(thread::yield_now, || n + 1), ((), n + 1), "what is shared comes back");
            let started = AtomicUsize::new(0);
            let handles = inner.scope(|s| [(); 3].map(|()| s.submit(|| count(&started))));
            let ended = handles.map(TaskHandle::result).iter().filter(|result| result.is_ok()).count();
            assert_eq!(ended, started.into_inner());
        }
        drop(going_on);
    });
    begins.recv().unwrap();
    while stop.try_recv() == Err(TryRecvError::Empty) {
        pool.cancel_queued();
        thread::yield_now();
    }
    task.result().unwrap();
}

pub(crate) fn what_comes_meanwhile_is_run_or_cancelled<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let (handles, cancelled) = thread::scope(|threads| {
        let submitter = threads.spawn(|| {
            let submit = |_| {
                let runs = runs.clone();
                pool.submit(move || count(&runs))
            };
            (0..2_000).map(submit).collect::<Vec<_>>()
        });
        let mut cancelled = 0;
        while !submitter.is_finished() {
            cancelled += pool.cancel_queued();
        }
        (submitter.join().unwrap(), cancelled)
    });
    let results = lockgrain::join_all(handles);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), runs.load(SeqCst));
    assert_eq!(results.len() - runs.load(SeqCst), cancelled);
    assert!(pool.await_quiescence(Duration::MAX));
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.cancelled), (2_000, cancelled as u64));
}
