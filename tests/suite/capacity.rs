//! Bounded queues, and what becomes of the task that has no place. Contract 13, 87–90.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, LockPolicy, Refused, Rejected, TaskError, TaskHandle, ThreadPool, WhenFull};

use super::Occupied;

/// A pool as the given one, with a bound.
pub(super) fn bounded<P: LockPolicy>(like: &ThreadPool<P>, capacity: usize, when_full: WhenFull) -> ThreadPool<P> {
    settings(like, capacity, when_full).build().unwrap()
}

pub(super) fn settings<P: LockPolicy>(like: &ThreadPool<P>, capacity: usize, when_full: WhenFull) -> Builder<P> {
    Builder::new().max_workers(like.max_workers()).queue_capacity(capacity).when_full(when_full)
}

pub(super) fn is_full<T: std::fmt::Debug>(handle: TaskHandle<T>) -> bool {
    matches!(handle.result(), Err(TaskError::QueueFull))
}

/// A task that has the pool count 50 others.
pub(super) fn fill<P: LockPolicy>(to: &ThreadPool<P>, runs: &Arc<AtomicUsize>) -> impl FnOnce() + Send + use<P> {
    let (to, runs) = (to.clone(), runs.clone());
    move || {
        for _ in 0..50 {
            let runs = runs.clone();
            let count = move || {
                runs.fetch_add(1, SeqCst);
            };
            to.spawn(count).unwrap();
        }
    }
}

// Contract: 87, 88.
pub(crate) fn a_full_queue_rejects<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 2, WhenFull::Reject);
    assert_eq!(pool.queue_capacity(), Some(2));
    let occupied = Occupied::all(&pool);
    let queued: Vec<_> = (0..2).map(|n| pool.submit(move || n)).collect();
    assert!(is_full(pool.submit(|| unreachable!("rejected"))));
    assert!(is_full(pool.submit_with(|_| unreachable!("rejected"))));
    assert_eq!(pool.spawn(|| unreachable!("rejected")), Err(Refused::Full));
    let Rejected { closure, why } = pool.try_submit(|| 7).unwrap_err();
    assert_eq!((closure(), why), (7, Refused::Full));
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.queue_depth, metrics.cancelled), (4, 2, 0));
    assert_eq!(metrics.submitted, 2 + occupied.handles().len() as u64);
    // During the termination, and after it.
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
    drop(occupied);
    assert_eq!(queued.into_iter().map(|handle| handle.result().unwrap()).collect::<Vec<_>>(), [0, 1]);
    pool.shutdown();
    assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
    assert_eq!(pool.metrics().rejected, 4);
}

// Contract: 90.
pub(crate) fn a_cancelled_task_makes_room_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Reject);
    let occupied = Occupied::all(&pool);
    assert!(!occupied.handles()[0].cancel(), "it runs");
    let queued = pool.submit(|| 1);
    assert!(is_full(pool.submit(|| 2)));
    assert!(queued.cancel());
    let next = pool.submit(|| 3);
    assert!(is_full(pool.submit(|| 4)));
    drop(occupied);
    assert_eq!(next.result().unwrap(), 3);
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.rejected, metrics.started), (1, 2, metrics.finished));
}

// Contract: 13.
pub(crate) fn a_thousand_tasks_retried_run_once_each<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 3, WhenFull::Reject);
    let runs = Arc::new(AtomicUsize::new(0));
    let run = {
        let runs = runs.clone();
        move || {
            runs.fetch_add(1, SeqCst);
        }
    };
    for _ in 0..1000 {
        let mut task = run.clone();
        while let Err(Rejected { closure, why }) = pool.try_submit(task) {
            assert_eq!(why, Refused::Full);
            task = closure;
            thread::yield_now();
        }
    }
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 1000);
    assert_eq!(pool.metrics().finished, 1000);
}

// Contract: 89.
pub(crate) fn the_oldest_makes_room<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 3, WhenFull::DiscardOldest);
    let occupied = Occupied::all(&pool);
    let mut queued: Vec<_> = (0..5).map(|n| pool.submit(move || n)).collect();
    let newest = queued.split_off(2);
    for oldest in queued {
        assert!(oldest.is_cancelled());
        assert!(matches!(oldest.result(), Err(TaskError::Cancelled)));
    }
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.rejected, metrics.queue_depth), (2, 0, 3));
    // One that is cancelled already is not what makes room.
    assert!(newest[0].cancel());
    let more = [pool.submit(|| 5), pool.submit(|| 6)];
    assert!(newest[1].is_cancelled() && !newest[2].is_cancelled());
    let stopped = pool.shutdown_timeout(Duration::ZERO);
    assert!(!stopped);
    assert!(matches!(pool.submit(|| 7).result(), Err(TaskError::Refused)));
    assert!(!newest[2].is_cancelled());
    drop(occupied);
    let results = newest.into_iter().chain(more).map(|handle| handle.result().ok());
    assert_eq!(results.collect::<Vec<_>>(), [None, None, Some(4), Some(5), Some(6)]);
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.cancelled, metrics.submitted), (4, metrics.started + 4));
}

// Contract: 88.
pub(crate) fn the_newest_is_dropped<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::DiscardNewest);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let owned = Arc::new(());
    let dropped = [owned.clone(), owned.clone()].map(|owned| pool.submit(move || drop(owned)));
    assert_eq!(Arc::strong_count(&owned), 1, "the closures are gone");
    assert!(dropped.iter().all(TaskHandle::is_cancelled));
    pool.spawn(|| unreachable!("dropped")).unwrap();
    assert!(pool.try_submit(|| ()).unwrap().is_cancelled());
    let metrics = pool.metrics();
    assert_eq!((metrics.rejected, metrics.cancelled, metrics.queue_depth), (4, 0, 1));
    drop(occupied);
    assert_eq!(queued.result().unwrap(), 1);
}

/// Whatever becomes of a task, its handle says so, and the counts agree.
pub(crate) fn every_handle_ends_and_the_counts_agree<P: LockPolicy>(pool: &ThreadPool<P>) {
    let kinds = [
        WhenFull::Reject,
        WhenFull::Block,
        WhenFull::BlockTimeout(Duration::from_micros(50)),
        WhenFull::CallerRuns,
        WhenFull::DiscardOldest,
        WhenFull::DiscardNewest,
    ];
    for when_full in kinds {
        let pool = bounded(pool, 2, when_full);
        let submit = |by: usize| {
            let pool = pool.clone();
            move || -> [u64; 3] {
                let mut counts = [0; 3];
                let handles: Vec<_> = (0..100)
                    .map(|n| {
                        let handle = pool.submit(move || n);
                        if n % 7 == by {
                            handle.cancel();
                        }
                        handle
                    })
                    .collect();
                for handle in handles {
                    counts[match handle.result() {
                        Ok(_) => 0,
                        Err(TaskError::Cancelled) => 1,
                        Err(TaskError::QueueFull) => 2,
                        Err(error) => panic!("{error}"),
                    }] += 1;
                }
                counts
            }
        };
        let threads: Vec<_> = (0..2).map(|by| thread::spawn(submit(by))).collect();
        let inside = pool.submit(submit(3));
        // It may have been discarded, or be one too many.
        let inside = match inside.result() {
            Ok(counts) => counts,
            Err(TaskError::Cancelled | TaskError::QueueFull) => [0; 3],
            Err(error) => panic!("{when_full:?}: {error}"),
        };
        let [ran, cancelled, full] =
            threads.into_iter().map(|thread| thread.join().unwrap()).chain([inside]).fold([0; 3], add);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!(metrics.started, metrics.finished);
        assert_eq!(metrics.submitted, metrics.started + metrics.cancelled);
        let outer = 1;
        assert_eq!(metrics.submitted + metrics.rejected, ran + cancelled + full + outer, "{when_full:?}");
        match when_full {
            WhenFull::Reject | WhenFull::BlockTimeout(_) => assert!(metrics.rejected >= full),
            WhenFull::Block | WhenFull::DiscardOldest => assert_eq!(metrics.rejected, 0),
            _ => assert_eq!(full, 0),
        }
    }
}

fn add(a: [u64; 3], b: [u64; 3]) -> [u64; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}
