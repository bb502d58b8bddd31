//! Models of tasks that come after others: `TaskHandle::then`.

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

/// Counts that it runs; whether the task before it has a value.
fn counts(runs: &Arc<AtomicU32>) -> impl FnOnce(Result<u32, TaskError>) -> bool + Send + 'static + use<> {
    let runs = runs.clone();
    move |before| {
        runs.fetch_add(1, Relaxed);
        before.is_ok()
    }
}

fn a_task_ends_against_its_continuation<P: LockPolicy>(pool: ThreadPool<P>) {
    let next = pool.submit(|| 7).then(&pool, |before| before.unwrap() + 1);
    assert_eq!(next.result().unwrap(), 8);
    pool.shutdown();
}

/// Whoever waits, waits for the second of two.
fn two_continuations_in_a_row<P: LockPolicy>(pool: ThreadPool<P>) {
    let first = pool.submit(|| 7).then(&pool, |before| before.unwrap() + 1);
    let second = first.then(&pool, |before| before.unwrap() + 1);
    assert_eq!(second.result().unwrap(), 9);
    pool.shutdown();
}

/// It was there before the shutdown.
fn a_continuation_that_nobody_waits_for_runs<P: LockPolicy>(pool: ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    drop(pool.submit(|| 7).then(&pool, counts(&runs)));
    pool.shutdown();
    assert_eq!((runs.load(Relaxed), Arc::strong_count(&runs)), (1, 1));
}

fn a_continuation_against_a_shutdown<P: LockPolicy>(pool: ThreadPool<P>) {
    against(pool, |pool| pool.shutdown());
}

fn a_continuation_against_a_cancelling_shutdown<P: LockPolicy>(pool: ThreadPool<P>) {
    against(pool, |pool| {
        pool.shutdown_now();
    });
}

/// It runs or does not, and its handle says which.
fn against<P: LockPolicy>(pool: ThreadPool<P>, shut_down: fn(ThreadPool<P>)) {
    let (runs, other) = (Arc::new(AtomicU32::new(0)), pool.clone());
    let thread = thread::spawn(move || shut_down(other));
    let ended = pool.submit(|| 7).then(&pool, counts(&runs)).result();
    thread.join().unwrap();
    match ended {
        Ok(_) => assert_eq!(runs.load(Relaxed), 1),
        Err(TaskError::Refused | TaskError::Cancelled) => assert_eq!(runs.load(Relaxed), 0),
        Err(other) => panic!("{other}"),
    }
    assert_eq!(Arc::strong_count(&runs), 1);
}

stamp! {
    a_task_ends_against_its_continuation: (one: 1, 2);
    two_continuations_in_a_row: (one: 1, 1);
    a_continuation_that_nobody_waits_for_runs: (one: 1, 2);
    a_continuation_against_a_shutdown: (one: 1, 1);
    a_continuation_against_a_cancelling_shutdown: (one: 1, 1);
}
