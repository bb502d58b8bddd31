//! Ending a pool. Contract 68–81.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use lockgrain::{LockPolicy, Refused, TaskError, ThreadPool};

use super::{Occupied, pool as another};

// Contract: 69.
pub(crate) fn drains_what_is_queued<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let runs = runs.clone();
        pool.spawn(move || {
            runs.fetch_add(1, SeqCst);
        })
        .unwrap();
    }
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 50);
    assert!(pool.is_terminated());
    assert_eq!(pool.metrics().threads, 0);
}

// Contract: 68.
pub(crate) fn refuses_afterwards<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.shutdown();
    assert_eq!(pool.spawn(|| ()), Err(Refused::Shutdown));
    assert!(matches!(pool.submit(|| ()).result(), Err(TaskError::Refused)));
}

// Contract: 68.
pub(crate) fn try_submit_hands_the_closure_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert_eq!(pool.try_submit(|| 1).unwrap().result().unwrap(), 1);
    pool.shutdown();
    let rejected = pool.try_submit(|| 9).unwrap_err();
    assert_eq!(rejected.why, Refused::Shutdown);
    assert_eq!((rejected.closure)(), 9);
}

pub(crate) fn now_cancels_what_is_queued<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let queued: Vec<_> = (0..3).map(|_| pool.submit(|| ())).collect();
    let (cancelled, stopped) = pool.shutdown_now_timeout(Duration::ZERO);
    assert_eq!((cancelled, stopped), (3, false));
    for handle in queued {
        assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    }
    drop(occupied);
    assert_eq!(pool.shutdown_now(), 0);
    assert!(pool.is_terminated());
}

// Contract: 91.
pub(crate) fn now_counts_what_was_cancelled_before<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let queued: Vec<_> = (0..3).map(|_| pool.submit(|| ())).collect();
    assert!(queued[1].cancel());
    assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (2, false));
    let running = occupied.release().len() as u64;
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.started, metrics.cancelled), (running + 3, running, 3));
}

pub(crate) fn with_a_timeout_says_whether_it_stopped<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert!(!pool.await_termination(Duration::from_millis(1)), "it runs");
    let occupied = Occupied::all(pool);
    let queued = pool.submit(|| 1);
    assert!(!pool.shutdown_timeout(Duration::from_millis(1)));
    assert!(pool.is_shutdown() && !pool.is_terminated());
    drop(occupied);
    assert!(pool.shutdown_timeout(Duration::from_secs(30)));
    assert_eq!(queued.result().unwrap(), 1);
}

// Contract: 81.
pub(crate) fn from_a_task_does_not_hang<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let refused = pool.submit(move || {
        inner.shutdown();
        inner.spawn(|| ())
    });
    assert_eq!(refused.result().unwrap(), Err(Refused::Shutdown));
    pool.shutdown();
}

// Contract: 81.
pub(crate) fn by_dropping_the_last_handle_in_a_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = another::<P>(pool.max_workers());
    let (go, gate) = mpsc::channel::<()>();
    let inner = other.clone();
    let handle = other.submit(move || {
        gate.recv().unwrap();
        let child = inner.submit(|| 1);
        drop(inner);
        child
    });
    drop(other);
    go.send(()).unwrap();
    assert_eq!(handle.result().unwrap().result().unwrap(), 1);
}

// Contract: 77.
pub(crate) fn races_with_submission<P: LockPolicy>(pool: &ThreadPool<P>) {
    for round in 0..50 {
        let racing = another::<P>(pool.max_workers());
        let submitter = racing.clone();
        let thread = thread::spawn(move || (0..50).map(|n| submitter.submit(move || n)).collect::<Vec<_>>());
        if round % 2 == 0 {
            thread::yield_now();
        }
        racing.shutdown();
        // Each accepted task has one end, each refused one says so: none hangs.
        for (n, handle) in thread.join().unwrap().into_iter().enumerate() {
            match handle.result() {
                Ok(value) => assert_eq!(value, n),
                Err(error) => assert!(matches!(error, TaskError::Refused | TaskError::Cancelled), "{error}"),
            }
        }
    }
}

// Contract: 76.
pub(crate) fn twice_is_fine<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.spawn(|| ()).unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| pool.shutdown());
        }
    });
    pool.shutdown();
    assert!(pool.is_terminated());
}
