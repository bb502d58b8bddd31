//! Models of waiting until a pool has nothing to do. `docs/quiescence.md` has the argument.

use std::time::Duration;

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};

fn counts(runs: &Arc<AtomicU32>) -> impl FnOnce() + Send + 'static + use<> {
    let runs = runs.clone();
    move || {
        runs.fetch_add(1, Relaxed);
    }
}

fn wait<P: LockPolicy>(pool: &ThreadPool<P>) -> bool {
    pool.await_quiescence(Duration::MAX)
}

/// The task runs, or its worker is about to sleep, or sleeps.
fn a_task_has_ended<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    pool.spawn(counts(&runs)).unwrap();
    assert!(wait(&pool));
    assert_eq!(runs.load(Relaxed), 1);
    pool.shutdown();
}

/// Between the two the pool must not seem to have nothing to do.
fn the_child_of_a_task_has_ended<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    let (inner, child) = (pool.clone(), counts(&runs));
    pool.spawn(move || inner.spawn(child).unwrap()).unwrap();
    assert!(wait(&pool));
    assert_eq!(runs.load(Relaxed), 1);
    pool.shutdown();
}

/// The last thread ends instead of sleeping.
fn the_pool_is_shut_down<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    pool.spawn(counts(&runs)).unwrap();
    let other = pool.clone();
    let waits = thread::spawn(move || wait(&other));
    pool.shutdown();
    assert!(waits.join().unwrap());
    assert_eq!(runs.load(Relaxed), 1);
}

/// It waits for the other one, and not for itself.
fn a_task_waits<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    pool.spawn(counts(&runs)).unwrap();
    let inner = pool.clone();
    let seen = runs.clone();
    let waits = pool.submit(move || wait(&inner).then(|| seen.load(Relaxed)));
    assert_eq!(waits.result().unwrap(), Some(1));
    pool.shutdown();
}

/// The worker, which looks, runs the task, or comes to no task any more.
fn what_is_queued_is_cancelled<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    pool.pause();
    pool.spawn(counts(&runs)).unwrap();
    let other = pool.clone();
    let waits = thread::spawn(move || wait(&other));
    let cancelled = pool.cancel_queued();
    assert!(waits.join().unwrap());
    assert_eq!(runs.load(Relaxed) + cancelled as u32, 1);
    pool.shutdown();
}

stamp! {
    a_task_has_ended: (one: 1, 3), (two: 2, 3);
    the_child_of_a_task_has_ended: (one: 1, 2), (two: 2, 1);
    the_pool_is_shut_down: (one: 1, 1);
    a_task_waits: (one: 1, 1);
    what_is_queued_is_cancelled: (one: 1, 2);
}

/// A task that is let in by a cancel from outside is in no queue for a moment, and in no line.
#[test]
fn a_cancel_lets_in_the_next() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let value = pool.guarded(0);
        let (first, second) = (pool.when(&value, |_| ()), pool.when(&value, |_| ()));
        let canceller = thread::spawn(move || first.cancel());
        assert!(wait(&pool));
        assert!(second.is_finished());
        let _in_time = canceller.join().unwrap();
        pool.shutdown();
    });
}
