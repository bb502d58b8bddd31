//! Bounded queues whose submitters wait for a place. Contract 88.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{LockPolicy, Refused, Rejected, TaskError, TaskHandle, ThreadPool, WhenFull};

use super::Occupied;
use super::capacity::{bounded, fill, is_full, settings};

pub(crate) fn a_submitter_waits_for_a_start<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 2, WhenFull::Block);
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            thread::spawn(move || (0..200).map(|n| pool.submit(move || n).detached()).sum::<usize>())
        })
        .collect();
    for submitter in submitters {
        assert_eq!(submitter.join().unwrap(), 200);
    }
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.finished, metrics.rejected, metrics.cancelled), (600, 0, 0));
}

trait Detached {
    fn detached(self) -> usize;
}

impl<T> Detached for TaskHandle<T> {
    fn detached(self) -> usize {
        drop(self);
        1
    }
}

pub(crate) fn a_submitter_waits_for_a_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Block);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let (submits, submitted) = mpsc::channel();
    let submitter = {
        let pool = pool.clone();
        thread::spawn(move || {
            submits.send(None).unwrap();
            submits.send(Some(pool.submit(|| 2))).unwrap();
        })
    };
    assert!(submitted.recv().unwrap().is_none());
    assert!(submitted.recv_timeout(Duration::from_millis(5)).is_err(), "there is no place");
    assert!(queued.cancel());
    let next = submitted.recv().unwrap().unwrap();
    submitter.join().unwrap();
    assert_eq!(next.state(), lockgrain::TaskState::Queued);
    drop(occupied);
    assert_eq!(next.result().unwrap(), 2);
}

pub(crate) fn a_wait_for_a_place_can_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let timeout = Duration::from_millis(5);
    let pool = bounded(pool, 1, WhenFull::BlockTimeout(timeout));
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let start = Instant::now();
    assert!(is_full(pool.submit(|| 2)));
    assert!(start.elapsed() >= timeout);
    let Rejected { closure, why } = pool.try_submit(|| 3).unwrap_err();
    assert_eq!((closure(), why), (3, Refused::Full));
    assert_eq!(pool.metrics().rejected, 2);
    assert!(queued.cancel());
    let next = pool.submit(|| 4);
    drop(occupied);
    assert_eq!(next.result().unwrap(), 4);
}

pub(crate) fn shutdown_ends_the_waits_for_a_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = bounded(pool, 1, WhenFull::Block);
    let occupied = Occupied::all(&pool);
    let queued = pool.submit(|| 1);
    let (submits, about_to) = mpsc::channel();
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let (pool, submits) = (pool.clone(), submits.clone());
            thread::spawn(move || {
                submits.send(()).unwrap();
                (pool.spawn(|| unreachable!("refused")), pool.submit(|| ()).result())
            })
        })
        .collect();
    submitters.iter().for_each(|_| about_to.recv().unwrap());
    thread::sleep(Duration::from_millis(2));
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    for submitter in submitters {
        let (spawned, submitted) = submitter.join().unwrap();
        assert_eq!(spawned, Err(Refused::Shutdown));
        assert!(matches!(submitted, Err(TaskError::Refused)));
    }
    drop(occupied);
    assert_eq!(queued.result().unwrap(), 1);
    pool.shutdown();
}

/// With spares, and without.
pub(crate) fn a_task_fills_its_own_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    for spares in [256, 0] {
        let pool = settings(pool, 1, WhenFull::Block).max_spares(spares).build().unwrap();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let inner = pool.clone();
                pool.submit(move || (0..100).map(|n| inner.submit(move || n)).collect::<Vec<_>>())
            })
            .collect();
        let results = tasks.into_iter().flat_map(|task| task.result().unwrap()).map(|task| task.result().unwrap());
        assert_eq!(results.sum::<usize>(), 3 * 4950);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.finished, metrics.rejected, metrics.threads), (303, 0, 0));
    }
}

/// The context keeps the lock, which others need to make room.
pub(crate) fn a_task_with_a_context_fills_its_own_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    for spares in [256, 0] {
        let pool = settings(pool, 1, WhenFull::Block).max_spares(spares).build().unwrap();
        let task = pool.submit_with(|cx| (0..100).map(|n| cx.submit(move || n)).collect::<Vec<_>>());
        assert_eq!(task.result().unwrap().into_iter().map(|task| task.result().unwrap()).sum::<usize>(), 4950);
        let (value, inner) = (pool.guarded(()), pool.clone());
        let task = pool.when(&value, move |()| (0..100).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
        assert_eq!(task.result().unwrap().into_iter().map(|task| task.result().unwrap()).sum::<usize>(), 4950);
    }
}

/// One task waits for a place, and another for that task: nobody is left to make room.
pub(crate) fn whoever_all_others_wait_for_gets_in<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers().min(2);
    for _ in 0..10 {
        let pool = settings(pool, 1, WhenFull::Block).max_workers(workers).max_spares(0).build().unwrap();
        let (give, given) = mpsc::channel::<TaskHandle<usize>>();
        let (inner, outer) = (pool.clone(), pool.clone());
        let waiting = pool.submit(move || {
            let fills = given.recv().unwrap();
            // Most likely it waits by then; if it comes later, it sees that it is the last.
            while fills.is_running() && outer.metrics().queue_depth == 0 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(1));
            fills.result()
        });
        let fills = pool.submit(move || (0..3).map(|n| inner.submit(move || n).detached()).sum());
        give.send(fills).unwrap();
        assert_eq!(waiting.result().unwrap().unwrap(), 3);
        pool.shutdown();
        assert_eq!(pool.metrics().finished, 5);
    }
}

/// Each pool's tasks wait for a place in the other.
pub(crate) fn two_pools_fill_each_other<P: LockPolicy>(pool: &ThreadPool<P>) {
    let build = || settings(pool, 1, WhenFull::Block).max_spares(0).build().unwrap();
    let (one, other) = (build(), build());
    let runs = Arc::new(AtomicUsize::new(0));
    let fill = |to| fill(to, &runs);
    let fills = [one.submit(fill(&other)), other.submit(fill(&one))];
    fills.into_iter().for_each(|fill| fill.result().unwrap());
    one.shutdown();
    other.shutdown();
    assert_eq!(runs.load(SeqCst), 100);
}
