//! What comes after a task.

use std::sync::mpsc;
use std::time::Duration;

use lockgrain::{LockPolicy, TaskError, ThreadPool, blocking};

use super::Occupied;

pub(crate) fn a_continuation_gets_the_outcome<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = super::pool::<P>(1);
    let sum = pool.submit(|| 1).then(pool, |n| n.unwrap() + 1).then(&other, |n| n.unwrap() * 10);
    assert_eq!(sum.result().unwrap(), 20);
    let failed =
        pool.submit(|| panic!("as it should")).then(pool, |outcome: Result<(), _>| outcome.unwrap_err().is_panic());
    assert!(failed.result().unwrap());
    let ended = pool.submit(|| 3);
    ended.wait().unwrap();
    assert_eq!(ended.then(pool, Result::unwrap).result().unwrap(), 3);
    let _occupied = Occupied::all(pool);
    let cancelled = pool.submit(|| ());
    cancelled.cancel();
    assert!(cancelled.then(&other, |outcome| outcome.unwrap_err().is_cancelled()).result().unwrap());
}

pub(crate) fn a_continuation_does_not_begin_early<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel::<()>();
    let first = pool.submit(move || blocking(|| gate.recv()).is_ok());
    let mut next = first.then(pool, |first| first.is_ok());
    assert!(matches!(next.result_timeout(Duration::from_millis(5)), Err(TaskError::TimedOut)));
    // A waiting task does not run it either.
    let (ready, readies) = mpsc::channel();
    let waits = pool.submit(move || {
        ready.send(()).unwrap();
        next.result().unwrap()
    });
    readies.recv().unwrap();
    drop(open);
    assert!(waits.result().unwrap());
}

pub(crate) fn a_cancelled_continuation_leaves_the_first_task_alone<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel::<()>();
    let (ran, runs) = mpsc::channel();
    let first = pool.submit(move || {
        let _closed = blocking(|| gate.recv());
        ran.send(()).unwrap();
    });
    let next = first.then(pool, |_| ());
    assert!(next.cancel());
    assert!(next.result().unwrap_err().is_cancelled());
    drop(open);
    runs.recv().unwrap();
}

pub(crate) fn a_continuation_is_run_by_a_pool_that_drains<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel::<()>();
    let first = pool.submit(move || blocking(|| gate.recv()).is_ok());
    let next = first.then(pool, |_| 5);
    assert!(!pool.shutdown_timeout(Duration::from_millis(1)));
    drop(open);
    pool.shutdown();
    assert_eq!(next.result().unwrap(), 5);
    let refused = super::pool::<P>(1).submit(|| ()).then(pool, |_| ());
    assert!(matches!(refused.result(), Err(TaskError::Refused)));
}

pub(crate) fn shutdown_now_cancels_what_would_come_after<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let first = pool.submit(move || {
        started.send(()).unwrap();
        blocking(|| gate.recv()).is_ok()
    });
    starts.recv().unwrap();
    let next = first.then(pool, |_| 5);
    assert!(!pool.shutdown_now_timeout(Duration::from_millis(1)).1);
    drop(open);
    assert!(next.result().unwrap_err().is_cancelled());
}
