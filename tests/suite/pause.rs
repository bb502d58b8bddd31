//! A pool that takes no task from its queue for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lockgrain::{LockPolicy, ThreadPool};

use super::count;

pub(crate) fn a_paused_pool_begins_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.submit(|| ()).result().unwrap();
    pool.pause();
    assert!(pool.is_paused());
    // A worker that looked for work just before may have one.
    let first = pool.submit(|| ());
    let _settled = first.wait_timeout(Duration::from_millis(5));
    let runs = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..10)
        .map(|_| {
            let runs = runs.clone();
            pool.submit(move || count(&runs))
        })
        .collect();
    assert!(handles[9].wait_timeout(Duration::from_millis(5)).is_err());
    assert!(runs.load(SeqCst) <= pool.max_workers());
    assert!(handles[9].cancel());
    pool.resume();
    assert!(!pool.is_paused());
    assert_eq!(lockgrain::join_all(handles).into_iter().filter(Result::is_ok).count(), 9);
    first.result().unwrap();
}

pub(crate) fn what_runs_goes_on_and_a_wait_runs_what_it_waits_for<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        inner.pause();
        let child = inner.submit(|| 2).result().unwrap();
        inner.resume();
        child
    });
    assert_eq!(outer.result().unwrap(), 2);
}

pub(crate) fn a_shutdown_resumes<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.pause();
    let handles: Vec<_> = (0..10).map(|n| pool.submit(move || n)).collect();
    pool.shutdown();
    assert_eq!(lockgrain::join_all(handles).into_iter().map(Result::unwrap).sum::<i32>(), 45);
    pool.pause();
    assert!(!pool.is_paused());
}
