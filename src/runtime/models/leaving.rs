//! Models of workers that end for want of work: here their time is up as soon as they sleep.

use std::time::Duration;

use crate::sync::{check, thread};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn pool<P: LockPolicy>(workers: usize, spares: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).max_spares(spares).min_workers(0).keep_alive(Duration::ZERO).build().unwrap()
}

/// Who submits is not told that the worker leaves; the pool may begin to drain before it has.
fn what_is_accepted_runs<P: LockPolicy>(pool: ThreadPool<P>) {
    let first = pool.submit(|| 1);
    assert_eq!(first.result().unwrap(), 1);
    let second = pool.submit(|| 2);
    pool.shutdown();
    assert_eq!(second.result().unwrap(), 2);
}

/// Nobody begins to drain: the worker finds by itself that there is a task, as it leaves.
fn a_task_starts_a_thread_again<P: LockPolicy>(pool: ThreadPool<P>) {
    for n in 0..2 {
        assert_eq!(pool.submit(move || n).result().unwrap(), n);
    }
    pool.shutdown();
}

fn a_shutdown_ends<P: LockPolicy>(pool: ThreadPool<P>) {
    let submits = pool.clone();
    let thread = thread::spawn(move || submits.submit(|| 1).result());
    pool.shutdown();
    assert!(matches!(thread.join().unwrap(), Ok(1) | Err(TaskError::Refused)));
}

stamp! {
    what_is_accepted_runs: (one: 1, 1);
    a_task_starts_a_thread_again: (one: 1, 1);
    a_shutdown_ends: (one: 1, 1), (two: 2, 0);
}
